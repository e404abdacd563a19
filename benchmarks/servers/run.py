"""python -m benchmarks.servers.run waitress|cheroot: serves the app until SIGTERM."""

from __future__ import annotations

import os
import signal
import sys

from benchmarks.servers.app import app

BACKLOG = 2048
CONNECTIONS = 4000
GRACEFUL_SECONDS = 20
IDLE_SECONDS = 100
THREADS = 64


def _waitress(host: str, port: int) -> None:
    from waitress import create_server  # noqa: PLC0415 - only one of them is imported

    create_server(
        app,
        host=host,
        port=port,
        threads=THREADS,
        backlog=BACKLOG,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE_SECONDS,
        asyncore_use_poll=True,
    ).run()


def _cheroot(host: str, port: int) -> None:
    from cheroot.wsgi import Server  # noqa: PLC0415

    server = Server(
        (host, port),
        app,
        numthreads=THREADS,
        request_queue_size=BACKLOG,
        timeout=IDLE_SECONDS,
        shutdown_timeout=GRACEFUL_SECONDS,
    )
    server.keep_alive_conn_limit = CONNECTIONS
    server.safe_start()


def _terminate(*_: object) -> None:
    raise SystemExit


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    servers = {"waitress": _waitress, "cheroot": _cheroot}
    servers[sys.argv[1]](os.environ["HOST"], int(os.environ["PORT"]))
