"""The smallest app, measured in place of order: it reads the body and responds.

Its processor time is the cost of the server alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BODY = b'{"order_id":"ORD00000000000000000000000000","status":"confirmed"}'


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"].read(length)
    status = "201 Created" if length else "200 OK"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
    start_response(status, headers)
    return [BODY]
