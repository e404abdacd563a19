"""Requests and responses of the load generators, which share the processors with the shop.

So they build and parse messages by hand, and read of a response only what they need.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


def orders(products: Sequence[str]) -> Callable[[], bytes]:
    """Orders of one unit, of the products in turn, each under a key of its own."""
    bodies = itertools.cycle(
        json.dumps({"customer_id": "C123", "product_id": product, "quantity": 1})
        for product in products
    )
    return lambda: _message("POST /orders", next(bodies), f"Idempotency-Key: {os.urandom(9).hex()}")


def reservations(products: Sequence[str], token: str) -> Callable[[], bytes]:
    """Reservations of one unit, as order sends them to inventory."""
    bodies = itertools.cycle(
        json.dumps({"items": [{"product_id": product, "quantity": 1}]}) for product in products
    )
    authorization = f"Authorization: Bearer {token}"
    return lambda: _message(
        f"PUT /reservations/R{os.urandom(9).hex()}", next(bodies), authorization
    )


def _message(line: str, body: str, *headers: str) -> bytes:
    """A request. ``line``: its method and path."""
    lines = (
        f"{line} HTTP/1.1",
        "Host: shop",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
        "",
        body,
    )
    return "\r\n".join(lines).encode()


class Response(NamedTuple):
    head: bytes
    """The status line and the headers."""
    has_length: bool
    """If it is false, the response counts as complete without its body."""

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    @property
    def closes(self) -> bool:
        return _CLOSE.search(self.head) is not None


def complete(received: bytes) -> Response | None:
    """The response, as soon as all of it has been received."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not end or len(body) < (int(length[1]) if length else 0):
        return None
    return Response(head, length is not None)
