"""inventory: the catalogue and the stock. It answers what is available, reserves and releases."""
