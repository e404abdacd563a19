"""Hostile and normal HTTP clients, shared by `make test-hostile` and `benchmarks.servers`."""
