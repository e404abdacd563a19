"""order: the customer's API. It places, shows, lists, cancels and fulfils orders."""
