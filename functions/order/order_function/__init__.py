"""order: the customer's API. It creates, shows, lists and cancels orders."""
