"""Entry point of inventory with a commit for each request, beside functions/inventory/main.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from functions_common.firestore.client import FirestoreConnection
from inventory_function import transactions
from inventory_function.app import create_app
from inventory_function.service import Inventory
from inventory_function.settings import Settings
from inventory_function.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.operations import StockOperation
    from inventory_function.transactions import Outcome


class CommitEach:
    """Replaces inventory's ``GroupCommit``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, operation: StockOperation[Any], deadline: Deadline) -> Any:  # noqa: ANN401
        (outcome,) = self.run_all([operation], deadline)
        return outcome.result()

    def run_all(
        self, operations: Sequence[StockOperation[Any]], deadline: Deadline
    ) -> list[Outcome]:
        return transactions.Transactions(self._store).execute(operations, deadline)


settings = Settings.load(os.environ)
connection = FirestoreConnection(settings.firestore)
connection.prepare()
store = Store(connection)
# The pauses grow, as usual where each request retries on its own.
transactions.CONFLICT_PAUSE_CEILING = transactions.MAX_PAUSE_CEILING
inventory = Inventory(store, settings.currency, settings.request_deadline_seconds)
inventory._group = CommitEach(store)  # type: ignore[assignment]  # noqa: SLF001
app = create_app(settings, inventory)
