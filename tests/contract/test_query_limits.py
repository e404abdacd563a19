"""No query of the functions is without a limit: what is small today may be a million documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from support.builders import soon
from support.crashing import CrashingShop, UnlimitedQueryError

from functions_common.firestore import Connection
from inventory_function.store import Store as StockStore
from order_function.backlog import FirestoreBacklog
from order_function.domain import Status
from order_function.snapshot import Snapshot
from order_function.store import Store as OrderStore

PLACE = (datetime(2026, 1, 1, tzinfo=UTC), "A1")
"""In a list by time."""

QUERIES: dict[str, Callable[[Connection], object]] = {
    "orders": lambda it: OrderStore(it).of_customer("C1", None, None, 9, soon()),
    "orders of a status": lambda it: OrderStore(it).of_customer(
        "C1", Status.CONFIRMED, PLACE, 9, soon()
    ),
    "products": lambda it: StockStore(it).products(None, 9, soon()),
    "products after one": lambda it: StockStore(it).products("P1", 9, soon()),
    "adjustments": lambda it: StockStore(it).adjustments("P1", None, 9, soon()),
    "adjustments after one": lambda it: StockStore(it).adjustments("P1", PLACE, 9, soon()),
    "reservations": lambda it: StockStore(it).reservations_of("P1", None, 9, soon()),
    "held reservations": lambda it: FirestoreBacklog(it).held(None, 9, soon()),
    "unfinished orders": lambda it: FirestoreBacklog(it).unfinished(None, 9, soon()),
    "audited orders": lambda it: [*Snapshot(it).orders()],
    "audited reservations": lambda it: [*Snapshot(it).reservations()],
    "audited products": lambda it: [*Snapshot(it).products()],
    "audited adjustments": lambda it: [*Snapshot(it).adjustments()],
}


@pytest.fixture
def shop(emulator: str) -> Iterator[CrashingShop]:
    """Its connections refuse what has no limit."""
    with CrashingShop(emulator) as shop:
        shop.begin()
        yield shop


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_has_a_limit(shop: CrashingShop, query: str) -> None:
    QUERIES[query](shop.order_connection)
    assert shop.network.calls[-1] == "order RunQuery"


def test_a_query_without_one_is_refused_here(shop: CrashingShop) -> None:
    with pytest.raises(UnlimitedQueryError):
        list(shop.order_connection.client.collection("orders").stream())
