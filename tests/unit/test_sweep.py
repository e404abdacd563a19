"""What reconcile makes of what was left half done, and what it leaves alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.builders import soon, units
from support.dying import ProcessDiedError
from support.memory_shop import (
    Between,
    MemoryShop,
    WholeShop,
    death,
    every_place,
)

from order_function.domain import Attempt, Line, Order, ReservationName, Status
from order_function.reconcile.sweep import PAGE, Report

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TWO = (Line("P001", 2),)
FIRST = Attempt.begin("C1", TWO, "key")
PATIENCE = timedelta(seconds=60)


def named(attempt: Attempt) -> ReservationName:
    return ReservationName(attempt.order_id, attempt.number, attempt.fingerprint)


def abandoned(attempt: Attempt) -> Order:
    return Order.abandoned(named(attempt), NOW)


SECOND = FIRST.after(abandoned(FIRST))
THIRD = FIRST.after(abandoned(SECOND))
OTHER_BODY = Attempt.begin("C1", [Line("P001", 1)], "key")


def ordered(attempt: Attempt, status: Status) -> Order:
    return replace(Order.reserved(attempt, (), "USD", NOW), status=status)


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=5)


def done(report: Report) -> dict[str, int]:
    """What there was to do, by name."""
    names = (
        "abandoned",
        "confirmed",
        "released",
        "consumed",
        "completed",
        "cancelled",
        "fulfilled",
    )
    counts = {name: getattr(report, name) for name in names}
    assert report.done == sum(counts.values())
    return {name: count for name, count in counts.items() if count}


def test_where_nothing_is_half_done_nobody_is_woken(shop: MemoryShop) -> None:
    kept = shop.place("C1", TWO, None).order
    shop.orders.cancel(shop.place("C1", TWO, None).order.order_id)
    shop.orders.fulfil(shop.place("C1", TWO, None).order.order_id)
    shop.inventory.confirm([kept.reservation_id], soon())
    shop.write(abandoned(FIRST))
    shop.inventory.calls.clear()
    assert shop.sweep() == Report()
    assert not shop.inventory.calls


@pytest.mark.parametrize("status", [Status.CANCELLING, Status.FULFILLING])
def test_what_is_young_is_left_alone_until_it_is_not(shop: MemoryShop, status: Status) -> None:
    shop.reserve(FIRST)
    order = shop.place("C1", TWO, None).order
    shop.write(replace(order, status=status))
    shop.inventory.calls.clear()
    report = shop.sweep(PATIENCE)
    assert (report.held, done(report)) == (2, {})
    assert not shop.inventory.calls
    shop.later(PATIENCE.total_seconds())
    assert done(shop.sweep(PATIENCE))["abandoned"] == 1
    assert shop.orders.get(order.order_id).status is not status


def test_a_pending_order_is_old_enough_at_once(shop: MemoryShop) -> None:
    order = shop.write(Order.pending(FIRST, NOW))
    assert done(shop.sweep(PATIENCE)) == {"completed": 1}
    assert shop.orders.get(order.order_id).status is Status.CONFIRMED


def test_how_old_the_oldest_is_can_be_watched(shop: MemoryShop) -> None:
    shop.reserve(FIRST)
    shop.later(30)
    shop.reserve(OTHER_BODY)
    report = shop.sweep(PATIENCE)
    assert 30 <= report.oldest_held_seconds < 31
    assert (report.unfinished, report.oldest_unfinished_seconds) == (0, 0)


def test_how_old_the_oldest_unfinished_order_is_can_be_watched(shop: MemoryShop) -> None:
    shop.write(replace(shop.place("C1", TWO, None).order, status=Status.CANCELLING))
    shop.later(20)
    shop.write(replace(shop.place("C1", TWO, None).order, status=Status.FULFILLING))
    report = shop.sweep(PATIENCE)
    assert report.unfinished == 2
    assert 20 <= report.oldest_unfinished_seconds < 21


@pytest.mark.parametrize(
    ("reserved", "order", "counts", "left"),
    [
        (FIRST, None, {"abandoned": 1, "released": 1}, abandoned(FIRST)),
        (SECOND, abandoned(FIRST), {"abandoned": 1, "released": 1}, abandoned(SECOND)),
        (THIRD, abandoned(FIRST), {"abandoned": 1, "released": 1}, abandoned(THIRD)),
        (FIRST, abandoned(FIRST), {"released": 1}, abandoned(FIRST)),
        (FIRST, abandoned(SECOND), {"released": 1}, abandoned(SECOND)),
        (OTHER_BODY, abandoned(FIRST), {"released": 1}, abandoned(FIRST)),
        (FIRST, ordered(FIRST, Status.CONFIRMED), {"confirmed": 1}, None),
        (FIRST, ordered(FIRST, Status.FULFILLED), {"consumed": 1}, None),
        (FIRST, ordered(FIRST, Status.CANCELLED), {"released": 1}, None),
        (FIRST, ordered(FIRST, Status.REJECTED), {"released": 1}, None),
        (FIRST, ordered(SECOND, Status.CONFIRMED), {"released": 1}, None),
        (SECOND, ordered(FIRST, Status.CONFIRMED), {"released": 1}, None),
        (OTHER_BODY, ordered(FIRST, Status.CONFIRMED), {"released": 1}, None),
        (OTHER_BODY, ordered(FIRST, Status.FULFILLED), {"released": 1}, None),
    ],
)
def test_the_order_decides_what_becomes_of_a_reservation(
    shop: MemoryShop,
    reserved: Attempt,
    order: Order | None,
    counts: dict[str, int],
    left: Order | None,
) -> None:
    """``left``: the document afterwards; None where it stays as it was."""
    shop.reserve(reserved)
    if order is not None:
        shop.write(order)
    assert done(shop.sweep()) == counts
    stored = shop.stored(FIRST.order_id)
    expected = left or order
    assert expected is not None
    assert (stored.status, stored.reservation_id) == (expected.status, expected.reservation_id)
    kept = "released" not in counts
    assert shop.held == ({reserved.reservation_id: reserved.lines[0].quantity} if kept else {})
    assert done(shop.sweep()) == {}


@pytest.mark.parametrize(
    ("status", "counts", "becomes"),
    [
        (Status.PENDING, {"completed": 1, "confirmed": 1}, Status.CONFIRMED),
        (Status.CANCELLING, {"cancelled": 1}, Status.CANCELLED),
        (Status.FULFILLING, {"fulfilled": 1}, Status.FULFILLED),
    ],
)
def test_what_was_begun_is_finished(
    shop: MemoryShop, status: Status, counts: dict[str, int], becomes: Status
) -> None:
    shop.reserve(FIRST)
    shop.write(replace(Order.pending(FIRST, NOW), status=status))
    assert done(shop.sweep()) == counts
    assert shop.orders.get(FIRST.order_id).status is becomes
    assert done(shop.sweep()) == {}


def test_a_pending_order_that_is_short_is_rejected_and_holds_nothing(shop: MemoryShop) -> None:
    shop.write(Order.pending(Attempt.begin("C1", [Line("P001", 6)], None), NOW))
    assert done(shop.sweep()) == {"completed": 1}
    assert not shop.held
    assert done(shop.sweep()) == {}


def test_of_two_bodies_that_died_under_one_key_the_second_waits_for_the_next_sweep(
    shop: MemoryShop,
) -> None:
    for attempt in (FIRST, OTHER_BODY):
        shop.reserve(attempt)
    assert done(shop.sweep()) == {"abandoned": 1, "released": 1}
    assert done(shop.sweep()) == {"released": 1}
    assert shop.inventory.available["P001"] == 5


def test_a_reservation_that_no_order_can_have_named_is_released(shop: MemoryShop) -> None:
    shop.inventory.reserve("made-by-hand", TWO, soon())
    assert done(shop.sweep()) == {"released": 1}
    assert shop.inventory.available["P001"] == 5
    assert not shop.store.documents


@pytest.mark.parametrize("count", [PAGE, PAGE + 1, 2 * PAGE + 20])
def test_however_many_there_are_inventory_is_told_a_page_at_a_time(count: int) -> None:
    shop = MemoryShop(P001=3 * count)
    for _ in range(count):
        shop.place("C1", [Line("P001", 1)], None)
        shop.reserve(Attempt.begin("C1", [Line("P001", 1)], None))
        shop.write(Order.pending(Attempt.begin("C1", [Line("P001", 1)], None), NOW))
    assert done(shop.sweep()) == {
        "abandoned": count,
        "completed": count,
        "confirmed": 2 * count,
        "released": count,
    }
    assert max(len(ids) for _, ids in shop.inventory.calls) <= PAGE
    assert shop.sweep() == Report()


def test_while_inventory_is_away_all_is_left_for_the_next_sweep(shop: MemoryShop) -> None:
    shop.reserve(FIRST)
    cancelling = shop.write(shop.place("C1", TWO, None).order.cancel())
    shop.inventory.away.extend([None] * 9)
    report = shop.sweep()
    assert done(report) == {"abandoned": 1}, "that much needs no inventory"
    assert f"{cancelling.order_id} is still cancelling" in report.failures
    assert any("InventoryUnavailableError" in failure for failure in report.failures)
    shop.inventory.away.clear()
    assert done(shop.sweep()) == {"cancelled": 1, "released": 1}
    assert shop.inventory.available["P001"] == 5


def test_one_that_cannot_be_finished_holds_up_no_other(shop: MemoryShop) -> None:
    for _ in range(2):
        shop.write(shop.place("C1", TWO, None).order.cancel())
    shop.inventory.away.append(None)
    report = shop.sweep()
    assert report.cancelled == 1
    assert len(report.failures) == 1


def test_a_pending_orders_stock_is_left_alone_while_it_cannot_be_completed(
    shop: MemoryShop,
) -> None:
    shop.reserve(FIRST)
    shop.write(Order.pending(FIRST, NOW))
    shop.inventory.away.append(None)
    report = shop.sweep()
    assert (done(report), len(report.failures)) == ({}, 1)
    assert shop.held == {FIRST.reservation_id: 2}


@pytest.mark.parametrize("fault", ["conflict", "dropped", "lost", "away"])
def test_without_the_mark_nothing_is_released(shop: MemoryShop, fault: str) -> None:
    """Whoever is merely slow would otherwise find its stock gone and nothing that says why."""
    shop.reserve(FIRST)
    shop.store.faults.coming.append(fault)
    assert done(shop.sweep()) == {}
    assert shop.held == {FIRST.reservation_id: 2}
    assert shop.sweep().released == 1


def test_a_store_that_is_away_is_a_failure_and_no_end(shop: MemoryShop) -> None:
    shop.reserve(FIRST)
    shop.store.faults.coming.append("away")
    assert shop.sweep().failures == ["StoreUnavailableError: away"]


def ordered_anew(shop: MemoryShop) -> None:
    assert shop.place("C1", TWO, "key").order.keeps_reservation


def ordered_anew_and_died(shop: MemoryShop) -> None:
    with pytest.raises(ProcessDiedError):
        shop.place("C1", TWO, "key", between=Between(2, death))


def swept(shop: MemoryShop) -> None:
    shop.sweep()


def a_dead_attempt(shop: MemoryShop) -> None:
    shop.reserve(FIRST)


def a_second_dead_attempt(shop: MemoryShop) -> None:
    shop.write(abandoned(FIRST))
    shop.reserve(SECOND)


def a_pending_order(shop: MemoryShop) -> None:
    shop.write(Order.pending(FIRST, NOW))


@pytest.mark.parametrize("given", [a_dead_attempt, a_second_dead_attempt, a_pending_order])
@pytest.mark.parametrize("meanwhile", [ordered_anew, ordered_anew_and_died, swept])
def test_whatever_comes_between_two_steps_of_a_sweep_nothing_is_lost_or_leaked(
    given: Callable[[MemoryShop], None], meanwhile: Callable[[MemoryShop], None]
) -> None:
    def act(place: int) -> Between:
        shop = MemoryShop(P001=5)
        given(shop)
        between = Between(place, lambda: meanwhile(shop))
        shop.sweep(between=between)
        shop.sweep()
        order = shop.stored(FIRST.order_id)
        lives = given is a_pending_order or (meanwhile is ordered_anew and between.happened)
        assert order.status is (Status.CONFIRMED if lives else Status.ABANDONED)
        assert shop.held == ({order.reservation_id: 2} if lives else {})
        assert shop.inventory.available["P001"] == (3 if lives else 5)
        assert shop.sweep() == Report()
        return between

    every_place(act)


@pytest.mark.parametrize(
    ("verb", "units_left"), [("cancel", (5, 0, 0)), ("fulfil", (3, 0, 2))], ids=["cancel", "fulfil"]
)
def test_an_order_that_is_moved_while_a_sweep_confirms_it_stays_so(
    verb: str, units_left: tuple[int, int, int]
) -> None:
    """On inventory's own rules: what comes late confirms only what is still held."""

    def act(place: int) -> Between:
        shop = WholeShop(P001=5)
        order_id = shop.place("C1", TWO, None).order.order_id
        between = Between(place, lambda: getattr(shop.orders, verb)(order_id))
        shop.sweep(between=between)
        if between.happened:
            assert units(shop.stock, "P001") == units_left
        assert shop.sweep().done == 0
        assert shop.findings() == []
        return between

    every_place(act)


@pytest.mark.parametrize("given", [a_dead_attempt, a_second_dead_attempt, a_pending_order])
def test_a_sweep_that_dies_anywhere_leaves_the_rest_to_the_next(
    given: Callable[[MemoryShop], None],
) -> None:
    def act(place: int) -> Between:
        shop = MemoryShop(P001=5)
        given(shop)
        between = Between(place, death)
        try:
            shop.sweep(between=between)
        except ProcessDiedError:
            shop.sweep()
        assert shop.sweep() == Report()
        assert shop.inventory.available["P001"] == (3 if given is a_pending_order else 5)
        return between

    every_place(act)
