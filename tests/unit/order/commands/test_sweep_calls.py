"""The sweep's calls and their limits, what it logs, and the numbers of its report."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.memory_shop import MemoryShop
from support.stores.builders import BY, soon
from support.stores.fakes import MemoryUnfinishedWork

from functions_common.events.sending import Published
from functions_common.firestore.errors import (
    ConflictError,
    DamagedDocumentError,
    StoreUnavailableError,
)
from order_function.domain import (
    Attempt,
    Line,
    NewerRevisionError,
    NewerStatus,
    Order,
    ReservationName,
    Status,
)
from order_function.ports import InventoryFailedError, NotSettledError
from order_function.reconcile import sweep as sweep_module
from order_function.reconcile.sweep import (
    DECISION_BATCH,
    MAX_REASONS,
    ORDERS_PAGE,
    PAGE,
    STOCK_BATCH,
    Sweep,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from functions_common.runtime.deadlines import Deadline
    from order_function.reconcile.sweep import Report

ONE = (Line("P001", 1),)
PAST = datetime(2020, 1, 1, tzinfo=UTC)
CALLS_WITH_A_LIMIT = ("held_reservations", "unfinished_orders", "overdue_orders")


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=10_000)


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, int, Any]]]:
    """The logged events: message, severity and fields."""
    caplog.set_level(logging.INFO)
    return lambda: [
        (each.getMessage(), each.levelno, vars(each)["fields"]) for each in caplog.records
    ]


def crashed(shop: MemoryShop, count: int) -> list[str]:
    """Reservations without an order."""
    return [shop.reserve(Attempt.begin("C1", ONE, None)).reservation_id for _ in range(count)]


def cancelling(shop: MemoryShop) -> Order:
    return shop.write(shop.place("C1", ONE, None).order.begin_cancel(BY))


def overdue(shop: MemoryShop, *, due: datetime = PAST) -> Order:
    order = shop.place("C1", ONE, None, hold_seconds=60).order
    return shop.write(replace(order, expires_at=due))


class Calls:
    """Records the limits and the time of each call that reads or changes something."""

    def __init__(self, shop: MemoryShop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limits: dict[str, set[int]] = {}
        self.seconds: dict[str, list[float]] = {}
        for name in (*CALLS_WITH_A_LIMIT, "read_orders", "count_held"):
            self._watch(monkeypatch, MemoryUnfinishedWork, name)
        for name in ("confirm", "release", "consume"):
            self._watch(monkeypatch, shop.inventory, name)
        for name in ("create", "replace"):
            self._watch(monkeypatch, shop.store, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> None:
        real = getattr(target, name)

        def call(*arguments: Any) -> Any:
            if name in CALLS_WITH_A_LIMIT:
                self.limits.setdefault(name, set()).add(arguments[-2])
            self.seconds.setdefault(name, []).append(arguments[-1].remaining)
            return real(*arguments)

        monkeypatch.setattr(target, name, call)


def test_each_call_has_the_time_and_the_limit_of_its_kind(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(shop, 1)
    shop.write(Order.new_abandoned_mark(_name(first := Attempt.begin("C1", ONE, "key")), PAST))
    shop.reserve(first.after(first.number))
    shop.place("C1", ONE, None)
    calls = Calls(shop, monkeypatch)
    report = shop.sweep()
    assert (report.abandoned, report.released, report.confirmed) == (2, 2, 1)
    assert calls.limits == {
        "held_reservations": {PAGE},
        "unfinished_orders": {ORDERS_PAGE},
        "overdue_orders": {ORDERS_PAGE},
    }
    assert "count_held" not in calls.seconds, "every page was read"
    for name in (*CALLS_WITH_A_LIMIT, "read_orders", "create", "replace", "confirm", "release"):
        assert all(14 < each <= 15 for each in calls.seconds[name]), name


def _name(attempt: Attempt) -> ReservationName:
    return ReservationName(attempt.order_id, attempt.number, attempt.fingerprint)


def test_calls_after_stop_have_less_time(shop: MemoryShop, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed(shop, 3)
    calls = Calls(shop, monkeypatch)
    sweep = shop.a_sweep()
    sweep.stop()
    report = sweep.run()
    assert (report.stopped, report.held, report.done, report.left) == (True, 0, 0, 3)
    assert list(calls.seconds) == ["count_held"]
    assert 2 < calls.seconds["count_held"][0] <= 3


def test_sweep_that_ends_is_not_stopped(shop: MemoryShop) -> None:
    assert shop.sweep().stopped is False


def test_stock_is_settled_in_small_batches_and_orders_are_read_in_large_ones(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(shop, DECISION_BATCH + STOCK_BATCH + 1)
    for _ in range(STOCK_BATCH + 1):
        order = shop.place("C1", ONE, None).order
        shop.write(replace(order, status=Status.FULFILLED))
    read: list[int] = []
    real = MemoryUnfinishedWork.read_orders

    def read_orders(self: Any, order_ids: Collection[str], deadline: Deadline) -> Any:
        read.append(len(order_ids))
        return real(self, order_ids, deadline)

    monkeypatch.setattr(MemoryUnfinishedWork, "read_orders", read_orders)
    shop.inventory.calls.clear()
    report = shop.sweep()
    assert read == [DECISION_BATCH, 2 * STOCK_BATCH + 2]
    assert (report.released, report.consumed) == (DECISION_BATCH + STOCK_BATCH + 1, STOCK_BATCH + 1)
    settled = [(verb, len(ids)) for verb, ids in shop.inventory.calls]
    assert max(count for _, count in settled) == STOCK_BATCH
    assert {verb for verb, _ in settled} == {"release", "consume"}


@pytest.mark.parametrize("count", [ORDERS_PAGE, ORDERS_PAGE + 1])
def test_overdue_orders_of_all_pages_are_cancelled(shop: MemoryShop, count: int) -> None:
    orders = [overdue(shop, due=PAST + timedelta(seconds=n % 7)) for n in range(count)]
    report = shop.sweep()
    assert (report.expired, report.failed) == (count, 0)
    assert {shop.stored(each.order_id).status for each in orders} == {Status.CANCELLED}


def test_overdue_order_that_stays_cancelling_is_a_failure_with_its_document(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]]
) -> None:
    order = overdue(shop)
    shop.inventory.away.extend([None] * 9)
    report = shop.sweep()
    reason = f"{order.order_id} is still cancelling"
    assert (report.expired, report.failures[0]) == (0, reason)
    fields = {"reason": reason, "document": f"orders/{order.order_id}"}
    assert events()[0] == ("Left for the next sweep", logging.WARNING, fields)


def test_damaged_overdue_order_is_a_failure_with_its_document(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]]
) -> None:
    order = overdue(shop)
    path = f"orders/{order.order_id}"
    shop.store.damaged[order.order_id] = DamagedDocumentError(path, "no status")
    report = shop.sweep()
    assert report.failures[0].startswith(f"DamagedDocumentError: {path} is damaged")
    assert events()[0][2]["document"] == path


@pytest.mark.parametrize("status", [Status.CANCELLING, Status.FULFILLING])
def test_unfinished_order_that_stays_so_is_a_failure_with_its_document(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]], status: Status
) -> None:
    order = shop.write(replace(shop.place("C1", ONE, None).order, status=status))
    shop.inventory.confirm([order.reservation_id], soon())
    shop.inventory.away.extend([None] * 9)
    report = shop.sweep()
    reason = f"{order.order_id} is still {status}"
    assert report.failures == [reason]
    assert (report.failed, report.cancelled, report.fulfilled) == (1, 0, 0)
    fields = {"reason": reason, "document": f"orders/{order.order_id}"}
    assert events() == [("Left for the next sweep", logging.WARNING, fields)]


def test_failed_reservations_are_failures_with_their_documents(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]]
) -> None:
    first, second, _ = sorted(crashed(shop, 3))
    shop.inventory.poison |= {first, second}
    report = shop.sweep()
    assert (report.released, report.failed, report.left) == (1, 2, 2)
    documents = {fields["document"] for _, _, fields in events()}
    assert documents == {f"reservations/{each}" for each in (first, second)}
    assert {reason.partition(": ")[0] for reason in report.failures} == {first, second}
    assert not any(reason.endswith(": None") for reason in report.failures)


def test_failed_call_counts_all_its_reservations_and_names_no_document(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]]
) -> None:
    crashed(shop, 3)
    shop.inventory.away.append(None)
    report = shop.sweep()
    assert (report.released, report.failed, report.left) == (0, 3, 3)
    (reason,) = report.failures
    assert reason.startswith("InventoryFailedError: ")
    assert events() == [("Left for the next sweep", logging.WARNING, {"reason": reason})]


def test_unexpected_error_is_logged_with_its_document(
    shop: MemoryShop,
    events: Callable[[], list[tuple[str, int, Any]]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = cancelling(shop)

    def cancel(*_: object) -> None:
        raise ZeroDivisionError("x" * 400)

    sweep = shop.a_sweep()
    monkeypatch.setattr("order_function.service.Orders.cancel", cancel)
    report = sweep.run()
    document = f"orders/{order.order_id}"
    reason = ("ZeroDivisionError: " + "x" * 400)[:300]
    assert caplog.records[0].exc_info
    assert caplog.records[0].exc_info[0] is ZeroDivisionError
    assert report.failures == [reason]
    assert events() == [
        ("Unexpected error", logging.ERROR, {"document": document}),
        ("Left for the next sweep", logging.WARNING, {"reason": reason, "document": document}),
    ]


def test_reasons_are_kept_up_to_their_limit(shop: MemoryShop) -> None:
    shop.inventory.poison |= set(crashed(shop, MAX_REASONS))
    report = shop.sweep()
    assert (len(report.failures), report.failed) == (MAX_REASONS, MAX_REASONS)


@pytest.mark.parametrize(("between", "released"), [("works", 100), ("rejects one", 99)])
def test_call_that_reaches_inventory_resets_the_count_of_failed_ones(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch, between: str, released: int
) -> None:
    """Two calls fail, one reaches inventory, two fail: never three in a row."""
    crashed(shop, 6 * STOCK_BATCH)
    coming = ["fails", "fails", between, "fails", "fails", "works"]
    release = shop.inventory.release

    def release_some(ids: Collection[str], deadline: Deadline) -> None:
        match coming.pop(0):
            case "fails":
                raise InventoryFailedError("away", outcome_unknown=True)
            case "rejects one":
                raise NotSettledError({min(ids): "never"})
            case _:
                release(ids, deadline)

    monkeypatch.setattr(shop.inventory, "release", release_some)
    report = shop.sweep()
    assert not coming, "each of the six calls was made"
    assert (report.released, report.failed) == (released, 6 * STOCK_BATCH - released)


def test_each_reservation_is_counted_when_inventory_stays_unavailable(shop: MemoryShop) -> None:
    crashed(shop, 5 * STOCK_BATCH)
    shop.inventory.away.extend([None] * 9)
    report = shop.sweep()
    assert (report.failed, report.left) == (5 * STOCK_BATCH, 5 * STOCK_BATCH)
    failed, unavailable = report.failures[:3], report.failures[3:]
    assert failed == [failed[0]] * 3
    assert unavailable == ["inventory is unavailable"] * 2


def test_next_batches_are_not_begun_when_inventory_is_unavailable(shop: MemoryShop) -> None:
    count = DECISION_BATCH + 1
    crashed(shop, count)
    shop.inventory.away.extend([None] * 9)
    report = shop.sweep()
    assert report.failures[-1] == "inventory is unavailable: the rest is left for the next sweep"
    assert (report.abandoned, report.failed, report.left) == (DECISION_BATCH, count, count)


def test_unfinished_orders_of_all_pages_are_read_once(shop: MemoryShop) -> None:
    count = 2 * ORDERS_PAGE + 1
    for _ in range(count):
        cancelling(shop)
    report = shop.sweep(timedelta(hours=1))
    assert (report.unfinished, report.cancelled) == (count, 0)


def test_reservations_that_are_left_are_unknown_when_they_cannot_be_counted(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(MemoryUnfinishedWork, "count_held", fail)
    sweep = shop.a_sweep()
    sweep.stop()
    report = sweep.run()
    assert (report.left, report.failures) == (None, ["StoreUnavailableError: away"])


def test_sweep_works_in_its_own_thread_by_default(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = cancelling(shop)
    threads: list[int] = []
    release = shop.inventory.release

    def recorded(ids: Collection[str], deadline: Deadline) -> None:
        threads.append(threading.get_ident())
        release(ids, deadline)

    monkeypatch.setattr(shop.inventory, "release", recorded)
    work = MemoryUnfinishedWork(shop.store, shop.inventory)
    Sweep(work, shop.store, shop.inventory, shop.orders, timedelta()).run()
    assert threads == [threading.get_ident()]
    assert shop.stored(order.order_id).status is Status.CANCELLED


def test_batch_whose_orders_cannot_be_read_does_not_stop_the_next(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(shop, DECISION_BATCH + 1)
    real = MemoryUnfinishedWork.read_orders
    coming: list[bool] = [True]

    def fail_once(*arguments: Any) -> Any:
        if coming:
            coming.pop()
            raise StoreUnavailableError("away")
        return real(*arguments)

    monkeypatch.setattr(MemoryUnfinishedWork, "read_orders", fail_once)
    report = shop.sweep()
    assert (report.released, report.failed, report.left) == (1, 1, DECISION_BATCH)


def test_order_that_a_newer_revision_changes_at_the_same_time_is_left_to_it(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = cancelling(shop)
    shop.inventory.confirm([order.reservation_id], soon())

    def cancel(*_: object) -> None:
        raise NewerRevisionError(order)

    sweep = shop.a_sweep()
    monkeypatch.setattr("order_function.service.Orders.cancel", cancel)
    report = sweep.run()
    assert (report.newer, report.cancelled, report.failed) == (1, 0, 0)


def test_failed_choice_names_the_reservation(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]]
) -> None:
    order = shop.place("C1", ONE, None).order
    shop.store.damaged[order.order_id] = DamagedDocumentError("orders/ORD", "no status")
    report = shop.sweep()
    assert (report.failed, report.left) == (1, 1)
    assert events()[0][2]["document"] == f"reservations/{order.reservation_id}"


def test_abandoned_mark_has_the_time_of_the_sweep(shop: MemoryShop) -> None:
    attempt = shop.reserve(Attempt.begin("C1", ONE, None))
    before = datetime.now(UTC)
    shop.sweep()
    assert before <= shop.stored(attempt.order_id).created_at <= datetime.now(UTC)


def test_rejected_call_is_halved_until_the_cause_is_alone(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(crashed(shop, 5))
    sizes: list[int] = []

    def release(ids: Collection[str], _: Deadline) -> None:
        sizes.append(len(ids))
        if names[3] in ids:
            raise NotSettledError(dict.fromkeys(ids, "no"), whole_request_failed=True)

    monkeypatch.setattr(shop.inventory, "release", release)
    report = shop.sweep()
    assert sizes == [5, 2, 3, 1, 2, 1, 1]
    assert (report.released, report.failed) == (4, 1)
    assert report.failures == [f"{names[3]}: no"]


def test_speed_is_of_the_settled_reservations(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.sweep().per_second == 0.0
    crashed(shop, 2)
    shop.place("C1", ONE, None)
    fulfilled = shop.place("C1", ONE, None).order
    shop.write(replace(fulfilled, status=Status.FULFILLED))
    times = iter([100.0, 103.0])
    monkeypatch.setattr(sweep_module, "time", SimpleNamespace(monotonic=lambda: next(times)))
    report = shop.sweep()
    assert (report.released, report.confirmed, report.consumed) == (2, 1, 1)
    assert (report.left, report.per_second) == (0, 1.3)


def test_oldest_reservation_is_that_of_this_revisions_orders(shop: MemoryShop) -> None:
    newer = shop.place("C1", ONE, None).order
    shop.write(replace(newer, status=NewerStatus("gift_wrapping")))
    shop.later(50)
    crashed(shop, 1)
    shop.later(20)
    report = shop.sweep()
    assert 20 <= report.oldest_held_seconds < 21
    assert (report.held, report.newer, report.released, report.failed) == (2, 1, 1, 0)


def test_oldest_reservation_is_reported_when_the_orders_cannot_be_read(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(shop, 1)
    shop.later(20)

    def fail(*_: object) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(MemoryUnfinishedWork, "read_orders", fail)
    report = shop.sweep()
    assert 20 <= report.oldest_held_seconds < 21
    assert report.failures == ["StoreUnavailableError: away"]


def test_mark_that_lost_to_another_write_is_left(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(shop, 1)

    def create(*_: object) -> None:
        raise ConflictError("another was first")

    monkeypatch.setattr(shop.store, "create", create)
    report = shop.sweep()
    assert (report.abandoned, report.released, report.failed, report.left) == (0, 0, 0, 1)


def test_numbers_and_failures_of_the_publishing_are_reported(
    shop: MemoryShop, events: Callable[[], list[tuple[str, int, Any]]]
) -> None:
    class Working:
        def publish_unsent(
            self, stopping: Callable[[], bool], report: Callable[[Published], None]
        ) -> None:
            assert stopping() is False
            report(Published(2, 2, ["orders/A: no sink"]))
            report(Published(3, 3, []))

    report = shop.a_sweep(publishing=[Working(), Working()]).run()
    assert (report.published, report.failed) == (10, 2)
    reason = "event not published: orders/A: no sink"
    assert report.failures == [reason, reason]
    assert events()[0] == ("Left for the next sweep", logging.WARNING, {"reason": reason})


def test_orders_are_finished_in_as_many_threads_as_allowed(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        cancelling(shop)
        overdue(shop)
    crashed(shop, 2 * DECISION_BATCH)
    both = threading.Barrier(2)
    release = shop.inventory.release
    waits = iter([True] * 4 + [False] * 99)

    def release_together(ids: Collection[str], deadline: Deadline) -> None:
        if next(waits):
            both.wait(4)
        release(ids, deadline)

    monkeypatch.setattr(shop.inventory, "release", release_together)
    report = shop.a_sweep(in_flight=2).run()
    assert (report.expired, report.cancelled, report.failed) == (2, 2, 0)


@pytest.mark.parametrize(("missing", "done"), [(timedelta(), 2), (timedelta(microseconds=1), 0)])
def test_work_is_done_from_the_minimum_age_on(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch, missing: timedelta, done: int
) -> None:
    order = cancelling(shop)
    shop.inventory.confirm([order.reservation_id], soon())
    (left,) = crashed(shop, 1)
    min_age = timedelta(seconds=60)
    for name in ("unfinished_orders", "held_reservations"):
        real = getattr(MemoryUnfinishedWork, name)

        def of_that_age(*arguments: Any, real: Callable[..., Any] = real) -> Any:
            return [replace(each, age=min_age - missing) for each in real(*arguments)]

        monkeypatch.setattr(MemoryUnfinishedWork, name, of_that_age)
    report = shop.sweep(min_age)
    assert report.cancelled + report.released == done
    assert (left in shop.held) == (done == 0)


def test_one_sweep_is_run_again_from_the_beginning(shop: MemoryShop) -> None:
    sweep = shop.a_sweep()
    crashed(shop, 1)
    assert sweep.run().released == 1
    crashed(shop, 2)
    report: Report = sweep.run()
    assert (report.held, report.released, report.left) == (2, 2, 0)


def test_id_that_belongs_to_no_order_reads_no_orders(
    shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.inventory.reserve("made-by-hand", ONE, soon())
    calls = Calls(shop, monkeypatch)
    assert shop.sweep().released == 1
    assert "read_orders" not in calls.seconds
