"""Finishing what was left half done: the protocol's fifth step, off the customers' path.

A held reservation is either on its way to becoming an order, or its process died. The order
document decides which: if there is none, an abandoned one is created in its place, and only then
is the stock given back. So a delivery that is merely slow finds the mark, and tries anew.

Any number of sweeps may run at once, and while orders flow. One document that cannot be handled
never ends a sweep: its id is reported, and the next sweep tries it again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from functions_common.firestore.errors import ConflictError, OutcomeUnknownError, StoreError
from functions_common.observability import logs
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from order_function.domain import NewerRevisionError, Order, OrderError, Status
from order_function.ports import InventoryUnavailableError, NotSettledError
from order_function.reconcile.in_flight import InFlight
from order_function.service import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import timedelta

    from order_function.domain import ReservationName
    from order_function.ports import (
        Backlog,
        HeldReservation,
        Inventory,
        OrderStore,
        UnfinishedOrder,
    )
    from order_function.service import Orders

    T = TypeVar("T", HeldReservation, UnfinishedOrder)
    U = TypeVar("U")
    Found = tuple[Order, datetime] | StoreError | None
    """The order of a reservation with its version; the error of a damaged one; None if missing."""

PAGE = 500
"""Reservations that one query returns: their ids."""
ORDERS_PAGE = 50
"""Orders that one query returns: whole documents, within the time of one call."""
AT_ONCE = 250
"""Reservations that are decided together; also the most that inventory confirms in one call."""
MOVED_AT_ONCE = 50
"""The most that inventory releases or consumes in one call: these wait in line with buyers."""
CALL_SECONDS = 15.0
"""For each step of a sweep; above a cold start of inventory."""
STOPPING_SECONDS = 3.0
"""The same once the sweep was asked to stop: Kubernetes waits for 30 s in all."""
MAX_FAILED_CALLS = 3
"""Failed calls of inventory in a row, after which the sweep stops calling it."""
MAX_REASONS = 20
"""In the report; the log has a line for each."""

_EXPECTED = (StoreError, DeadlineExceededError, InventoryUnavailableError, UnresolvedError)


class Verdict(Enum):
    """The next step of a reservation that is still held."""

    CONFIRM = auto()
    RELEASE = auto()
    CONSUME = auto()
    LATER = auto()
    """The next sweep decides."""
    NEWER = auto()
    """Its order is a newer revision's; this one leaves it alone."""


