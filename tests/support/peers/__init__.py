"""Servers that the functions call: an issuer of tokens, a telemetry collector, faulty peers."""
