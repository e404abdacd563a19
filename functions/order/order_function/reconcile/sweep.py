"""The sweep of ``reconcile``: it finishes orders and reservations that a crash left unfinished.

A held reservation belongs to a request in progress, or to one whose process has ended. The order
document shows what to do:

- The order owns the reservation: the sweep confirms or consumes the reservation.
- The order does not own the reservation, because it is cancelled or rejected, or because another
  attempt made it: the sweep releases the reservation.
- There is no order: the sweep writes an abandoned mark in its place, and then releases the
  reservation. If the request was only slow, it finds the mark and starts its next attempt.

Several sweeps may run at the same time, and while customers order. If one document fails, the sweep
reports its id and continues. The next sweep tries it again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from functions_common.firestore.errors import ConflictError, OutcomeUnknownError, StoreError
from functions_common.observability import logs
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from order_function.domain import (
    RECONCILE,
    By,
    NewerRevisionError,
    Order,
    OrderError,
    Status,
)
from order_function.ports import InventoryFailedError, NotSettledError
from order_function.reconcile.worker_pool import WorkerPool
from order_function.service import UnfinishedChangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import timedelta

    from functions_common.events.sending import Published
    from order_function.domain import ReservationName
    from order_function.ports import (
        HeldReservation,
        Inventory,
        OrderStore,
        OverdueOrder,
        UnfinishedOrder,
        UnfinishedWork,
        VersionedOrder,
    )
    from order_function.service import Orders

    T = TypeVar("T", HeldReservation, UnfinishedOrder, OverdueOrder)
    P = TypeVar("P", str, tuple[datetime, str])
    U = TypeVar("U")
    FoundOrder = VersionedOrder | StoreError | None
    """The order and its version; the error of a damaged document; None if there is no document."""

PAGE = 500
"""Reservations that one query returns, as ids."""
ORDERS_PAGE = 50
"""Orders that one query returns, as whole documents."""
DECISION_BATCH = 250
"""Reservations that are decided together. It is inventory's limit for one ``confirm``."""
STOCK_BATCH = 50
"""Reservations in one ``release`` or ``consume``, which queue with customers' orders."""
CALL_SECONDS = 15.0
"""For each call of inventory: more than its cold start. A call of Firestore has its own limit."""
STOPPING_SECONDS = 3.0
"""For each call after ``stop``: Kubernetes waits 30 s before it kills the process."""
MAX_FAILED_CALLS = 3
"""The number of failed calls in a row after which the sweep no longer calls inventory."""
MAX_REASONS = 20
"""Reasons in the report. The log has a line for each failure."""

_BY = By(RECONCILE)
"""``cancel`` and ``fulfil`` need it for a change that has begun already. It is not recorded."""
_EXPECTED = (StoreError, DeadlineExceededError, InventoryFailedError, UnfinishedChangeError)


class Action(Enum):
    """What the sweep does with a held reservation."""

    CONFIRM = auto()
    RELEASE = auto()
    CONSUME = auto()
    LATER = auto()
    """Leave it to the next sweep."""
    NEWER = auto()
    """Leave it to a newer revision: only that knows the order's status."""


@dataclass(slots=True)
class Report:
    """Numbers of reservations and orders that a sweep found and changed.

    The two ages are the age of the oldest one found. Alarms watch them (docs/operating.md).
    """

    held: int = 0
    oldest_held_seconds: float = 0.0
    unfinished: int = 0
    oldest_unfinished_seconds: float = 0.0
    abandoned: int = 0
    confirmed: int = 0
    released: int = 0
    consumed: int = 0
    completed: int = 0
    """Pending orders that were decided."""
    cancelled: int = 0
    fulfilled: int = 0
    moved: int = 0
    """Orders of which a part was cancelled, fulfilled or returned."""
    expired: int = 0
    """Orders that were cancelled because their payment was not confirmed in time."""
    published: int = 0
    """Events that the sink accepted."""
    newer: int = 0
    """Left to a newer revision: only that knows the status of the order."""
    failed: int = 0
    """Failed, and left for the next sweep."""
    failures: list[str] = field(default_factory=list)
    """The reasons of the first failures, with the ids of the documents."""
    left: int | None = 0
    """Held reservations that remain: those that the sweep found and did not settle.

    If the sweep did not read every page, it is the number of all held reservations at its end. None
    if they could not be counted.
    """
    per_second: float = 0.0
    """Reservations settled a second."""
    stopped: bool = False
    """``stop`` was called before the sweep ended."""

    @property
    def done(self) -> int:
        """The number of changes that this sweep made."""
        return sum(getattr(self, name) for name in _DONE)


