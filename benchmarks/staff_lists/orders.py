"""Writes many orders into a database, without the protocol."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from functions_common.firestore.documents import Change, Documents
from functions_common.runtime.deadlines import Deadline
from order_function.domain import Attempt, By, Line, Order, PricedLine, Rejection
from order_function.order_documents import ORDERS, STORED_AT, to_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions_common.firestore.client import FirestoreConnection

BATCH = 400
"""Documents in one request."""
CUSTOMERS, PRODUCTS = 1_000, 200
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first order was placed. The others follow, one a second."""
_REJECTION = Rejection("insufficient-stock", "Not enough in stock")
_BY = By("operator")


def write(connection: FirestoreConnection, count: int) -> None:
    """Write the orders of ``made``. Raises RuntimeError if a write fails."""
    documents = Documents(connection)
    changes = []
    for number, order in enumerate(made(count), 1):
        path = ORDERS, order.order_id
        change = Change(path, to_document(order), None, server_time=STORED_AT)
        changes.append(documents.encode_write(change))
        if len(changes) == BATCH or number == count:
            failed = [error for error in documents.write_each(changes, Deadline.after(60)) if error]
            if failed:
                raise RuntimeError(f"an order cannot be written: {failed[0]}")
            changes = []


def made(count: int) -> Iterator[Order]:
    """Orders of two products. Most are fulfilled; of 20, one each is in another status."""
    for number in range(count):
        lines = [Line(product_id, 1) for product_id in products(number)]
        attempt = Attempt.begin(f"C{number % CUSTOMERS}", lines, None)
        items = tuple(PricedLine(each.product_id, 1, 99_999, "Laptop") for each in lines)
        yield _changed(number, attempt, items, FIRST + timedelta(seconds=number))


def products(number: int) -> tuple[str, str]:
    first = number % PRODUCTS
    return f"P{first:03}", f"P{(first + 1) % PRODUCTS:03}"


def _changed(number: int, attempt: Attempt, items: tuple[PricedLine, ...], now: datetime) -> Order:
    kind = (number + number // PRODUCTS) % 20
    if kind == 0:
        return Order.new_rejected(attempt, _REJECTION, now)
    order = Order.new_reserved(attempt, items, "USD", now)
    if kind == 1:
        return order
    if kind == 2:  # noqa: PLR2004
        return order.begin_cancel(_BY).finish_cancel(now)
    return order.begin_fulfil(_BY).finish_fulfil(now)
