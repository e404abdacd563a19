"""Entry point of order without batches, beside functions/order/main.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from functions_common.firestore.client import FirestoreConnection
from order_function.app import create_app
from order_function.inventory.client import InventoryClient
from order_function.order_documents import to_document
from order_function.service import Orders
from order_function.settings import Settings
from order_function.store import FirestoreOrderStore

if TYPE_CHECKING:
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Order
    from order_function.inventory.replies import Reply


class UnbatchedOrders(FirestoreOrderStore):
    def create(self, order: Order, deadline: Deadline) -> None:
        self._documents.commit([self._change(order, to_document(order), None)], deadline)


class UnbatchedClient(InventoryClient):
    def _call(self, *args: Any, reservation: object = None, **named: Any) -> Reply:  # noqa: ANN401, ARG002 - as in the client
        """Send each reservation alone: without ``reservation`` it is not queued for a batch."""
        return super()._call(*args, **named)


settings = Settings.load(os.environ)
connection = FirestoreConnection(settings.firestore)
connection.prepare()
inventory = UnbatchedClient(
    settings.inventory_service_url,
    settings.token,
    settings.server.concurrency,
    settings.currency,
)
store = UnbatchedOrders(connection)
app = create_app(settings, Orders(store, inventory, settings.request_deadline_seconds))
