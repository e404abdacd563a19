"""`make demo`: see the shop wake from zero, sell out a product, and go back to sleep."""