_DONE = (
    "abandoned",
    "confirmed",
    "released",
    "consumed",
    "completed",
    "cancelled",
    "fulfilled",
    "moved",
    "expired",
)


class Publishing(Protocol):
    """Publishes the unsent events."""

    def publish_unsent(
        self, stopping: Callable[[], bool], report: Callable[[Published], None]
    ) -> None:
        """Publish events until none is left, or ``stopping``. ``report`` gets partial results."""


class Sweep:
    def __init__(  # noqa: PLR0913 - by keyword
        self,
        work: UnfinishedWork,
        store: OrderStore,
        inventory: Inventory,
        orders: Orders,
        min_age: timedelta,
        *,
        concurrency: int = 1,
        publishing: Sequence[Publishing] = (),
    ) -> None:
        """``min_age``: younger reservations and changes may still be in progress, and are left.

        ``concurrency``: orders, or batches of reservations, that are handled at the same time.

        ``publishing``: each publishes events at the end of the sweep. Empty: the shop has no sink.
        """
        self._work = work
        self._store = store
        self._inventory = inventory
        self._orders = orders
        self._min_age = min_age
        self._concurrency = concurrency
        self._publishing = publishing
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._failed_calls = 0
        self._read_every_page = False
        self._report = Report()

    def stop(self) -> None:
        """Finish the calls in progress and begin no others; then ``run`` returns."""
        self._stopping.set()

    def run(self) -> Report:
        """Handle every unfinished order, then every held reservation.

        Inventory is called only if there is work for it.
        """
        self._report = Report()
        self._read_every_page, self._failed_calls = False, 0
        self._run_step(self._expire_overdue_orders)
        self._run_step(self._finish_orders)
        began = time.monotonic()
        self._run_step(self._settle_held)
        self._complete_report(time.monotonic() - began)
        for each in self._publishing:
            self._run_step(partial(self._publish_events, each))
        self._report.stopped = self._stopping.is_set()
        return self._report

    def _complete_report(self, seconds: float) -> None:
        report = self._report
        settled = report.confirmed + report.released + report.consumed
        report.per_second = round(settled / seconds, 1) if settled else 0.0
        report.left = report.held - settled if self._read_every_page else None
        if not self._read_every_page:
            self._run_step(self._count_left)

    def _publish_events(self, publishing: Publishing) -> None:
        publishing.publish_unsent(self._stopping.is_set, self._report_published)

    def _report_published(self, published: Published) -> None:
        self._add(published=published.events)
        for reason in published.failures:
            self._fail(f"event not published: {reason}")

    def _count_left(self) -> None:
        self._report.left = self._work.count_held(self._call_deadline())

    def _finish_orders(self) -> None:
        with WorkerPool(self._concurrency) as pool:
            orders = self._pages(
                self._work.unfinished_orders, ORDERS_PAGE, lambda found: found.order_id
            )
            for page in orders:
                self._add(unfinished=len(page))
                self._record_oldest("oldest_unfinished_seconds", page)
                for found in page:
                    pool.submit(self._try_to_finish, found)

    def _expire_overdue_orders(self) -> None:
        now = datetime.now(UTC)
        with WorkerPool(self._concurrency) as pool:
            for page in self._pages(
                partial(self._work.overdue_orders, now), ORDERS_PAGE, _due_position
            ):
                for found in page:
                    pool.submit(self._try_to_expire, found)

    def _try_to_expire(self, found: OverdueOrder) -> None:
        if self._stopping.is_set():
            return
        path = f"orders/{found.order_id}"
        order = self._run_step(partial(self._expire, found), path)
        if order is None:
            return
        self._add(expired=order.expired and order.status is Status.CANCELLED)
        if order.status is Status.CANCELLING:
            self._fail(f"{found.order_id} is still {order.status}", path)

    def _expire(self, found: OverdueOrder) -> Order:
        if isinstance(found.order, StoreError):
            raise found.order
        return self._orders.expire(found.order_id)

    def _try_to_finish(self, found: UnfinishedOrder) -> None:
        if not self._stopping.is_set():
            self._run_step(partial(self._finish_order, found), f"orders/{found.order_id}")

    def _finish_order(self, found: UnfinishedOrder) -> None:
        """Decide a pending order, or finish the movement of any other.

        A movement younger than ``min_age`` may still be in progress, and is left.
        """
        order = found.order
        if isinstance(order, StoreError):
            raise order
        if order.status is Status.PENDING:
            done = self._orders.decide_pending(order.order_id).status is not Status.PENDING
            self._add(completed=done)
        elif found.age < self._min_age:
            return
        elif order.status is Status.CANCELLING:
            cancelled = self._orders.cancel(order.order_id, _BY)
            done = cancelled.status is not Status.CANCELLING
            self._add(cancelled=done)
        elif order.status is Status.CHANGING:
            moved = self._orders.finish_movement(order.order_id)
            done = moved.status is not Status.CHANGING
            self._add(moved=done)
        else:
            done = self._orders.fulfil(order.order_id, _BY).status is Status.FULFILLED
            self._add(fulfilled=done)
        if not done:
            self._fail(f"{order.order_id} is still {order.status}", f"orders/{order.order_id}")

    def _settle_held(self) -> None:
        with WorkerPool(self._concurrency) as pool:
            for batch in self._batches_of_held():
                if self._stopping.is_set():
                    return
                if self._failed_calls >= MAX_FAILED_CALLS:
                    self._fail("inventory is unavailable: the rest is left for the next sweep")
                    return
                pool.submit(self._run_step, partial(self._settle_batch, batch))
        self._read_every_page = not self._stopping.is_set()

    def _batches_of_held(self) -> Iterator[Sequence[HeldReservation]]:
        for page in self._pages(
            self._work.held_reservations, PAGE, lambda held: held.reservation_id
        ):
            self._add(held=len(page))
            yield from _batches(page, DECISION_BATCH)

    def _settle_batch(self, batch: Sequence[HeldReservation]) -> None:
        """Choose an action for each reservation of the batch, then call inventory."""
        actions = self._choose_actions(batch)
        self._settle_or_split("confirmed", self._inventory.confirm, actions[Action.CONFIRM])
        for ids in _batches(actions[Action.RELEASE], STOCK_BATCH):
            self._settle_or_split("released", self._inventory.release, ids)
        for ids in _batches(actions[Action.CONSUME], STOCK_BATCH):
            self._settle_or_split("consumed", self._inventory.consume, ids)

    def _choose_actions(self, batch: Sequence[HeldReservation]) -> dict[Action, list[str]]:
        """Return the ids for each action. Reservations younger than ``min_age`` have none.

        Writes the abandoned marks that must exist before a release.
        """
        old = [held for held in batch if held.age >= self._min_age]
        order_ids = {held.name.order_id for held in old if held.name}
        try:
            found = self._work.read_orders(order_ids, self._call_deadline()) if order_ids else {}
        except Exception:
            self._record_oldest("oldest_held_seconds", batch)
            raise
        actions: dict[Action, list[str]] = {action: [] for action in Action}
        for held in old:
            order = found.get(held.name.order_id) if held.name else None
            actions[self._try_to_choose_action(held, order)].append(held.reservation_id)
        newer = set(actions[Action.NEWER])
        self._add(newer=len(newer))
        self._record_oldest(
            "oldest_held_seconds", [held for held in batch if held.reservation_id not in newer]
        )
        return actions

    def _try_to_choose_action(self, held: HeldReservation, found: FoundOrder) -> Action:
        choose = partial(self._choose_action, held, found)
        action = self._run_step(choose, f"reservations/{held.reservation_id}")
        return action or Action.LATER

    def _choose_action(self, held: HeldReservation, found: FoundOrder) -> Action:
        """Return the action. For a reservation without an order, write an abandoned mark first."""
        if held.name is None:
            return Action.RELEASE
        if isinstance(found, StoreError):
            raise found
        order, version = found or (None, None)
        if order is not None and order.of_newer_revision:
            return Action.NEWER
        if order is None or _is_mark_of_earlier_attempt(order, held.name):
            return Action.RELEASE if self._abandon(held.name, version) else Action.LATER
        if order.owns(held.reservation_id):
            return _ACTION_BY_STATUS[order.status]
        return Action.RELEASE

    def _abandon(self, name: ReservationName, version: datetime | None) -> bool:
        """Write an abandoned mark; False if another write came first.

        After the mark, the attempt can no longer become an order.
        """
        if self._stopping.is_set():
            return False
        mark = Order.new_abandoned_mark(name, datetime.now(UTC))
        try:
            if version is None:
                self._store.create(mark, self._call_deadline())
            else:
                self._store.replace(mark, version, self._call_deadline())
        except (ConflictError, OutcomeUnknownError):
            return False  # the next sweep reads which write was first
        self._add(abandoned=1)
        return True

    def _settle_or_split(
        self,
        counter: str,
        call: Callable[[Collection[str], Deadline], None],
        reservation_ids: Sequence[str],
    ) -> None:
        """Settle the reservations, normally in one call. One that cannot be settled fails alone.

        If inventory rejects a whole call, the cause may be a single reservation. Then both halves
        are sent on their own, and so on until that reservation is alone: at most 2n - 1 calls for n
        reservations. ``counter``: the field of the report that counts the settled ones.
        """
        if not reservation_ids or self._stopping.is_set():
            return
        if self._failed_calls >= MAX_FAILED_CALLS:
            self._fail("inventory is unavailable", count=len(reservation_ids))
            return
        try:
            call(reservation_ids, self._call_deadline())
        except NotSettledError as error:
            self._failed_calls = 0
            if error.whole_request_failed and len(reservation_ids) > 1:
                half = len(reservation_ids) // 2
                self._settle_or_split(counter, call, reservation_ids[:half])
                self._settle_or_split(counter, call, reservation_ids[half:])
                return
            for reservation_id, reason in error.reasons.items():
                self._fail(f"{reservation_id}: {reason}", f"reservations/{reservation_id}")
            self._add(**{counter: len(reservation_ids) - len(error.reasons)})
        except (InventoryFailedError, DeadlineExceededError) as error:
            self._failed_calls += 1
            self._fail(f"{type(error).__name__}: {error}", count=len(reservation_ids))
        else:
            self._failed_calls = 0
            self._add(**{counter: len(reservation_ids)})

    def _pages(
        self,
        read: Callable[[P | None, int, Deadline], list[T]],
        limit: int,
        position_of: Callable[[T], P],
    ) -> Iterator[list[T]]:
        after: P | None = None
        while not self._stopping.is_set() and (page := read(after, limit, self._call_deadline())):
            yield page
            if len(page) < limit:
                return
            after = position_of(page[-1])

    def _run_step(self, step: Callable[[], U], document: str | None = None) -> U | None:
        """The result of the step. If it fails, the failure is reported, and the result is None."""
        try:
            return step()
        except NewerRevisionError:
            self._add(newer=1)
        except (*_EXPECTED, OrderError) as error:
            self._fail(f"{type(error).__name__}: {error}", document)
        except Exception as error:  # noqa: BLE001 - one document must not end the sweep
            logs.exception("Unexpected error", error, document=document)
            self._fail(f"{type(error).__name__}: {error}", document)
        return None

    def _fail(self, reason: str, document: str | None = None, count: int = 1) -> None:
        """Log and report a failure. ``document``: the path of its cause; None for several."""
        reason = reason[:300]
        blamed = {"document": document} if document else {}
        logs.event("Left for the next sweep", severity=logging.WARNING, reason=reason, **blamed)
        with self._lock:
            self._report.failed += count
            if len(self._report.failures) < MAX_REASONS:
                self._report.failures.append(reason)

    def _add(self, **counts: int) -> None:
        with self._lock:
            for name, count in counts.items():
                setattr(self._report, name, getattr(self._report, name) + count)

    def _record_oldest(self, name: str, found: Sequence[HeldReservation | UnfinishedOrder]) -> None:
        oldest = max((each.age.total_seconds() for each in found), default=0.0)
        with self._lock:
            setattr(self._report, name, max(getattr(self._report, name), oldest))

    def _call_deadline(self) -> Deadline:
        return Deadline.after(STOPPING_SECONDS if self._stopping.is_set() else CALL_SECONDS)


_ACTION_BY_STATUS: dict[str, Action] = {
    Status.AWAITING_PAYMENT: Action.CONFIRM,
    Status.CONFIRMED: Action.CONFIRM,
    Status.CHANGING: Action.CONFIRM,
    Status.PARTIALLY_FULFILLED: Action.CONFIRM,
    Status.FULFILLED: Action.CONSUME,
    # The sweep could not finish these orders.
    Status.PENDING: Action.LATER,
    Status.FULFILLING: Action.LATER,
}
"""The action for a reservation that its order owns, by the order's status.

CONFIRM confirms the reservation, because its order exists. It does not confirm the order.
"""


def _due_position(found: OverdueOrder) -> tuple[datetime, str]:
    return found.due, found.order_id


def _batches(items: Sequence[U], size: int) -> Iterator[Sequence[U]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _is_mark_of_earlier_attempt(order: Order, name: ReservationName) -> bool:
    """Whether the document is the mark of an earlier attempt of the same body."""
    return order.can_be_replaced_by(name) and order.attempt_number < name.attempt_number
