"""Documents of other revisions, written into a database field by field.

tests/fixtures/documents has a line for each document: its path, and its fields in Firestore's JSON.
``previous`` is an export of a database of the previous revision. ``next`` has the same documents
with fields at every depth that a later revision may add, and two orders of unknown statuses.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from local.stack import ROOT

from functions_common.firestore.messages import BatchWriteRequest, Write
from inventory_function.store import Store as StockStore
from order_function.reconcile.sweep import Report, Sweep
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.service import Orders
from order_function.store import FirestoreOrderStore
from support.in_process.apps import OPERATOR, inventory_app, order_app, signed
from support.in_process.client import client_of

if TYPE_CHECKING:
    from functions_common.firestore.client import FirestoreConnection

NO_TIME = timedelta()
SECONDS = 30
FIXTURES = ROOT / "tests/fixtures/documents"


def load(connection: FirestoreConnection, name: str) -> None:
    """Write the documents of a fixture."""
    rpcs = connection.rpcs
    writes = []
    for line in (FIXTURES / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        document = {"name": f"{rpcs.root}{row['path']}", "fields": row["fields"]}
        writes.append(json_format.ParseDict({"update": document}, Write()))
    request = BatchWriteRequest(database=rpcs.database, writes=writes)
    response = rpcs.batch_write(request, timeout=SECONDS, metadata=rpcs.metadata)
    assert not any(status.code for status in response.status)


class Shop:
    """Stores and apps of this revision in one process, on a database."""

    def __init__(self, connection: FirestoreConnection) -> None:
        self.connection = connection
        self.stock = StockStore(connection)
        self.orders = FirestoreOrderStore(connection)
        inventory = inventory_app(self.stock)
        self.client = client_of(inventory)
        self.inventory_http = inventory.test_client()
        self.order_http = order_app(self.orders, self.client).test_client()

    def list_orders(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page: Any = {"next_cursor": ""}
        while page["next_cursor"] is not None:
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
            args = {"customer_id": "C123", "limit": "3", **query, **cursor}
            response = self.order_http.get("/orders", query_string=args)
            assert response.status_code == 200
            page = response.json
            found += page["orders"]
        return found

    def list_products(self) -> list[str]:
        """The ids of the products that order shows to customers."""
        response = self.order_http.get("/products")
        assert response.status_code == 200
        page: Any = response.json
        return [each["product_id"] for each in page["products"]]

    def ids(self, status: str) -> list[str]:
        return [each["order_id"] for each in self.list_orders() if each["status"] == status]

    def post(self, path: str) -> Any:
        operator = {"Authorization": f"Bearer {OPERATOR}"} if path.endswith("fulfil") else {}
        return self.order_http.post(path, headers=operator)

    def inventory(self, path: str) -> Any:
        return self.inventory_http.get(path, headers=signed(path))

    def sweep(self) -> Report:
        orders = Orders(self.orders, self.client, 5)
        work = FirestoreUnfinishedWork(self.connection)
        return Sweep(work, self.orders, self.client, orders, NO_TIME).run()

    def stored(self, path: str) -> dict[str, Any]:
        return self.connection.client.document(path).get().to_dict() or {}
