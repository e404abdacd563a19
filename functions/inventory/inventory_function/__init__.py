"""inventory: the function that owns catalogue and stock, and reserves and releases units."""
