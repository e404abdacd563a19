"""The parts of requests: customer, details, changes of an order, filters of a list."""
