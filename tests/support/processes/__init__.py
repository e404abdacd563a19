"""The functions as real processes, on this machine or in a cluster."""
