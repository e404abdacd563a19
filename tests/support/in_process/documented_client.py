"""A client that places one order and follows docs/api.md, "Ordering once", exactly.

It uses only the shop's responses. Tests use it to show that the document is safe: a client that
follows it never orders twice, and never believes that a placed order was not placed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from order_function.routes import LOOKUP_FINAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TYPE = "urn:problem-type:"
PLACED = (201, 202)
REFUSED = (400, 409, 413, 415, 422)
"""Final: this request placed no order, and repeating it would not."""
MAX_LOOKS = 50


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The end of the problem's type; empty if it is not one of the shop's."""
        kind = self.body.get("type", "") if isinstance(self.body, dict) else ""
        return str(kind).removeprefix(_TYPE) if str(kind).startswith(_TYPE) else ""

    @property
    def order_id(self) -> str | None:
        return self.body.get("order_id") if isinstance(self.body, dict) else None


class Send(Protocol):
    def __call__(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """The reply; None if the connection gave none."""


class DocumentedClient:
    def __init__(
        self,
        send: Send,
        wait: Callable[[float], None],
        body: Mapping[str, Any],
        key: str | None = None,
        prefer: str | None = None,
        max_requests: int = 50,
    ) -> None:
        """``max_requests``: after so many requests it gives up, as the document describes."""
        self._send = send
        self._wait = wait
        self._body = body
        self._keyed = key is not None
        self._headers = {"Idempotency-Key": key} if key else {}
        if prefer:
            self._headers["Prefer"] = prefer
        self._requests_left = max_requests
        self.kinds: list[str] = []
        """The types of the problems in the responses."""

    def order(self) -> str | None:
        """Place the order and return its id; None if it was not placed."""
        known: str | None = None
        while self._requests_left:
            self._requests_left -= 1
            reply = self._send("POST", "/orders", self._body, self._headers)
            if reply is not None and reply.status in PLACED:
                return reply.order_id
            if reply is not None and reply.status in REFUSED:
                return None
            self.kinds.append(reply.kind if reply else "")
            known = (reply and reply.order_id) or known
            if self._keyed or (reply is not None and reply.kind == "temporarily-unavailable"):
                self._wait(_retry_after(reply))
            elif (found := self._look(reply.order_id if reply else None)) is not None:
                return found
        return self._look(known) if self._keyed else None

    def _look(self, order_id: str | None) -> str | None:
        """The id of the order if it was placed; None if it was not and never will be."""
        self._wait(LOOKUP_FINAL_SECONDS)
        path = f"/orders/{order_id}" if order_id else f"/orders?customer_id={self._customer}"
        for _ in range(MAX_LOOKS):
            reply = self._send("GET", path)
            if reply is None or reply.status >= 500:
                self._wait(_retry_after(reply))
                continue
            if reply.status == 404:
                return None
            found = [reply.body] if order_id else reply.body["orders"]
            ids = [each["order_id"] for each in found if each["status"] != "rejected"]
            return ids[0] if ids else None
        raise AssertionError(f"GET {path} had no response in {MAX_LOOKS} requests")

    @property
    def _customer(self) -> str:
        return str(self._body["customer_id"])


def _retry_after(reply: Reply | None) -> float:
    return float(reply.headers.get("Retry-After", 1)) if reply else 1.0
