"""Finishing what was left half done: the protocol's fifth step, off the customers' path.

A reservation that is held is either on its way to becoming an order, or its process died. Which of
the two, the order document decides: where there is none, an abandoned one is created in its place,
and only then is the stock given back. So whoever is merely slow finds the mark, and tries anew.

Any number of sweeps may run at once, and while orders flow. What a sweep did not get to, the next
one finds.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from functions_common import logs
from functions_common.deadlines import Deadline, DeadlineExceededError
from functions_common.store_errors import ConflictError, OutcomeUnknownError, StoreError
from order_function.domain import Order, OrderError, Status
from order_function.ports import InventoryUnavailableError
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

PAGE = 50
"""Documents at a time; also as many as inventory takes in one call."""
CALL_SECONDS = 15.0
"""For each step of a sweep; above a cold start of inventory."""

_FAILURES = (StoreError, DeadlineExceededError, InventoryUnavailableError, UnresolvedError)


class Verdict(Enum):
    """What is to become of a reservation that is still held."""

    CONFIRM = auto()
    RELEASE = auto()
    CONSUME = auto()
    LATER = auto()
    """The next sweep sees."""


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
    failures: list[str] = field(default_factory=list)
    """What could not be done now, and is left for the next sweep."""

    @property
    def done(self) -> int:
        """How much there was to do; zero the second time."""
        return sum(count for name, count in asdict(self).items() if name not in _FOUND)


_FOUND = frozenset(
    ("held", "oldest_held_seconds", "unfinished", "oldest_unfinished_seconds", "failures")
)
"""What a report says of what there was; the rest is what was done about it."""


class Sweep:
    def __init__(
        self,
        backlog: Backlog,
        store: OrderStore,
        inventory: Inventory,
        orders: Orders,
        patience: timedelta,
    ) -> None:
        """``patience``: what is younger may still be under way, and is left alone."""
        self._backlog = backlog
        self._store = store
        self._inventory = inventory
        self._orders = orders
        self._patience = patience
        self._report = Report()

    def run(self) -> Report:
        """Every unfinished order, then every held reservation. Inventory is called where needed."""
        self._report = Report()
        self._noting_failures(self._finish_orders)
        self._noting_failures(self._settle_reservations)
        return self._report

    def _finish_orders(self) -> None:
        for page in self._pages(self._backlog.unfinished, lambda found: found.order.order_id):
            self._report.unfinished += len(page)
            self._report.oldest_unfinished_seconds = max(
                self._report.oldest_unfinished_seconds, _oldest(page)
            )
            for found in page:
                if found.order.status is Status.PENDING or found.age >= self._patience:
                    self._noting_failures(partial(self._finish, found.order))

    def _finish(self, order: Order) -> None:
        if order.status is Status.PENDING:
            done = self._orders.complete(order.order_id).status is not Status.PENDING
            self._report.completed += done
        elif order.status is Status.CANCELLING:
            done = self._orders.cancel(order.order_id).status is Status.CANCELLED
            self._report.cancelled += done
        else:
            done = self._orders.fulfil(order.order_id).status is Status.FULFILLED
            self._report.fulfilled += done
        if not done:
            self._report.failures.append(f"{order.order_id} is still {order.status}")

    def _settle_reservations(self) -> None:
        for page in self._pages(self._backlog.held, lambda held: held.reservation_id):
            self._report.held += len(page)
            self._report.oldest_held_seconds = max(self._report.oldest_held_seconds, _oldest(page))
            self._settle_page([held for held in page if held.age >= self._patience])

    def _settle_page(self, page: list[HeldReservation]) -> None:
        order_ids = {held.name.order_id for held in page if held.name}
        found = self._backlog.orders(order_ids, _soon()) if order_ids else {}
        verdicts: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
        for held in page:
            seen = found.get(held.name.order_id) if held.name else None
            verdicts[self._verdict(held, seen)].append(held.reservation_id)
        self._report.confirmed += self._tell(self._inventory.confirm, verdicts[Verdict.CONFIRM])
        self._report.released += self._tell(self._inventory.release, verdicts[Verdict.RELEASE])
        self._report.consumed += self._tell(self._inventory.consume, verdicts[Verdict.CONSUME])

    def _verdict(self, held: HeldReservation, seen: tuple[Order, datetime] | None) -> Verdict:
        if held.name is None:
            return Verdict.RELEASE
        order, version = seen or (None, None)
        if order is None or _earlier_attempt(order, held.name):
            return Verdict.RELEASE if self._abandon(held.name, version) else Verdict.LATER
        if order.owns(held.reservation_id):
            return _OF_ITS_ORDER[order.status]
        return Verdict.RELEASE

    def _abandon(self, name: ReservationName, version: datetime | None) -> bool:
        """Take the order's place, so that it cannot come into being any more; whether we did."""
        mark = Order.abandoned(name, datetime.now(UTC))
        try:
            if version is None:
                self._store.create(mark, _soon())
            else:
                self._store.replace(mark, version, _soon())
        except (ConflictError, OutcomeUnknownError):
            return False  # the next sweep sees who came first
        self._report.abandoned += 1
        return True

    def _tell(
        self, verb: Callable[[Collection[str], Deadline], None], reservation_ids: list[str]
    ) -> int:
        if reservation_ids:
            verb(reservation_ids, _soon())
        return len(reservation_ids)

    def _pages(
        self,
        read: Callable[[str | None, int, Deadline], list[T]],
        place: Callable[[T], str],
    ) -> Iterator[list[T]]:
        after = None
        while page := read(after, PAGE, _soon()):
            yield page
            if len(page) < PAGE:
                return
            after = place(page[-1])

    def _noting_failures(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (*_FAILURES, OrderError) as error:
            reason = f"{type(error).__name__}: {error}"[:300]
            logs.event("Left for the next sweep", severity=logging.WARNING, reason=reason)
            self._report.failures.append(reason)


_OF_ITS_ORDER = {
    Status.CONFIRMED: Verdict.CONFIRM,
    Status.FULFILLED: Verdict.CONSUME,
    # These could not be finished just now.
    Status.PENDING: Verdict.LATER,
    Status.FULFILLING: Verdict.LATER,
}
"""Of a reservation that is its order's own."""


def _earlier_attempt(order: Order, name: ReservationName) -> bool:
    """The mark of an attempt that died before this one, of the same body."""
    return order.gives_way_to(name) and order.attempt < name.attempt


def _oldest(page: Sequence[HeldReservation | UnfinishedOrder]) -> float:
    """Its age in seconds."""
    return max(found.age.total_seconds() for found in page)


def _soon() -> Deadline:
    return Deadline.after(CALL_SECONDS)
