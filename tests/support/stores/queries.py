"""Every query that the functions make of Firestore."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions_common.events.low_stock_outbox import FirestoreLowStockOutbox
from inventory_function.domain import ProductFilter
from inventory_function.store import Store as StockStore
from order_function.audit.snapshot import Snapshot
from order_function.domain import PUBLIC_STATUSES, Status
from order_function.ports import OrderFilter
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.store import FirestoreOrderStore
from support.stores.builders import soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions_common.firestore.client import FirestoreConnection

PLACE = (datetime(2026, 1, 1, tzinfo=UTC), "A1")
"""A list in the order of time."""

_TIMES: dict[str, Any] = {
    "created_from": PLACE[0],
    "created_before": PLACE[0] + timedelta(days=1),
}
_SEVERAL = frozenset((Status.CONFIRMED, Status.REJECTED))
FILTERS = {
    "of a customer": OrderFilter("C1"),
    "of a customer and statuses": OrderFilter("C1", _SEVERAL),
    "of a customer and times": OrderFilter("C1", **_TIMES),
    "of a customer, statuses and times": OrderFilter("C1", _SEVERAL, **_TIMES),
    "of a customer and a product": OrderFilter("C1", product_id="P1"),
    "all": OrderFilter(),
    "of statuses": OrderFilter(statuses=_SEVERAL),
    "of all statuses": OrderFilter(statuses=frozenset(PUBLIC_STATUSES)),
    "of times": OrderFilter(**_TIMES),
    "of statuses and times": OrderFilter(statuses=_SEVERAL, **_TIMES),
    "of a product": OrderFilter(product_id="P1"),
    "of a product and times": OrderFilter(product_id="P1", **_TIMES),
    "of a product and statuses": OrderFilter(statuses=_SEVERAL, product_id="P1"),
}
ON_SALE = ProductFilter(sold_in="USD")

QUERIES: dict[str, Callable[[FirestoreConnection], object]] = {
    **{
        f"orders: {name}": lambda it, wanted=wanted: FirestoreOrderStore(it).list_newest(  # type: ignore[misc]
            wanted, PLACE, 9, soon()
        )
        for name, wanted in FILTERS.items()
    },
    "changed orders": lambda it: FirestoreOrderStore(it).list_changed(
        PLACE[0], None, None, 9, soon()
    ),
    "changed orders after one": lambda it: FirestoreOrderStore(it).list_changed(
        PLACE[0], PLACE[0], PLACE, 9, soon()
    ),
    "orders by id": lambda it: FirestoreOrderStore(it).list_by_id("ORD", None, 9, soon()),
    "orders of a customer": lambda it: FirestoreOrderStore(it).orders_of("C1", None, 9, soon()),
    "orders of a customer after one": lambda it: FirestoreOrderStore(it).orders_of(
        "C1", "ORD1", 9, soon()
    ),
    "expired holds": lambda it: FirestoreUnfinishedWork(it).overdue_orders(
        PLACE[0], None, 9, soon()
    ),
    "products": lambda it: StockStore(it).products(None, 9, soon()),
    "products after one": lambda it: StockStore(it).products("P1", 9, soon()),
    "products on sale": lambda it: StockStore(it).products("P1", 9, soon(), ON_SALE),
    "products off sale": lambda it: StockStore(it).products(
        ("EUR", "P1"), 9, soon(), ProductFilter(not_sold_in="USD")
    ),
    "products on sale by name": lambda it: StockStore(it).products(
        ("Lap", "P1"), 9, soon(), replace(ON_SALE, name_prefix="La")
    ),
    "products on sale by stock": lambda it: StockStore(it).products(
        (1, "P1"), 9, soon(), replace(ON_SALE, max_available=5)
    ),
    "products by name": lambda it: StockStore(it).products(
        None, 9, soon(), ProductFilter(name_prefix="La")
    ),
    "products by stock": lambda it: StockStore(it).products(
        None, 9, soon(), ProductFilter(max_available=5)
    ),
    "adjustments": lambda it: StockStore(it).adjustments("P1", None, 9, soon()),
    "adjustments after one": lambda it: StockStore(it).adjustments("P1", PLACE, 9, soon()),
    "events of low stock": lambda it: FirestoreLowStockOutbox(it).unsent(None, 9, soon()),
    "events of low stock after one": lambda it: FirestoreLowStockOutbox(it).unsent("P1", 9, soon()),
    "reservations": lambda it: StockStore(it).reservations_of("P1", None, 9, soon()),
    "held reservations": lambda it: FirestoreUnfinishedWork(it).held_reservations(None, 9, soon()),
    "unfinished orders": lambda it: FirestoreUnfinishedWork(it).unfinished_orders(None, 9, soon()),
    "audited orders": lambda it: [*Snapshot(it).orders()],
    "audited reservations": lambda it: [*Snapshot(it).reservations()],
    "audited products": lambda it: [*Snapshot(it).products()],
    "audited adjustments": lambda it: [*Snapshot(it).adjustments()],
}
