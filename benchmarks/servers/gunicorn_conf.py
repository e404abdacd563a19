"""gunicorn as the functions were served by it; ``LIMITS=1`` adds the limits that it has."""

import os

from gunicorn.glogging import Logger

LIMITS = os.environ.get("LIMITS") == "1"

bind = f"{os.environ['HOST']}:{os.environ['PORT']}"
workers = 1
worker_class = "gthread"
graceful_timeout = 20
keepalive = 100
control_socket_disable = True
limit_request_line = 8190
forwarder_headers = ""

# More threads is the only setting against slow clients; the timeout restarts a worker whose main
# thread is stuck.
threads = 256 if LIMITS else 64
timeout = 30 if LIMITS else 0
worker_connections = 4000 if LIMITS else 1000
limit_request_fields = 50 if LIMITS else 100


class logger_class(Logger):  # type: ignore[misc] # noqa: N801 - the setting's name
    """Without an access log."""

    def access(self, *_: object) -> None:
        pass
