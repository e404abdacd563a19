"""Orders that are placed while inventory is unavailable, and their later decision."""

from collections.abc import Callable

import pytest
from support.in_process.memory_shop import Between, MemoryShop, every_place
from support.stores.builders import BY, soon

from order_function.domain import (
    IdempotencyKeyReusedError,
    Line,
    NotFulfillableError,
    Order,
    OrderRejectedError,
    Status,
)
from order_function.ports import InventoryFailedError
from order_function.service import OrderOutcomeUnknownError

TWO = (Line("P001", 2),)


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=5)


def place_pending(shop: MemoryShop, *, reserved: bool = False, total: int | None = None) -> Order:
    """Place a pending order. ``reserved``: inventory reserved, but its reply was lost."""
    shop.inventory.away.append(True if reserved else None)
    order = shop.place("C1", TWO, "key", total, respond_async=True).order
    assert order.status is Status.PENDING
    return order


@pytest.mark.parametrize("carried_out", [True, None, False])
@pytest.mark.parametrize("key", ["key", None])
def test_an_order_is_pending_when_inventory_is_unavailable_and_the_client_accepts_it(
    shop: MemoryShop, key: str | None, *, carried_out: bool | None
) -> None:
    shop.inventory.away.append(carried_out)
    placed = shop.place("C1", TWO, key, respond_async=True)
    assert (placed.order.status, placed.replayed) == (Status.PENDING, False)
    assert placed.order.lines == TWO
    assert not placed.order.items, "no price is known yet"
    assert shop.orders.get(placed.order.order_id) == placed.order


def test_an_order_is_not_pending_when_the_client_does_not_accept_it(shop: MemoryShop) -> None:
    shop.inventory.away.append(None)
    with pytest.raises(OrderOutcomeUnknownError):
        shop.place("C1", TWO, "key")
    assert not shop.store.documents


def test_an_order_is_confirmed_when_inventory_is_available(shop: MemoryShop) -> None:
    assert shop.place("C1", TWO, None, respond_async=True).order.status is Status.CONFIRMED


@pytest.mark.parametrize("away", [[], [None]], ids=["inventory is back", "still away"])
def test_a_retry_replays_a_pending_order(shop: MemoryShop, away: list[None]) -> None:
    order = place_pending(shop)
    shop.inventory.away.extend(away)
    again = shop.place("C1", TWO, "key", respond_async=True)
    assert (again.order, again.replayed) == (order, True)
    shop.orders.decide_pending(order.order_id)
    assert shop.held == {order.reservation_id: 2}


def test_another_body_is_rejected_and_keeps_no_stock_when_it_uses_the_key(shop: MemoryShop) -> None:
    order = place_pending(shop, reserved=True)
    with pytest.raises(IdempotencyKeyReusedError):
        shop.place("C1", [Line("P001", 1)], "key")
    assert shop.held == {order.reservation_id: 2}


@pytest.mark.parametrize("reserved", [True, False])
def test_a_pending_order_is_completed_at_the_price_of_its_reservation(
    shop: MemoryShop, *, reserved: bool
) -> None:
    order = place_pending(shop, reserved=reserved)
    for _ in range(2):
        completed = shop.orders.decide_pending(order.order_id)
        assert (completed.status, completed.total_price) == (Status.CONFIRMED, 2 * 99_999)
    assert shop.held == {order.reservation_id: 2}
    assert shop.inventory.available["P001"] == 3


def test_a_pending_order_stays_pending_when_inventory_is_unavailable(shop: MemoryShop) -> None:
    order = place_pending(shop)
    shop.inventory.away.append(None)
    with pytest.raises(InventoryFailedError):
        shop.orders.decide_pending(order.order_id)
    assert shop.orders.get(order.order_id) == order


