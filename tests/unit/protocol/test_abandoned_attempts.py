"""A delivery after an attempt that crashed and was marked as abandoned."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, MemoryShop, death, every_place
from support.stores.builders import BY, soon

from order_function.domain import (
    Attempt,
    IdempotencyKeyReusedError,
    Line,
    Order,
    OrderNotFoundError,
    OrderRejectedError,
    ReservationName,
    Status,
)
from order_function.ports import OrderFilter
from order_function.service import OrderOutcomeUnknownError

TWO = (Line("P001", 2),)
FIRST = Attempt.begin("C1", TWO, "key")


def mark(attempt: Attempt) -> Order:
    """The mark that a sweep writes in the place of the order."""
    name = ReservationName(attempt.order_id, attempt.number, attempt.fingerprint)
    return Order.new_abandoned_mark(name, datetime.now(UTC))


SECOND = FIRST.after(FIRST.number)


@pytest.fixture
def shop() -> MemoryShop:
    """A shop where the first attempt crashed after its reservation, and was swept."""
    shop = MemoryShop(P001=5)
    shop.reserve(FIRST)
    assert shop.sweep().abandoned == 1
    assert shop.inventory.available["P001"] == 5
    return shop


def test_a_retry_becomes_the_order_with_the_next_attempt(shop: MemoryShop) -> None:
    placed = shop.place("C1", TWO, "key")
    assert (placed.order.status, placed.replayed) == (Status.CONFIRMED, False)
    assert (placed.order.order_id, placed.order.attempt_number) == (FIRST.order_id, 1)
    assert shop.stored(FIRST.order_id) == placed.order
    assert shop.held == {placed.order.reservation_id: 2}
    assert shop.place("C1", TWO, "key").replayed


def test_a_retry_releases_the_stock_that_the_sweep_left() -> None:
    shop = MemoryShop(P001=2)
    shop.reserve(FIRST)
    shop.write(mark(FIRST))
    placed = shop.place("C1", TWO, "key")
    assert placed.order.attempt_number == 1
    assert shop.held == {placed.order.reservation_id: 2}, "the last two units, once"


def test_a_retry_releases_its_own_reservation_and_the_abandoned_one() -> None:
    shop = MemoryShop(P001=4)
    for attempt in (FIRST, SECOND):
        shop.reserve(attempt)
    shop.write(mark(SECOND))
    placed = shop.place("C1", TWO, "key")
    assert placed.order.attempt_number == 2
    assert shop.held == {placed.order.reservation_id: 2}
    assert shop.inventory.available["P001"] == 2


def test_the_outcome_is_unknown_when_a_reservation_was_released_without_a_mark() -> None:
    """No code of order releases a reservation without a mark."""
    shop = MemoryShop(P001=5)
    shop.inventory.release([FIRST.reservation_id], soon())
    with pytest.raises(OrderOutcomeUnknownError):
        shop.place("C1", TWO, "key")
    assert not shop.store.documents


def test_another_body_is_rejected_and_the_mark_stays(shop: MemoryShop) -> None:
    with pytest.raises(IdempotencyKeyReusedError):
        shop.place("C1", [Line("P001", 1)], "key")
    assert shop.stored(FIRST.order_id).status is Status.ABANDONED
    assert not shop.held
    assert shop.place("C1", TWO, "key").order.status is Status.CONFIRMED


def test_a_mark_is_invisible_to_clients(shop: MemoryShop) -> None:
    orders = shop.orders
    for use_case in (
        orders.get,
        partial(orders.cancel, by=BY),
        partial(orders.fulfil, by=BY),
        partial(orders.confirm, by=BY),
        orders.decide_pending,
    ):
        with pytest.raises(OrderNotFoundError):
            use_case(FIRST.order_id)
    assert shop.stored(FIRST.order_id).status is Status.ABANDONED
    assert orders.list_newest(OrderFilter("C1"), None, 9) == []


def test_a_rejected_retry_replaces_the_mark_and_is_final(shop: MemoryShop) -> None:
    shop.inventory.available["P001"] = 1
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", TWO, "key")
    assert refused.value.order_id == FIRST.order_id
    assert shop.stored(FIRST.order_id).attempt_number == 1
    shop.inventory.available["P001"] = 9
    with pytest.raises(OrderRejectedError):
        shop.place("C1", TWO, "key")


def test_a_retry_keeps_no_stock_when_the_price_changed() -> None:
    shop = MemoryShop(P001=5)
    shop.reserve(Attempt.begin("C1", TWO, "key", 1))
    shop.sweep()
    with pytest.raises(OrderRejectedError):
        shop.place("C1", TWO, "key", 1)
    assert shop.inventory.available["P001"] == 5


def test_a_retry_may_be_pending(shop: MemoryShop) -> None:
    next_reservation = Between(4, lambda: shop.inventory.away.append(None))
    placed = shop.place("C1", TWO, "key", respond_async=True, between=next_reservation)
    assert (placed.order.status, placed.order.attempt_number) == (Status.PENDING, 1)
    assert shop.orders.decide_pending(FIRST.order_id).status is Status.CONFIRMED
    assert shop.held == {placed.order.reservation_id: 2}


@pytest.mark.parametrize("faults", [["lost"], ["dropped"], ["dropped", "lost"]])
def test_replacing_the_mark_succeeds_when_writes_fail(shop: MemoryShop, faults: list[str]) -> None:
    shop.store.faults.coming.extend(faults)
    placed = shop.place("C1", TWO, "key")
    assert not placed.replayed
    assert shop.stored(FIRST.order_id) == placed.order
    assert shop.held == {placed.order.reservation_id: 2}


def retried(shop: MemoryShop) -> None:
    shop.place("C1", TWO, "key")


def retried_and_crashed(shop: MemoryShop) -> None:
    with pytest.raises(ProcessDiedError):
        shop.place("C1", TWO, "key", between=Between(5, death))  # with its reservation made
    assert shop.held


def swept(shop: MemoryShop) -> None:
    shop.sweep()


@pytest.mark.parametrize(
    ("other", "given_up"),
    [(retried, True), (retried, False), (swept, True), (swept, False), (retried_and_crashed, True)],
)
def test_a_retry_makes_one_order_with_its_stock_when_another_process_acts_in_between(
    other: Callable[[MemoryShop], None],
    *,
    given_up: bool,
) -> None:
    def act(place: int) -> Between:
        shop = MemoryShop(P001=9)
        shop.reserve(FIRST)
        if given_up:
            shop.sweep()
        between = Between(place, lambda: other(shop))
        placed = shop.place("C1", TWO, "key", between=between)
        assert placed.replayed == (other is retried and between.happened)
        shop.sweep()
        assert shop.orders.get(FIRST.order_id) == placed.order
        assert shop.held == {placed.order.reservation_id: 2}
        return between

    every_place(act)
