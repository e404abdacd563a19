"""What tests share: fakes held to the contract suite, and real processes."""
