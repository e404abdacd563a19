"""The server of a function that a test attacks."""

from __future__ import annotations

import os
from typing import NamedTuple

from support.clients.raw_client import RawClient, get, post
from support.in_process.apps import ORDER
from support.processes.shop import Shop

FUNCTIONS = ("order", "inventory")


class AttackedServer(NamedTuple):
    """The server of one function."""

    url: str
    line: str
    """The method and path of an operation with a body."""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def connect(self, receive_buffer: int | None = None) -> RawClient:
        return RawClient(self.url, receive_buffer)

    def good_request(self, product_id: str = "P001") -> bytes:
        """A request that gets 201."""
        line = {"product_id": product_id, "quantity": 1}
        if self.line.startswith("POST /orders"):
            return post(self.line, {"customer_id": "C123", **line})
        token = f"Authorization: Bearer {ORDER}"
        return post(f"PUT /reservations/R{os.urandom(9).hex()}", {"items": [line]}, token)

    def serves(self) -> bool:
        """True if a new client gets a response."""
        with self.connect() as client:
            client.send(get("/health"))
            return client.response().status == 200


def attacked_server(shop: Shop, function: str) -> AttackedServer:
    if function == "order":
        return AttackedServer(shop.orders[0], "POST /orders")
    return AttackedServer(shop.inventories[0], "PUT /reservations/R-hostile")
