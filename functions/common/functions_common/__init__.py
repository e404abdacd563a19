"""What both functions share, and none of it knows what an order or a product is."""
