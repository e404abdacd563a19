"""The steps of the protocol: documents, responses and stock after each of them."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from support.in_process.memory_shop import Between, MemoryShop
from support.stores.builders import BY

from order_function.domain import (
    Address,
    Attempt,
    Details,
    IdempotencyKeyReusedError,
    Line,
    NotCancellableError,
    Order,
    OrderNotFoundError,
    OrderRejectedError,
    Status,
    is_order_id,
)
from order_function.ports import InventoryFailedError
from order_function.service import OrderOutcomeUnknownError, Placed

TWO = (Line("P001", 2),)


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=5, P002=1)


def test_an_order_is_confirmed_at_the_reserved_prices(shop: MemoryShop) -> None:
    placed = shop.place("C1", TWO, None)
    assert not placed.replayed
    assert is_order_id(placed.order.order_id)
    assert placed.order.status is Status.CONFIRMED
    assert placed.order.total_price == 2 * 99_999
    assert shop.held == {placed.order.reservation_id: 2}


def test_two_equal_requests_are_two_orders_without_a_key(shop: MemoryShop) -> None:
    first, second = (shop.place("C1", TWO, None).order for _ in range(2))
    assert first.order_id != second.order_id
    assert shop.inventory.available["P001"] == 1


def test_two_equal_requests_are_one_order_with_the_same_key(shop: MemoryShop) -> None:
    first = shop.place("C1", TWO, "key")
    again = shop.place("C1", TWO, "key")
    assert again.order == first.order
    assert (first.replayed, again.replayed) == (False, True)
    assert shop.held == {first.order.reservation_id: 2}


def test_a_key_belongs_to_its_customer(shop: MemoryShop) -> None:
    mine, theirs = (shop.place(who, TWO, "key").order for who in ("C1", "C2"))
    assert mine.order_id != theirs.order_id


def test_two_bodies_are_equal_when_only_the_order_of_lines_differs(shop: MemoryShop) -> None:
    first = shop.place("C1", [Line("P001", 1), Line("P002", 1), Line("P001", 1)], "key")
    again = shop.place("C1", [Line("P002", 1), Line("P001", 2)], "key")
    assert again.order == first.order


def test_another_body_is_rejected_and_keeps_no_stock_when_it_uses_the_same_key(
    shop: MemoryShop,
) -> None:
    first = shop.place("C1", TWO, "key").order
    with pytest.raises(IdempotencyKeyReusedError):
        shop.place("C1", [Line("P001", 3)], "key")
    assert shop.held == {first.reservation_id: 2}
    assert shop.inventory.available["P001"] == 3


def test_a_rejection_writes_nothing_without_a_key(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], None)
    assert refused.value.order_id is None
    assert refused.value.rejection.extensions["lines"][0]["available_quantity"] == 5
    assert not shop.store.documents


def test_a_rejection_with_a_key_is_final_when_stock_arrives_later(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    shop.inventory.available["P001"] = 100
    with pytest.raises(OrderRejectedError) as again:
        shop.place("C1", [Line("P001", 6)], "key")
    assert (refused.value.replayed, again.value.replayed) == (False, True)
    assert again.value.rejection == refused.value.rejection
    assert shop.inventory.available["P001"] == 100
    assert not shop.held


def test_an_order_is_rejected_when_a_product_is_unknown(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P999", 1)], None)
    assert refused.value.rejection.kind == "unknown-product"


@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_a_create_of_unknown_outcome_is_read_again(shop: MemoryShop, fault: str) -> None:
    shop.store.faults.coming.append(fault)
    placed = shop.place("C1", TWO, "key")
    assert not placed.replayed, "the delivery finds its own write"
    assert len(shop.store.documents) == 1
    assert shop.held == {placed.order.reservation_id: 2}


def test_the_error_names_the_order_when_a_create_stays_unknown() -> None:
    shop = MemoryShop(deadline_seconds=0.2, P001=5)
    shop.store.faults.coming.extend(["dropped"] * 100)
    with pytest.raises(OrderOutcomeUnknownError) as unknown:
        shop.place("C1", TWO, "key")
    shop.store.faults.coming.clear()
    assert shop.place("C1", TWO, "key").order.order_id == unknown.value.order_id


def test_the_error_names_the_order_when_the_store_fails_after_the_reservation(
    shop: MemoryShop,
) -> None:
    shop.store.faults.coming.append("away")
    with pytest.raises(OrderOutcomeUnknownError) as unknown:
        shop.place("C1", TWO, "key")
    placed = shop.place("C1", TWO, "key")
    assert placed.order.order_id == unknown.value.order_id
    assert shop.held == {placed.order.reservation_id: 2}


def test_a_retry_places_the_order_when_the_process_crashed_after_the_reservation(
    shop: MemoryShop,
) -> None:
    crashed = Attempt.begin("C1", TWO, "key")
    shop.inventory.hold(crashed.reservation_id, crashed.lines)
    placed = shop.place("C1", TWO, "key")
    assert placed.order.reservation_id == crashed.reservation_id
    assert shop.inventory.available["P001"] == 3


@pytest.mark.parametrize("carried_out", [True, None, False])
def test_an_order_without_a_key_is_not_placed_when_inventory_is_unavailable(
    shop: MemoryShop, *, carried_out: bool | None
) -> None:
    shop.inventory.away.append(carried_out)
    with pytest.raises(InventoryFailedError):
        shop.place("C1", TWO, None)
    assert not shop.store.documents


@pytest.mark.parametrize("carried_out", [True, None, False])
def test_an_order_with_a_key_names_its_id_when_inventory_is_unavailable(
    shop: MemoryShop, *, carried_out: bool | None
) -> None:
    shop.inventory.away.append(carried_out)
    with pytest.raises(OrderOutcomeUnknownError) as unknown:
        shop.place("C1", TWO, "key")
    again = shop.place("C1", TWO, "key")
    assert again.order.order_id == unknown.value.order_id
    assert shop.inventory.available["P001"] == 3


def test_cancelling_releases_the_stock_once(shop: MemoryShop) -> None:
    order = shop.place("C1", TWO, None).order
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED
    assert shop.inventory.available["P001"] == 5
    assert not shop.held


def test_a_cancelled_order_is_replayed_and_takes_no_stock(shop: MemoryShop) -> None:
    order = shop.place("C1", TWO, "key").order
    shop.orders.cancel(order.order_id, BY)
    again = shop.place("C1", TWO, "key")
    assert (again.replayed, again.order.status) == (True, Status.CANCELLED)
    assert shop.inventory.available["P001"] == 5


def test_cancelling_is_finished_by_a_retry_when_inventory_was_unavailable(shop: MemoryShop) -> None:
    order = shop.place("C1", TWO, None).order
    shop.inventory.away.append(None)
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLING
    assert shop.inventory.available["P001"] == 3
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize("faults", [["conflict"], ["lost"], ["dropped"], ["", "lost"]])
def test_cancelling_succeeds_when_writes_fail(shop: MemoryShop, faults: list[str]) -> None:
    order = shop.place("C1", TWO, None).order
    shop.store.faults.coming.extend(faults)
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED
    assert shop.inventory.available["P001"] == 5


def test_a_rejected_order_cannot_be_cancelled(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    assert refused.value.order_id is not None
    with pytest.raises(NotCancellableError):
        shop.orders.cancel(refused.value.order_id, BY)


@pytest.mark.parametrize("status", [Status.FULFILLING, Status.FULFILLED])
def test_a_shipped_order_cannot_be_cancelled(status: Status) -> None:
    order = Order.new_reserved(Attempt.begin("C1", TWO, None), (), "USD", datetime.now(UTC))
    with pytest.raises(NotCancellableError):
        replace(order, status=status).begin_cancel(BY)


PRICE = 99_999


def test_an_order_is_confirmed_at_the_expected_total(shop: MemoryShop) -> None:
    assert shop.place("C1", TWO, "key", 2 * PRICE).order.status is Status.CONFIRMED


def test_an_order_is_rejected_and_keeps_no_stock_at_another_total(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", TWO, "key", 2 * PRICE - 1)
    assert refused.value.rejection.kind == "price-changed"
    assert refused.value.rejection.extensions == {"total_price": 2 * PRICE, "currency": "USD"}
    assert refused.value.order_id is not None
    assert shop.stored(refused.value.order_id).status is Status.REJECTED
    assert shop.inventory.available["P001"] == 5
    with pytest.raises(OrderRejectedError) as again:
        shop.place("C1", TWO, "key", 2 * PRICE - 1)
    assert again.value.replayed


def test_a_price_rejection_is_written_before_the_stock_is_released(shop: MemoryShop) -> None:
    shop.store.faults.coming.append("away")
    with pytest.raises(OrderOutcomeUnknownError):
        shop.place("C1", TWO, "key", 1)
    assert sum(shop.held.values()) == 2


def test_a_price_rejection_writes_nothing_without_a_key(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", TWO, None, 1)
    assert refused.value.order_id is None
    assert not shop.store.documents
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize(("key", "calls_before"), [("key", 2), (None, 1)])
def test_a_price_rejection_stands_when_the_stock_cannot_be_released(
    shop: MemoryShop, key: str | None, calls_before: int
) -> None:
    release = Between(calls_before + 1, lambda: shop.inventory.away.append(None))
    with pytest.raises(OrderRejectedError):
        shop.place("C1", TWO, key, 1, between=release)
    assert shop.inventory.available["P001"] == 3
    assert shop.sweep().released == 1
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize("other", [None, 2 * PRICE + 1])
def test_two_bodies_differ_when_their_expected_totals_differ(
    shop: MemoryShop, other: int | None
) -> None:
    first = shop.place("C1", TWO, "key", 2 * PRICE).order
    with pytest.raises(IdempotencyKeyReusedError):
        shop.place("C1", TWO, "key", other)
    assert shop.held == {first.reservation_id: 2}


def test_the_fingerprint_of_a_body_without_expected_total_never_changes() -> None:
    """Stored orders have this fingerprint, so it must never change."""
    assert Attempt.begin("C1", TWO, "key").fingerprint == "ZBZNXD71AZE4MSQ6V01X64DGV4"
    assert Attempt.begin("C1", TWO, "key", 1).fingerprint != "ZBZNXD71AZE4MSQ6V01X64DGV4"


def test_details_without_a_value_are_not_in_the_fingerprint() -> None:
    """So a later revision can have a new optional field."""
    address = Address("Ada", "12 St James's Square", "London", "GB")
    assert Details("WEB-1", shipping_address=address).canonical() == (
        '{"reference":"WEB-1","shipping_address":{"city":"London","country":"GB",'
        '"line1":"12 St James\'s Square","name":"Ada"}}'
    )


def test_a_rejection_is_no_replay_when_the_delivery_wrote_it(shop: MemoryShop) -> None:
    shop.store.faults.coming.append("lost")
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    assert not refused.value.replayed


def test_a_later_delivery_replays_the_first(shop: MemoryShop) -> None:
    placed: list[Placed] = []
    create = Between(2, lambda: placed.append(shop.place("C1", TWO, "key")))
    second = shop.place("C1", TWO, "key", between=create)
    assert second.order == placed[0].order
    assert (placed[0].replayed, second.replayed) == (False, True)
    assert shop.held == {second.order.reservation_id: 2}


def test_every_use_case_fails_when_there_is_no_such_order(shop: MemoryShop) -> None:
    for use_case in (
        shop.orders.get,
        partial(shop.orders.cancel, by=BY),
        partial(shop.orders.fulfil, by=BY),
        partial(shop.orders.confirm, by=BY),
        shop.orders.decide_pending,
    ):
        with pytest.raises(OrderNotFoundError):
            use_case("ORD" + "0" * 26)
