"""Every field of an order with a value of every type: the order is damaged, or all can show it.

A list, an export and the publisher show many orders at once, so none of them may raise an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.memory_shop import MemoryShop
from support.stores.any_value import variants
from support.stores.builders import BY, NOW

from functions_common.firestore.documents import Document
from functions_common.firestore.errors import DamagedDocumentError
from functions_common.http.app import encode_json
from functions_common.ids import is_id
from order_function.domain import (
    Address,
    Attempt,
    Details,
    Line,
    MovementKind,
    Order,
    PricedLine,
    Rejection,
)
from order_function.events import cloud_event
from order_function.order_documents import difference, read_order, to_document
from order_function.schemas import OrderResponse, order_extensions

if TYPE_CHECKING:
    from collections.abc import Callable

DETAILS = Details("WEB-1", "note", {"a": "b"}, Address("Ann", "1 High St", "York", "GB"))
LINES = (Line("P001", 2), Line("P002", 1))


def reserved(hold_seconds: int | None = None, expected_total: int | None = None) -> Order:
    attempt = Attempt.begin("C1", LINES, "key", expected_total, hold_seconds, DETAILS)
    items = tuple(PricedLine(line.product_id, line.quantity, 999, "Mouse") for line in LINES)
    return Order.new_reserved(attempt, items, "USD", NOW)


def rejected(**extensions: list[Any]) -> Order:
    pending = Order.new_pending(Attempt.begin("C1", LINES, "key"), NOW)
    return pending.reject(Rejection("insufficient-stock", "Short", extensions), "customer", NOW)


def moved() -> Order:
    """An order with two movements, of which the last one is open."""
    shop = MemoryShop(P001=9)
    order = shop.place("C1", LINES[:1], "key").order
    shop.orders.change_part(order.order_id, MovementKind.CONSUME, {"1": 1}, BY, "K1")
    shop.inventory.away.extend([True] * 100)
    shop.orders.change_part(order.order_id, MovementKind.RELEASE, {"1": 1}, BY, "K2")
    return shop.stored(order.order_id)


ORDERS: dict[str, Callable[[], Order]] = {
    "confirmed": reserved,
    "with a hold": lambda: reserved(hold_seconds=60),
    "changing": moved,
    "of another price": lambda: reserved(expected_total=1),
    "short": lambda: rejected(
        lines=[{"product_id": "P001", "requested": 2, "available_quantity": 1}]
    ),
    "unknown": lambda: rejected(product_ids=["P001"]),
    "above its limit": lambda: rejected(
        limits=[{"product_id": "P001", "requested": 2, "max_per_order": 1}]
    ),
}


def show(order: Order) -> None:
    """All that lists, exports and the publisher make of an order."""
    encode_json(OrderResponse.of(order))
    encode_json(order_extensions(order))
    for number in range(order.events_sent, len(order.history)):
        cloud_event.to_request(order, number + 1)
    assert is_id(order.reservation_id)
    assert difference(order, order) == ({}, [], [])


@pytest.mark.parametrize("kind", ORDERS)
def test_order_is_damaged_or_shown_when_any_field_has_any_value(kind: str) -> None:
    order = ORDERS[kind]()
    fields = to_document(order)
    show(read_order(Document(("orders", order.order_id), fields, NOW)))
    found = {True: 0, False: 0}
    for what, changed in variants(fields):
        try:
            read = read_order(Document(("orders", order.order_id), changed, NOW))
        except DamagedDocumentError:
            found[False] += 1
            continue
        found[True] += 1
        try:
            show(read)
        except Exception as error:
            raise AssertionError(what) from error
    assert min(found.values()) > 50, found
