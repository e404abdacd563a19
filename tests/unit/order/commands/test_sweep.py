"""The sweep of reconcile: unfinished work that it finishes, and work that it leaves."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import (
    Between,
    MemoryShop,
    WholeShop,
    death,
    every_place,
)
from support.stores.builders import BY, soon, units

from functions_common.events.sending import Published
from functions_common.firestore.errors import StoreUnavailableError
from order_function.domain import Attempt, Line, Order, ReservationName, Status
from order_function.reconcile.sweep import PAGE, Report

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TWO = (Line("P001", 2),)
FIRST = Attempt.begin("C1", TWO, "key")
MIN_AGE = timedelta(seconds=60)


def named(attempt: Attempt) -> ReservationName:
    return ReservationName(attempt.order_id, attempt.number, attempt.fingerprint)


def abandoned(attempt: Attempt) -> Order:
    return Order.new_abandoned_mark(named(attempt), NOW)


SECOND = FIRST.after(FIRST.number)
THIRD = FIRST.after(SECOND.number)
OTHER_BODY = Attempt.begin("C1", [Line("P001", 1)], "key")


def ordered(attempt: Attempt, status: Status) -> Order:
    return replace(Order.new_reserved(attempt, (), "USD", NOW), status=status)


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=5)


def done(report: Report) -> dict[str, int]:
    """The counters of changes that are not zero."""
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


def test_a_sweep_does_not_call_inventory_when_nothing_is_unfinished(shop: MemoryShop) -> None:
    kept = shop.place("C1", TWO, None).order
    shop.orders.cancel(shop.place("C1", TWO, None).order.order_id, BY)
    shop.orders.fulfil(shop.place("C1", TWO, None).order.order_id, BY)
    shop.inventory.confirm([kept.reservation_id], soon())
    shop.write(abandoned(FIRST))
    shop.inventory.calls.clear()
    assert shop.sweep() == Report()
    assert not shop.inventory.calls


@pytest.mark.parametrize("status", [Status.CANCELLING, Status.FULFILLING])
def test_unfinished_work_is_left_until_it_has_the_minimum_age(
    shop: MemoryShop, status: Status
) -> None:
    shop.reserve(FIRST)
    order = shop.place("C1", TWO, None).order
    shop.write(replace(order, status=status))
    shop.inventory.calls.clear()
    report = shop.sweep(MIN_AGE)
    assert (report.held, done(report)) == (2, {})
    assert not shop.inventory.calls
    shop.later(MIN_AGE.total_seconds())
    assert done(shop.sweep(MIN_AGE))["abandoned"] == 1
    assert shop.orders.get(order.order_id).status is not status


def test_a_pending_order_is_completed_at_any_age(shop: MemoryShop) -> None:
    order = shop.write(Order.new_pending(FIRST, NOW))
    assert done(shop.sweep(MIN_AGE)) == {"completed": 1}
    assert shop.orders.get(order.order_id).status is Status.CONFIRMED


def test_the_report_has_the_age_of_the_oldest_held_reservation(shop: MemoryShop) -> None:
    shop.reserve(FIRST)
    shop.later(30)
    shop.reserve(OTHER_BODY)
    report = shop.sweep(MIN_AGE)
    assert 30 <= report.oldest_held_seconds < 31
    assert (report.unfinished, report.oldest_unfinished_seconds) == (0, 0)


def test_the_report_has_the_age_of_the_oldest_unfinished_order(shop: MemoryShop) -> None:
    shop.write(replace(shop.place("C1", TWO, None).order, status=Status.CANCELLING))
    shop.later(20)
    shop.write(replace(shop.place("C1", TWO, None).order, status=Status.FULFILLING))
    report = shop.sweep(MIN_AGE)
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
def test_a_held_reservation_is_settled_as_its_order_demands(
    shop: MemoryShop,
    reserved: Attempt,
    order: Order | None,
    counts: dict[str, int],
    left: Order | None,
) -> None:
    """``left``: the document afterwards; None if it does not change."""
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
def test_an_unfinished_order_is_finished(
    shop: MemoryShop, status: Status, counts: dict[str, int], becomes: Status
) -> None:
    shop.reserve(FIRST)
    shop.write(replace(Order.new_pending(FIRST, NOW), status=status))
    assert done(shop.sweep()) == counts
    assert shop.orders.get(FIRST.order_id).status is becomes
    assert done(shop.sweep()) == {}


def test_a_pending_order_is_rejected_and_holds_nothing_when_stock_is_short(
    shop: MemoryShop,
) -> None:
    shop.write(Order.new_pending(Attempt.begin("C1", [Line("P001", 6)], None), NOW))
    assert done(shop.sweep()) == {"completed": 1}
    assert not shop.held
    assert done(shop.sweep()) == {}


def test_two_crashed_bodies_under_one_key_are_released_in_two_sweeps(
    shop: MemoryShop,
) -> None:
    for attempt in (FIRST, OTHER_BODY):
        shop.reserve(attempt)
    assert done(shop.sweep()) == {"abandoned": 1, "released": 1}
    assert done(shop.sweep()) == {"released": 1}
    assert shop.inventory.available["P001"] == 5


def test_a_reservation_is_released_when_its_id_belongs_to_no_order(shop: MemoryShop) -> None:
    shop.inventory.reserve("made-by-hand", TWO, soon())
    assert done(shop.sweep()) == {"released": 1}
    assert shop.inventory.available["P001"] == 5
    assert not shop.store.documents


@pytest.mark.parametrize("count", [PAGE, PAGE + 1, 2 * PAGE + 20])
def test_a_call_of_inventory_has_at_most_a_page_of_reservations(count: int) -> None:
    shop = MemoryShop(P001=3 * count)
    for _ in range(count):
        shop.place("C1", [Line("P001", 1)], None)
        shop.reserve(Attempt.begin("C1", [Line("P001", 1)], None))
        shop.write(Order.new_pending(Attempt.begin("C1", [Line("P001", 1)], None), NOW))
    assert done(shop.sweep()) == {
        "abandoned": count,
        "completed": count,
        "confirmed": 2 * count,
        "released": count,
    }
    assert max(len(ids) for _, ids in shop.inventory.calls) <= PAGE
    assert shop.sweep() == Report()


def test_all_work_is_left_to_the_next_sweep_when_inventory_is_unavailable(shop: MemoryShop) -> None:
    shop.reserve(FIRST)
    cancelling = shop.write(shop.place("C1", TWO, None).order.begin_cancel(BY))
    shop.inventory.away.extend([None] * 9)
    report = shop.sweep()
    assert done(report) == {"abandoned": 1}, "the mark needs no call of inventory"
    assert f"{cancelling.order_id} is still cancelling" in report.failures
    assert any("InventoryFailedError" in failure for failure in report.failures)
    shop.inventory.away.clear()
    assert done(shop.sweep()) == {"cancelled": 1, "released": 1}
    assert shop.inventory.available["P001"] == 5


def test_an_order_that_fails_does_not_stop_the_others(shop: MemoryShop) -> None:
    for _ in range(2):
        shop.write(shop.place("C1", TWO, None).order.begin_cancel(BY))
    shop.inventory.away.append(None)
    report = shop.sweep()
    assert report.cancelled == 1
    assert len(report.failures) == 1


def test_a_pending_order_keeps_its_stock_when_it_cannot_be_completed(
    shop: MemoryShop,
) -> None:
    shop.reserve(FIRST)
    shop.write(Order.new_pending(FIRST, NOW))
    shop.inventory.away.append(None)
    report = shop.sweep()
    assert (done(report), len(report.failures)) == ({}, 1)
    assert shop.held == {FIRST.reservation_id: 2}


@pytest.mark.parametrize("fault", ["conflict", "dropped", "lost", "away"])
def test_nothing_is_released_when_the_mark_is_not_written(shop: MemoryShop, fault: str) -> None:
    """Otherwise a slow delivery would find its stock released and no document with the reason."""
    shop.reserve(FIRST)
    shop.store.faults.coming.append(fault)
    assert done(shop.sweep()) == {}
    assert shop.held == {FIRST.reservation_id: 2}
    assert shop.sweep().released == 1


def test_an_unavailable_store_is_reported_as_a_failure(shop: MemoryShop) -> None:
    shop.reserve(FIRST)
    shop.store.faults.coming.append("away")
    assert shop.sweep().failures == ["StoreUnavailableError: away"]


def ordered_again(shop: MemoryShop) -> None:
    assert shop.place("C1", TWO, "key").order.keeps_reservation


def ordered_again_and_crashed(shop: MemoryShop) -> None:
    with pytest.raises(ProcessDiedError):
        shop.place("C1", TWO, "key", between=Between(2, death))


def swept(shop: MemoryShop) -> None:
    shop.sweep()


def a_crashed_attempt(shop: MemoryShop) -> None:
    shop.reserve(FIRST)


def a_second_crashed_attempt(shop: MemoryShop) -> None:
    shop.write(abandoned(FIRST))
    shop.reserve(SECOND)


def a_pending_order(shop: MemoryShop) -> None:
    shop.write(Order.new_pending(FIRST, NOW))


@pytest.mark.parametrize("given", [a_crashed_attempt, a_second_crashed_attempt, a_pending_order])
@pytest.mark.parametrize("other", [ordered_again, ordered_again_and_crashed, swept])
def test_a_sweep_neither_loses_nor_leaks_stock_when_another_process_acts_in_between(
    given: Callable[[MemoryShop], None], other: Callable[[MemoryShop], None]
) -> None:
    def act(place: int) -> Between:
        shop = MemoryShop(P001=5)
        given(shop)
        between = Between(place, lambda: other(shop))
        shop.sweep(between=between)
        shop.sweep()
        order = shop.stored(FIRST.order_id)
        lives = given is a_pending_order or (other is ordered_again and between.happened)
        assert order.status is (Status.CONFIRMED if lives else Status.ABANDONED)
        assert shop.held == ({order.reservation_id: 2} if lives else {})
        assert shop.inventory.available["P001"] == (3 if lives else 5)
        assert shop.sweep() == Report()
        return between

    every_place(act)


@pytest.mark.parametrize(
    ("verb", "units_left"), [("cancel", (5, 0, 0)), ("fulfil", (3, 0, 2))], ids=["cancel", "fulfil"]
)
def test_an_order_stays_changed_when_a_sweep_confirms_it_at_the_same_time(
    verb: str, units_left: tuple[int, int, int]
) -> None:
    """With inventory's own rules: a late ``confirm`` changes only a held reservation."""

    def act(place: int) -> Between:
        shop = WholeShop(P001=5)
        order_id = shop.place("C1", TWO, None).order.order_id
        between = Between(place, lambda: getattr(shop.orders, verb)(order_id, BY))
        shop.sweep(between=between)
        if between.happened:
            assert units(shop.stock, "P001") == units_left
        assert shop.sweep().done == 0
        assert shop.findings() == []
        return between

    every_place(act)


@pytest.mark.parametrize("given", [a_crashed_attempt, a_second_crashed_attempt, a_pending_order])
def test_the_next_sweep_finishes_the_work_when_a_sweep_crashes_at_any_call(
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


def test_events_of_the_second_kind_are_published_when_the_first_kind_fails(
    shop: MemoryShop,
) -> None:
    class Failing:
        def publish_unsent(self, *_: object) -> None:
            raise StoreUnavailableError("no index")

    class Working:
        def publish_unsent(self, _: object, report: Callable[[Published], None]) -> None:
            report(Published(2, 2, []))

    report = shop.a_sweep(publishing=[Failing(), Working()]).run()
    assert (report.published, report.failed) == (2, 1)
