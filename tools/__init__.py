"""What is run by hand, or by make, while working on this repository."""
