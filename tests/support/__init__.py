"""Shared code of the tests: fakes that pass the contract suite, and real processes."""
