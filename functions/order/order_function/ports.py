"""The interfaces that the use cases need: inventory, the store, and the work left to reconcile.

The errors of the stores are in functions_common.firestore.errors. The errors of inventory:

    InventoryError
    ├── ReservationRejectedError   stock is short, or a product is not on sale: nothing is reserved
    ├── ReservationReleasedError   this reservation was released, and can never be held again
    └── InventoryFailedError  inventory did not reply by the deadline, the reply is unusable,
        │                          or the circuit is open. The call may have had its effect
        ├── CatalogueBusyError     inventory replied that it cannot read the catalogue now
        └── NotSettledError        inventory replied that some reservations did not change, or that
                                   it did not apply a movement
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from order_function.domain import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from functions_common.firestore.errors import StoreError, UnusableDocumentError
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import (
        Line,
        MovementKind,
        Order,
        PricedLine,
        Rejection,
        ReservationName,
    )


class InventoryError(Exception):
    """Base of the errors that the docstring of this module lists."""


class ReservationRejectedError(InventoryError):
    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection


class ReservationReleasedError(InventoryError):
    pass


class InventoryFailedError(InventoryError):
    def __init__(self, reason: str, *, outcome_unknown: bool) -> None:
        """``outcome_unknown``: a request may have reached inventory, and may have had its effect.

        The client logs it: it explains a reservation that ``reconcile`` finds later.
        """
        super().__init__(reason)
        self.outcome_unknown = outcome_unknown


class CatalogueBusyError(InventoryFailedError):
    """Inventory cannot read the catalogue now. The message is for the client."""

    def __init__(self, detail: str, retry_after: int) -> None:
        """``retry_after``: seconds."""
        super().__init__(detail, outcome_unknown=False)
        self.retry_after = retry_after


class NotSettledError(InventoryFailedError):
    def __init__(self, reasons: Mapping[str, str], *, whole_request_failed: bool = False) -> None:
        """``reasons``: why each reservation did not change, by its id.

        ``whole_request_failed``: inventory settled none of them and did not say which one is the
        cause. Otherwise the reservations that are not in ``reasons`` are settled.
        """
        text = "; ".join(f"{reservation_id}: {why}" for reservation_id, why in reasons.items())
        super().__init__(f"not settled: {text}"[:300], outcome_unknown=True)
        self.reasons = reasons
        self.whole_request_failed = whole_request_failed


class Inventory(Protocol):
    """The other function. Every call is idempotent."""

    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[PricedLine, ...], str]:
        """Hold the stock of every line, or of none. Returns the priced items and their currency.

        ``lines`` are merged: one a product.
        """

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        """Return the stock of each reservation. An unknown id can never be reserved afterwards.

        Raises NotSettledError if a reservation could not be released. ``confirm`` and ``consume``
        do the same.
        """

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        """Mark each held reservation as confirmed: its order exists. No quantity changes.

        Reservations of another status do not change, and that is no error.
        """

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        """Count the stock of each reservation as shipped."""

    def move(
        self,
        reservation_id: str,
        number: int,
        kind: MovementKind,
        lines: Iterable[Line],
        deadline: Deadline,
    ) -> None:
        """Apply the order's movement of this number to the reservation and the stock, once.

        ``kind``: release, consume or restock. ``lines``: the units to move, one line a product.
        A repeated call must have the same kind and lines. Raises NotSettledError with the reason if
        inventory does not apply the movement. A stale number is normal: another process has gone
        on. Otherwise the counts of the order and of its reservation differ, which is a defect.
        """

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        """Read the catalogue; return status and body of inventory's response, unchanged.

        Raises CatalogueBusyError if inventory is too busy.
        """


class VersionedOrder(NamedTuple):
    """An order, and the version of its document that a change must name."""

    order: Order
    version: datetime


class OrderOrError(NamedTuple):
    order_id: str
    found: VersionedOrder | UnusableDocumentError


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Selects the orders of a list. A field that is None admits all orders."""

    customer_id: str | None = None
    statuses: frozenset[Status] = frozenset()
    """Empty: all but rejected orders."""
    created_from: datetime | None = None
    created_before: datetime | None = None
    product_id: str | None = None
    """The orders with a line of this product."""

    def matches(self, order: Order) -> bool:
        """Whether the filter admits the order. Abandoned marks are never admitted."""
        if self.statuses:
            of_status = order.status in self.statuses
        else:
            of_status = order.status not in (Status.REJECTED, Status.ABANDONED)
        return (
            of_status
            and self.customer_id in (None, order.customer_id)
            and (self.created_from is None or self.created_from <= order.created_at)
            and (self.created_before is None or order.created_at < self.created_before)
            and self.product_id in (None, *(line.product_id for line in order.lines))
        )


