"""Entry point of inventory in the usual design, beside functions/inventory/main.py."""

from __future__ import annotations

import os

from benchmarks.shop.usual.transactions import Transactions
from functions_common.firestore.client import FirestoreConnection
from inventory_function.app import create_app
from inventory_function.service import Inventory
from inventory_function.settings import Settings
from inventory_function.store import Store


class UsualInventory(Inventory):
    def __init__(
        self, connection: FirestoreConnection, currency: str, deadline_seconds: float
    ) -> None:
        super().__init__(Store(connection), currency, deadline_seconds)
        self._group = Transactions(connection)  # type: ignore[assignment]


settings = Settings.load(os.environ)
connection = FirestoreConnection(settings.firestore)
connection.prepare()
app = create_app(
    settings, UsualInventory(connection, settings.currency, settings.request_deadline_seconds)
)
