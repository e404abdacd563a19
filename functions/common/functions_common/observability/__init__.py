"""One record of each request, as log line, headers, traces and metrics."""
