"""Waking another function while this one is still starting.

At zero is the usual state of both. Told the moment this process starts, the other's cold start
overlaps with ours, instead of beginning when our first request needs it. Nothing heavy is
imported here, and nobody waits for the answer.
"""

from __future__ import annotations

import socket

CONNECT_SECONDS = 0.5

_calls: list[socket.socket] = []
"""Kept open: a caller that hangs up is no reason to start a pod."""


def wake(url: str) -> bool:
    """Send a request to the health address behind the URL; whether that went out.

    Only over plain HTTP: a TLS handshake would have to be waited for. A URL that is none is for
    the settings to complain of. Taken apart by hand, since urllib.parse takes longer to import
    than all the rest here.
    """
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    host, _, port = authority.partition(":")
    if scheme != "http" or not host:
        return False
    request = f"GET /health HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    try:
        call = socket.create_connection((host, int(port or 80)), CONNECT_SECONDS)
        call.sendall(request.encode())
    except (OSError, ValueError):
        return False
    _calls.append(call)
    return True
