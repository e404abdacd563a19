"""Prewarming: a process of order starts with a request to inventory.

Both functions are often scaled to zero. With this request, inventory's cold start overlaps with
order's instead of following it. This module imports little, and the start does not wait for the
thread, so a name look-up that hangs does not delay it.
"""

from __future__ import annotations

import threading
import time

from functions_common.runtime import deadline_socket

DEADLINE_SECONDS = 10.0
"""For look-up, connect and sending together."""

open_calls: list[deadline_socket.DeadlineSocket] = []
"""Connections that stay open: Knative starts no pod for a client that has disconnected."""


def prewarm(url: str) -> threading.Thread | None:
    """Send a request for ``/health`` of this URL in a thread. None if the URL is not plain HTTP.

    The settings report a malformed URL later. The URL is split by hand, since the import of
    ``urllib.parse`` takes longer than all the rest of this module.
    """
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    host, _, port = authority.partition(":")
    if scheme != "http" or not host or not (port or "80").isdecimal():
        return None
    thread = threading.Thread(
        target=_send, args=(host, int(port or 80), authority), name="prewarm", daemon=True
    )
    thread.start()
    return thread


def _send(host: str, port: int, authority: str) -> None:
    request = f"GET /health HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    expires_at = time.monotonic() + DEADLINE_SECONDS
    try:
        call = deadline_socket.connect(host, port, expires_at)
        call.arm(expires_at, 0)
        call.sendall(request.encode())
    except (OSError, ValueError, OverflowError):
        return
    open_calls.append(call)
