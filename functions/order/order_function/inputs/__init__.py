"""The inputs of clients, apart from an order: changes, details, and filters of lists."""
