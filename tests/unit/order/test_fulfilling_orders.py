"""Fulfilling an order counts its stock as shipped, once."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from support.in_process.memory_shop import Between, MemoryShop, every_place
from support.stores.builders import soon

from order_function.domain import (
    Line,
    NotCancellableError,
    NotFulfillableError,
    Order,
    OrderError,
    OrderRejectedError,
    Status,
)

TWO = (Line("P001", 2),)


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=5)


@pytest.fixture
def order(shop: MemoryShop) -> Order:
    return shop.place("C1", TWO, "key").order


def test_fulfilling_counts_the_stock_as_shipped_once(shop: MemoryShop, order: Order) -> None:
    for _ in range(2):
        assert shop.orders.fulfil(order.order_id).status is Status.FULFILLED
    assert shop.inventory.consumed == {order.reservation_id}
    assert [verb for verb, _ in shop.inventory.calls] == ["reserve", "consume"]
    assert shop.inventory.available["P001"] == 3


def test_a_fulfilled_order_cannot_be_cancelled(shop: MemoryShop, order: Order) -> None:
    shop.orders.fulfil(order.order_id)
    with pytest.raises(NotCancellableError):
        shop.orders.cancel(order.order_id)
    assert shop.orders.get(order.order_id).status is Status.FULFILLED
    assert shop.inventory.available["P001"] == 3


def test_a_retry_replays_a_fulfilled_order_and_takes_no_stock(
    shop: MemoryShop, order: Order
) -> None:
    shop.orders.fulfil(order.order_id)
    again = shop.place("C1", TWO, "key")
    assert (again.order.status, again.replayed) == (Status.FULFILLED, True)
    assert shop.inventory.available["P001"] == 3


def test_a_cancelled_order_cannot_be_fulfilled(shop: MemoryShop, order: Order) -> None:
    shop.orders.cancel(order.order_id)
    with pytest.raises(NotFulfillableError):
        shop.orders.fulfil(order.order_id)
    assert not shop.inventory.consumed


def test_a_cancelling_order_cannot_be_fulfilled(shop: MemoryShop, order: Order) -> None:
    shop.inventory.away.append(None)
    assert shop.orders.cancel(order.order_id).status is Status.CANCELLING
    with pytest.raises(NotFulfillableError):
        shop.orders.fulfil(order.order_id)


def test_a_rejected_order_cannot_be_fulfilled(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    assert refused.value.order_id is not None
    with pytest.raises(NotFulfillableError):
        shop.orders.fulfil(refused.value.order_id)


@pytest.mark.parametrize("carried_out", [True, None])
def test_fulfilling_is_finished_by_a_retry_when_inventory_was_unavailable(
    shop: MemoryShop, order: Order, *, carried_out: bool | None
) -> None:
    shop.inventory.away.append(carried_out)
    assert shop.orders.fulfil(order.order_id).status is Status.FULFILLING
    with pytest.raises(NotCancellableError):
        shop.orders.cancel(order.order_id)
    assert shop.orders.fulfil(order.order_id).status is Status.FULFILLED
    assert shop.inventory.consumed == {order.reservation_id}


def test_fulfilling_does_not_finish_when_the_reservation_is_gone(
    shop: MemoryShop, order: Order
) -> None:
    shop.inventory.release([order.reservation_id], soon())
    assert shop.orders.fulfil(order.order_id).status is Status.FULFILLING


@pytest.mark.parametrize("faults", [["conflict"], ["lost"], ["dropped"], ["", "lost"]])
def test_fulfilling_succeeds_when_writes_fail(
    shop: MemoryShop, order: Order, faults: list[str]
) -> None:
    shop.store.faults.coming.extend(faults)
    assert shop.orders.fulfil(order.order_id).status is Status.FULFILLED
    assert shop.inventory.consumed == {order.reservation_id}


@pytest.mark.parametrize("verbs", [("cancel", "fulfil"), ("fulfil", "cancel")], ids=" then ".join)
def test_an_order_is_cancelled_or_fulfilled_when_both_are_requested_concurrently(
    verbs: tuple[str, str],
) -> None:
    def act(place: int) -> Between:
        shop = MemoryShop(P001=5)
        order = shop.place("C1", TWO, None).order
        outcomes: list[str] = []

        def attempt(use_case: Callable[[str], Order]) -> None:
            with suppress(OrderError):
                outcomes.append(use_case(order.order_id).status)

        first, second = verbs
        between = Between(place, lambda: attempt(getattr(shop.orders, second)))
        attempt(getattr(shop.orders_with(between), first))
        (outcome,) = outcomes
        assert shop.orders.get(order.order_id).status is outcome
        shipped = outcome is Status.FULFILLED
        assert shop.inventory.consumed == ({order.reservation_id} if shipped else set())
        assert shop.inventory.available["P001"] == (3 if shipped else 5)
        return between

    every_place(act)
