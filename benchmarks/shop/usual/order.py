"""Entry point of order in the usual design, beside functions/order/main.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.shop.usual.transactions import OrderStore
from functions_common.firestore.client import FirestoreConnection
from order_function.app import create_app
from order_function.inventory import client
from order_function.inventory.circuit import Circuit
from order_function.inventory.client import InventoryClient
from order_function.service import Orders
from order_function.settings import Settings

if TYPE_CHECKING:
    from order_function.inventory.replies import Reply

CALL_SECONDS = 60.0
"""Deadline of a call. The usual design has no shorter one, no circuit breaker and no batching."""


class NeverOpen(Circuit):
    def allows(self) -> bool:
        return True


class PatientClient(InventoryClient):
    def __init__(self, url: str, token: str, connections: int, currency: str) -> None:
        super().__init__(url, token, connections, currency)
        self._circuit = NeverOpen()

    def _call(self, *args: Any, reservation: object = None, **named: Any) -> Reply:  # noqa: ANN401, ARG002 - as in the client
        """Send each reservation alone: without ``reservation`` it is not queued for a batch."""
        return super()._call(*args, **named)


client.CALL_TIMEOUT_SECONDS = CALL_SECONDS
settings = Settings.load(os.environ)
connection = FirestoreConnection(settings.firestore)
connection.prepare()
inventory = PatientClient(
    settings.inventory_service_url,
    settings.token,
    settings.server.concurrency,
    settings.currency,
)
app = create_app(settings, Orders(OrderStore(connection), inventory, CALL_SECONDS))
