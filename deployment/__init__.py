"""Access to the shop in a cluster: the only code that runs kubectl and kn."""
