"""What a page of staff's lists of orders takes in a large shop."""
