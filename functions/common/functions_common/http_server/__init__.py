"""The HTTP server of both functions: waitress, with limits on time, size and connections."""
