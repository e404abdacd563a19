"""An order is read back from its document exactly as it was written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Write
from hypothesis import given
from hypothesis import strategies as st
from support.in_process.memory_shop import MemoryShop
from support.stores.builders import BY, SOON
from support.stores.fakes import FakeInventory, MemoryOrders

from functions_common.firestore.documents import (
    Change,
    Document,
    decode_document,
    encode_change,
)
from functions_common.firestore.errors import (
    DamagedDocumentError,
    StoreRejectedError,
)
from order_function.domain import (
    MAX_LINES,
    MAX_QUANTITY,
    MAX_TOTAL,
    Attempt,
    Line,
    MovementKind,
    NewerRevisionError,
    Order,
    OrderRejectedError,
    PricedLine,
    Rejection,
    merge_lines,
)
from order_function.inventory.replies import MAX_PRICE
from order_function.order_documents import read_order, to_document
from order_function.service import Orders

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
LINE = (Line("P001", 1),)
TOTALS = [MAX_TOTAL - 1, MAX_TOTAL, MAX_TOTAL + 1, MAX_LINES * MAX_QUANTITY * MAX_PRICE]


def read_back(order: Order) -> Order:
    """The order after a write to Firestore and a read from it, as protobuf bytes."""
    write = Write.pb()()
    encode_change(Change(("orders", order.order_id), to_document(order), None), write, "root/")
    sent = type(write).FromString(write.SerializeToString())
    return read_order(decode_document(("orders", order.order_id), sent.update))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
product_ids = st.from_regex(r"[A-Z0-9]{1,8}", fullmatch=True)
quantities = st.integers(1, MAX_QUANTITY)
lines = st.lists(st.builds(Line, product_ids, quantities), min_size=1, max_size=MAX_LINES).map(
    merge_lines
)


@st.composite
def inventory_rejections(draw: st.DrawFn) -> Rejection:
    if draw(st.booleans()):
        ids = draw(st.lists(product_ids, min_size=1, max_size=5))
        return Rejection("unknown-product", draw(texts), {"product_ids": ids})
    shortage = st.fixed_dictionaries(
        {
            "product_id": product_ids,
            "requested": quantities,
            "available_quantity": st.integers(0, MAX_QUANTITY),
        }
    )
    short = draw(st.lists(shortage, min_size=1, max_size=5))
    return Rejection("insufficient-stock", draw(texts), {"lines": short})


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """An order of each kind that the domain makes."""
    key = draw(st.none() | st.just("key"))
    expected = draw(st.none() | st.integers(0, MAX_TOTAL))
    attempt = Attempt.begin(draw(product_ids), draw(lines), key, expected)
    pending = Order.new_pending(attempt, NOW)
    prices = st.integers(0, MAX_PRICE) | st.just(MAX_PRICE)
    items = tuple(
        PricedLine(line.product_id, line.quantity, draw(prices), draw(texts))
        for line in attempt.lines
    )
    decided = pending.confirm_or_reject(items, "USD", "customer", NOW)
    found = [
        pending,
        decided,
        pending.reject(draw(inventory_rejections()), "customer", NOW),
        pending.reject(Rejection("reservation-released", draw(texts)), "customer", NOW),
    ]
    if decided.rejection is None:
        found += [decided.begin_cancel(BY), decided.begin_cancel(BY).finish_cancel(NOW)]
        found += [decided.begin_fulfil(BY), decided.begin_fulfil(BY).finish_fulfil(NOW)]
    return draw(st.sampled_from(found))


@given(orders())
def test_every_order_of_the_domain_is_read_back_equal(order: Order) -> None:
    assert read_back(order) == order


@pytest.mark.parametrize("total", TOTALS)
def test_a_price_rejection_is_read_back_equal_at_any_total(total: int) -> None:
    order = Order.new_reserved(
        Attempt.begin("C1", LINE, "key", 1), (PricedLine("P001", 1, total, "Yacht"),), "USD", NOW
    )
    assert read_back(order) == order
    assert order.rejection is not None
    assert int(order.rejection.extensions["total_price"]) == total


def test_movement_that_only_a_newer_revision_knows_is_left_to_it() -> None:
    shop = MemoryShop(P001=9)
    order = shop.place("C1", (Line("P001", 2),), "key").order
    changing = order.begin_movement(MovementKind.CONSUME, {"1": 1}, BY, "K1")
    fields: dict[str, Any] = to_document(changing)
    fields["movement"]["kind"] = "exchange"
    found = read_order(Document(("orders", order.order_id), fields, NOW))
    assert (found.status, found.of_newer_revision, found.movement) == ("changing", True, None)
    assert found.owns(order.reservation_id)
    for change in (found.begin_cancel, found.begin_fulfil):
        with pytest.raises(NewerRevisionError):
            change(BY)
    with pytest.raises(NewerRevisionError):
        found.begin_movement(MovementKind.CONSUME, {"1": 1}, BY, "K2")


class StoreOfDocuments(MemoryOrders):
    """Reads back the document of each order."""

    def get(self, order_id: str, deadline: Any) -> Any:
        found = super().get(order_id, deadline)
        return None if found is None else (read_back(found[0]), found[1])


class PricedInventory(FakeInventory):
    """Each unit costs ``price``."""

    price = 1

    def reserve(self, *args: Any) -> tuple[tuple[PricedLine, ...], str]:
        items, currency = super().reserve(*args)
        return tuple(
            PricedLine(i.product_id, i.quantity, self.price, i.name) for i in items
        ), currency


@pytest.mark.parametrize("total", TOTALS)
def test_a_repeat_gets_the_same_price_rejection_at_any_total(total: int) -> None:
    inventory = PricedInventory(P001=9)
    inventory.price = total
    shop = Orders(StoreOfDocuments(), inventory, SOON)
    found = []
    for _ in range(2):
        with pytest.raises(OrderRejectedError) as rejected:
            shop.place(Attempt.begin("C1", LINE, "key", 1))
        found.append(rejected.value)
    assert [each.replayed for each in found] == [False, True]
    assert found[0].rejection == found[1].rejection
    assert inventory.available["P001"] == 9


@pytest.mark.parametrize("away", [False, True])
def test_a_repeat_is_a_damaged_document_when_the_order_of_its_key_is_damaged(*, away: bool) -> None:
    """Not an unknown outcome: the client would repeat the request for ever."""
    shop = MemoryShop(P001=9)
    order = shop.place("C1", LINE, "key").order
    shop.store.damage(order.order_id)
    if away:
        shop.inventory.away.extend([False] * 100)
    with pytest.raises(DamagedDocumentError):
        shop.place("C1", LINE, "key")
    assert shop.held == {order.reservation_id: 1}, "the order owns it"


@pytest.mark.parametrize("key", [None, "key"])
def test_an_order_that_the_database_rejects_is_no_unknown_outcome(key: str | None) -> None:
    shop = MemoryShop(P001=9)
    shop.store.faults.coming.append("rejected")
    with pytest.raises(StoreRejectedError):
        shop.place("C1", LINE, key)
    assert not shop.store.documents
