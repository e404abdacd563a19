"""Clients of the functions: good and bad requests, forged tokens, permissions and a browser."""
