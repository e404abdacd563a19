"""The specification's documents and traces, translated for the code."""