@dataclass(slots=True)
class Report:
    """What a sweep found and did, in numbers of reservations and orders.

    The two ages are for alarms (docs/operating.md): how long the oldest that it found had waited.
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
    cancelled: int = 0
    fulfilled: int = 0
    newer: int = 0
    """Left to a newer revision, whose status they or their orders have."""
    failed: int = 0
    """Could not be done now, and are left for the next sweep."""
    failures: list[str] = field(default_factory=list)
    """Why: the first reasons, with the ids that they concern."""
    left: int | None = 0
    """Held reservations found minus settled; those made during the sweep are not counted.

    If the sweep did not read every page, a count of all at its end; None if that failed.
    """
    per_second: float = 0.0
    """Reservations settled."""
    stopped: bool = False
    """It was asked to stop before it came to the end."""

    @property
    def done(self) -> int:
        """How much there was to do; zero the second time."""
        return sum(getattr(self, name) for name in _DONE)


_DONE = ("abandoned", "confirmed", "released", "consumed", "completed", "cancelled", "fulfilled")


class Sweep:
    def __init__(
        self,
        backlog: Backlog,
        store: OrderStore,
        inventory: Inventory,
        orders: Orders,
        patience: timedelta,
        in_flight: int = 1,
    ) -> None:
        """``patience``: the sweep leaves younger ones alone, since they may still be under way.

        ``in_flight``: how many orders, or parts of a page of reservations, are handled at a time.
        """
        self._backlog = backlog
        self._store = store
        self._inventory = inventory
        self._orders = orders
        self._patience = patience
        self._in_flight = in_flight
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._failed_calls = 0
        self._read_every_page = False
        self._report = Report()

    def stop(self) -> None:
        """Finish the work that is under way and begin nothing more; ``run`` returns then."""
        self._stopping.set()

    def run(self) -> Report:
        """Every unfinished order, then every held reservation. Inventory is called if needed."""
        self._report = Report()
        self._read_every_page, self._failed_calls = False, 0
        self._noting_failures(self._finish_orders)
        began = time.monotonic()
        self._noting_failures(self._settle_reservations)
        self._conclude(time.monotonic() - began)
        return self._report

    def _conclude(self, seconds: float) -> None:
        report = self._report
        settled = report.confirmed + report.released + report.consumed
        report.per_second = round(settled / seconds, 1) if settled else 0.0
        report.stopped = self._stopping.is_set()
        report.left = report.held - settled if self._read_every_page else None
        if not self._read_every_page:
            self._noting_failures(self._count_left)

    def _count_left(self) -> None:
        self._report.left = self._backlog.count_held(self._soon())

    def _finish_orders(self) -> None:
        with InFlight(self._in_flight) as work:
            orders = self._pages(
                self._backlog.unfinished, ORDERS_PAGE, lambda found: found.order_id
            )
            for page in orders:
                self._add(unfinished=len(page))
                self._note_age("oldest_unfinished_seconds", page)
                for found in page:
                    work.submit(self._finish, found)

    def _finish(self, found: UnfinishedOrder) -> None:
        if not self._stopping.is_set():
            self._noting_failures(partial(self._finish_order, found), f"orders/{found.order_id}")

    def _finish_order(self, found: UnfinishedOrder) -> None:
        order = found.order
        if isinstance(order, StoreError):
            raise order
        if order.status is Status.PENDING:
            done = self._orders.complete(order.order_id).status is not Status.PENDING
            self._add(completed=done)
        elif found.age < self._patience:
            return
        elif order.status is Status.CANCELLING:
            done = self._orders.cancel(order.order_id).status is Status.CANCELLED
            self._add(cancelled=done)
        else:
            done = self._orders.fulfil(order.order_id).status is Status.FULFILLED
            self._add(fulfilled=done)
        if not done:
            self._fail(f"{order.order_id} is still {order.status}", f"orders/{order.order_id}")

    def _settle_reservations(self) -> None:
        with InFlight(self._in_flight) as work:
            for part in self._held_parts():
                if self._stopping.is_set():
                    return
                if self._failed_calls >= MAX_FAILED_CALLS:
                    self._fail("inventory is away: the rest is left for the next sweep")
                    return
                work.submit(self._noting_failures, partial(self._settle_part, part))
        self._read_every_page = not self._stopping.is_set()

    def _held_parts(self) -> Iterator[Sequence[HeldReservation]]:
        for page in self._pages(self._backlog.held, PAGE, lambda held: held.reservation_id):
            self._add(held=len(page))
            yield from _cut(page, AT_ONCE)

    def _settle_part(self, part: Sequence[HeldReservation]) -> None:
        old = [held for held in part if held.age >= self._patience]
        order_ids = {held.name.order_id for held in old if held.name}
        try:
            found = self._backlog.orders(order_ids, self._soon()) if order_ids else {}
        except Exception:
            self._note_age("oldest_held_seconds", part)
            raise
        verdicts: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
        for held in old:
            verdict = self._verdict_or_failure(
                held, found.get(held.name.order_id) if held.name else None
            )
            verdicts[verdict].append(held.reservation_id)
        newer = set(verdicts[Verdict.NEWER])
        self._add(newer=len(newer))
        self._note_age(
            "oldest_held_seconds", [held for held in part if held.reservation_id not in newer]
        )
        self._settle("confirmed", self._inventory.confirm, verdicts[Verdict.CONFIRM])
        for some in _cut(verdicts[Verdict.RELEASE], MOVED_AT_ONCE):
            self._settle("released", self._inventory.release, some)
        for some in _cut(verdicts[Verdict.CONSUME], MOVED_AT_ONCE):
            self._settle("consumed", self._inventory.consume, some)

    def _verdict_or_failure(self, held: HeldReservation, found: Found) -> Verdict:
        verdict = Verdict.LATER

        def decide() -> None:
            nonlocal verdict
            verdict = self._verdict(held, found)

        self._noting_failures(decide, f"reservations/{held.reservation_id}")
        return verdict

    def _verdict(self, held: HeldReservation, found: Found) -> Verdict:
        if held.name is None:
            return Verdict.RELEASE
        if isinstance(found, StoreError):
            raise found
        order, version = found or (None, None)
        if order is not None and order.newer:
            return Verdict.NEWER
        if order is None or _earlier_attempt(order, held.name):
            return Verdict.RELEASE if self._abandon(held.name, version) else Verdict.LATER
        if order.owns(held.reservation_id):
            return _OF_ITS_ORDER[order.status]
        return Verdict.RELEASE

    def _abandon(self, name: ReservationName, version: datetime | None) -> bool:
        """Take the order's place, so that it can no longer come into being; whether we did."""
        if self._stopping.is_set():
            return False
        mark = Order.abandoned(name, datetime.now(UTC))
        try:
            if version is None:
                self._store.create(mark, self._soon())
            else:
                self._store.replace(mark, version, self._soon())
        except (ConflictError, OutcomeUnknownError):
            return False  # the next sweep sees which write came first
        self._add(abandoned=1)
        return True

    def _settle(
        self,
        done: str,
        verb: Callable[[Collection[str], Deadline], None],
        reservation_ids: Sequence[str],
    ) -> None:
        """One call for all; each that inventory cannot settle fails alone."""
        if not reservation_ids or self._stopping.is_set():
            return
        if self._failed_calls >= MAX_FAILED_CALLS:
            self._fail("inventory is away", count=len(reservation_ids))
            return
        try:
            verb(reservation_ids, self._soon())
        except NotSettledError as error:
            self._failed_calls = 0
            if error.blames_all and len(reservation_ids) > 1:
                half = len(reservation_ids) // 2
                self._settle(done, verb, reservation_ids[:half])
                self._settle(done, verb, reservation_ids[half:])
                return
            for reservation_id, reason in error.reasons.items():
                self._fail(f"{reservation_id}: {reason}", f"reservations/{reservation_id}")
            self._add(**{done: len(reservation_ids) - len(error.reasons)})
        except (InventoryUnavailableError, DeadlineExceededError) as error:
            self._failed_calls += 1
            self._fail(f"{type(error).__name__}: {error}", count=len(reservation_ids))
        else:
            self._failed_calls = 0
            self._add(**{done: len(reservation_ids)})

    def _pages(
        self,
        read: Callable[[str | None, int, Deadline], list[T]],
        most: int,
        place: Callable[[T], str],
    ) -> Iterator[list[T]]:
        after = None
        while not self._stopping.is_set() and (page := read(after, most, self._soon())):
            yield page
            if len(page) < most:
                return
            after = place(page[-1])

    def _noting_failures(self, step: Callable[[], None], document: str | None = None) -> None:
        try:
            step()
        except NewerRevisionError:
            self._add(newer=1)
        except (*_EXPECTED, OrderError) as error:
            self._fail(f"{type(error).__name__}: {error}", document)
        except Exception as error:  # noqa: BLE001 - one document must not end the sweep
            logs.exception("Unexpected error", error, document=document)
            self._fail(f"{type(error).__name__}: {error}", document)

    def _fail(self, reason: str, document: str | None = None, count: int = 1) -> None:
        """``document``: the path of the one to blame; None if it is not a single one."""
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

    def _note_age(self, name: str, found: Sequence[HeldReservation | UnfinishedOrder]) -> None:
        oldest = max((each.age.total_seconds() for each in found), default=0.0)
        with self._lock:
            setattr(self._report, name, max(getattr(self._report, name), oldest))

    def _soon(self) -> Deadline:
        return Deadline.after(STOPPING_SECONDS if self._stopping.is_set() else CALL_SECONDS)


_OF_ITS_ORDER: dict[str, Verdict] = {
    Status.CONFIRMED: Verdict.CONFIRM,
    Status.FULFILLED: Verdict.CONSUME,
    # These could not be finished just now.
    Status.PENDING: Verdict.LATER,
    Status.FULFILLING: Verdict.LATER,
}
"""Of a reservation that is its order's own."""


def _cut(whole: Sequence[U], most: int) -> Iterator[Sequence[U]]:
    return (whole[first : first + most] for first in range(0, len(whole), most))


def _earlier_attempt(order: Order, name: ReservationName) -> bool:
    """The mark of an attempt that died before this one, of the same body."""
    return order.gives_way_to(name) and order.attempt < name.attempt