def test_a_pending_order_is_rejected_with_a_reason_when_stock_is_short(shop: MemoryShop) -> None:
    order = place_pending(shop)
    shop.inventory.available["P001"] = 1
    rejected = shop.orders.decide_pending(order.order_id)
    assert rejected.status is Status.REJECTED
    assert rejected.rejection is not None
    assert rejected.rejection.kind == "insufficient-stock"
    shop.inventory.available["P001"] = 100
    assert shop.orders.decide_pending(order.order_id) == rejected, "the rejection is final"
    with pytest.raises(OrderRejectedError) as replayed:
        shop.place("C1", TWO, "key")
    assert (replayed.value.rejection, replayed.value.replayed) == (rejected.rejection, True)
    assert shop.inventory.available["P001"] == 100


def test_a_pending_order_is_rejected_when_its_reservation_was_released(shop: MemoryShop) -> None:
    order = place_pending(shop, reserved=True)
    shop.inventory.release([order.reservation_id], soon())
    rejected = shop.orders.decide_pending(order.order_id)
    assert rejected.rejection is not None
    assert (rejected.status, rejected.rejection.kind) == (Status.REJECTED, "reservation-released")
    assert shop.inventory.available["P001"] == 5


def test_a_pending_order_is_rejected_when_the_price_changed(shop: MemoryShop) -> None:
    order = place_pending(shop, total=1)
    rejected = shop.orders.decide_pending(order.order_id)
    assert rejected.rejection is not None
    assert (rejected.status, rejected.rejection.kind) == (Status.REJECTED, "price-changed")
    assert shop.inventory.available["P001"] == 5


def test_a_rejected_order_stays_rejected_when_its_stock_cannot_be_released(
    shop: MemoryShop,
) -> None:
    order = place_pending(shop, total=1)
    release = Between(5, lambda: shop.inventory.away.append(None))  # read, reserve, read, write
    with pytest.raises(InventoryFailedError):
        shop.orders_with(release).decide_pending(order.order_id)
    assert shop.orders.get(order.order_id).status is Status.REJECTED
    assert shop.sweep().released == 1
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize("reserved", [True, False])
def test_cancelling_a_pending_order_releases_its_stock(shop: MemoryShop, *, reserved: bool) -> None:
    order = place_pending(shop, reserved=reserved)
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED
    assert shop.orders.decide_pending(order.order_id).status is Status.CANCELLED
    assert shop.place("C1", TWO, "key").order.status is Status.CANCELLED, "a late delivery"
    assert not shop.held
    assert shop.inventory.available["P001"] == 5


def test_a_pending_order_cannot_be_fulfilled(shop: MemoryShop) -> None:
    order = place_pending(shop)
    with pytest.raises(NotFulfillableError):
        shop.orders.fulfil(order.order_id, BY)
    assert shop.orders.get(order.order_id) == order


@pytest.mark.parametrize("faults", [["conflict"], ["lost"], ["dropped"]])
def test_completing_succeeds_when_writes_fail(shop: MemoryShop, faults: list[str]) -> None:
    order = place_pending(shop)
    shop.store.faults.coming.extend(faults)
    assert shop.orders.decide_pending(order.order_id).status is Status.CONFIRMED
    assert shop.held == {order.reservation_id: 2}


def completed(shop: MemoryShop, order_id: str) -> None:
    shop.orders.decide_pending(order_id)


def cancelled(shop: MemoryShop, order_id: str) -> None:
    shop.orders.cancel(order_id, BY)


@pytest.mark.parametrize("other", [completed, cancelled])
def test_completing_keeps_or_releases_the_stock_when_another_process_acts_in_between(
    other: Callable[[MemoryShop, str], None],
) -> None:
    def act(place: int) -> Between:
        shop = MemoryShop(P001=5)
        order_id = place_pending(shop).order_id
        between = Between(place, lambda: other(shop, order_id))
        shop.orders_with(between).decide_pending(order_id)
        order = shop.orders.get(order_id)
        if other is completed or not between.happened:
            assert order.status is Status.CONFIRMED
            assert shop.held == {order.reservation_id: 2}
        else:
            assert order.status is Status.CANCELLED
            assert shop.inventory.available["P001"] == 5
        return between

    every_place(act)