class ChangedOrder(NamedTuple):
    order: Order
    stored_at: datetime
    """When the database stored the last change."""


class ChangedOrders(NamedTuple):
    page: list[ChangedOrder]
    read_time: datetime
    """When the page was read. A change that was stored shortly before may still be missing."""


class OrderStore(Protocol):
    def get(self, order_id: str, deadline: Deadline) -> VersionedOrder | None:
        """The order with its version; None if there is no such document."""

    def create(self, order: Order, deadline: Deadline) -> None:
        """Create the document. Raises ConflictError if the order exists already."""

    def replace(self, order: Order, version: datetime, deadline: Deadline) -> None:
        """Change the document. Raises ConflictError if it no longer has this version."""

    def list_newest(
        self,
        wanted: OrderFilter,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Order]:
        """The orders that the filter admits, newest first.

        ``after``: time and id of the last order of the page before; None for the first page.
        """

    def list_changed(
        self,
        since: datetime,
        until: datetime | None,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> ChangedOrders:
        """All orders whose last change was stored from ``since`` to ``until``, oldest change first.

        Both times are included, and so are rejected orders. ``until``: None stands for now.

        ``since``, ``until`` and the times of the result are by the database's clock. ``after``: the
        ``stored_at`` and id of the last order of the page before; None for the first page.
        """

    def list_by_id(
        self, prefix: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[Order]:
        """The orders whose id has this prefix, sorted by id, without rejected ones."""

    def orders_of(
        self, customer_id: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[OrderOrError]:
        """All orders of a customer, sorted by id. Rejected orders and damaged documents, too."""


class SentEvents(NamedTuple):
    found: VersionedOrder
    events_sent: int
    """The number of events, from the beginning of the history, that were sent."""


class Outbox(Protocol):
    """The events of orders that were not sent yet."""

    def read(self, order_ids: Collection[str], deadline: Deadline) -> list[VersionedOrder]:
        """The orders that have unsent events, without damaged documents."""

    def unsent(self, after: str | None, limit: int, deadline: Deadline) -> list[VersionedOrder]:
        """A page of all orders that have unsent events, by id.

        ``after``: the last id of the page before; None for the first page.
        """

    def record_sent(
        self, sent: Sequence[SentEvents], deadline: Deadline
    ) -> list[StoreError | None]:
        """Record for each order which events were sent. Returns the error of each, or None.

        A ConflictError: the order has changed since it was read, so it has new events. Nothing is
        recorded then: the next publisher sends the new events, and also those of this call again.
        """


@dataclass(frozen=True, slots=True)
class HeldReservation:
    reservation_id: str
    name: ReservationName | None
    """None if the id belongs to no order."""
    age: timedelta
    """By the database's clock alone."""


@dataclass(frozen=True, slots=True)
class UnfinishedOrder:
    order_id: str
    order: Order | StoreError
    """The error if the document is damaged."""
    age: timedelta
    """The time since its last change, by the database's clock alone."""


@dataclass(frozen=True, slots=True)
class OverdueOrder:
    order_id: str
    order: Order | StoreError
    """The error if the document is damaged."""
    due: datetime


class UnfinishedWork(Protocol):
    """Reads the orders and reservations that a process began and did not finish.

    Lists are sorted by id. ``after``: the last id of the page before; None for the first page.
    """

    def held_reservations(
        self, after: str | None, limit: int, deadline: Deadline
    ) -> list[HeldReservation]:
        """Reservations with the status ``held``."""

    def unfinished_orders(
        self, after: str | None, limit: int, deadline: Deadline
    ) -> list[UnfinishedOrder]:
        """Orders that are pending, cancelling, fulfilling or changing."""

    def overdue_orders(
        self, now: datetime, after: tuple[datetime, str] | None, limit: int, deadline: Deadline
    ) -> list[OverdueOrder]:
        """Orders that await a payment that was due by ``now``, the longest overdue first.

        ``after``: when the last order of the page before was due, and its id.
        """

    def read_orders(
        self, order_ids: Collection[str], deadline: Deadline
    ) -> dict[str, VersionedOrder | StoreError]:
        """The orders that exist, with their versions; the errors of damaged documents.

        Abandoned marks are included.
        """

    def count_held(self, deadline: Deadline) -> int:
        """The number of held reservations."""
