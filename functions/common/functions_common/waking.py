"""Waking another function while this one is still starting.

At zero is the usual state of both. Told the moment this process starts, the other's cold start
overlaps with ours, instead of beginning when our first request needs it. Nothing heavy is
imported here, and nobody waits for the answer.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

CONNECT_SECONDS = 0.5

_calls: list[socket.socket] = []
"""Kept open: a caller that hangs up is no reason to start a pod."""


def wake(url: str) -> bool:
    """Send a request to the health address behind the URL; whether that went out.

    Only over plain HTTP: a TLS handshake would have to be waited for. A URL that is none is for
    the settings to complain of.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            return False
        request = f"GET /health HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        call = socket.create_connection((parts.hostname, parts.port or 80), CONNECT_SECONDS)
        call.sendall(request.encode())
    except (OSError, ValueError):
        return False
    _calls.append(call)
    return True
