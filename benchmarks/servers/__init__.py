"""The HTTP server of the functions beside others that could serve the same app."""
