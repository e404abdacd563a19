"""What the use cases need from outside.

The store's errors are those of functions_common.firestore.errors; inventory's are:

    InventoryError
    ├── InventoryRefusedError      short, or not on sale: nothing was reserved
    ├── ReservationReleasedError   this reservation was released; it can never be held again
    └── InventoryUnavailableError  no usable answer by the deadline; see ``carried_out``
        ├── CatalogueBusyError     a read of the catalogue that inventory asks to repeat later
        └── NotSettledError        some reservations were left as they were; the others are settled
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime, timedelta

    from functions_common.firestore.errors import StoreError
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Item, Line, Order, Rejection, ReservationName, Status


class InventoryError(Exception):
    """See the tree above."""


class InventoryRefusedError(InventoryError):
    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection


class ReservationReleasedError(InventoryError):
    pass


class InventoryUnavailableError(InventoryError):
    def __init__(self, reason: str, *, carried_out: bool | None) -> None:
        """``carried_out`` is False where no request can have reached inventory, else None."""
        super().__init__(reason)
        self.carried_out = carried_out


class CatalogueBusyError(InventoryUnavailableError):
    """Inventory says that it cannot read the catalogue now, and why. The text is for clients."""

    def __init__(self, detail: str, retry_after: int) -> None:
        """``retry_after``: seconds."""
        super().__init__(detail, carried_out=False)
        self.retry_after = retry_after


class NotSettledError(InventoryUnavailableError):
    def __init__(self, reasons: Mapping[str, str], *, blames_all: bool = False) -> None:
        """``reasons``: by the id of each reservation that was left as it was.

        ``blames_all``: inventory failed the request as a whole, and one of them may be the cause.
        """
        text = "; ".join(f"{reservation_id}: {why}" for reservation_id, why in reasons.items())
        super().__init__(f"not settled: {text}"[:300], carried_out=None)
        self.reasons = reasons
        self.blames_all = blames_all


class Inventory(Protocol):
    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[Item, ...], str]:
        """Hold every line, or none; the items as they were priced, and their currency."""

    def release(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        """Give back what they hold; one that is not known can never be held then.

        Raises NotSettledError if that could not be done for all, as do the next two.
        """

    def confirm(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        """Their orders exist. Changes those that are held, and nothing else."""

    def consume(self, reservation_ids: Collection[str], deadline: Deadline) -> None:
        """The goods have left: what they hold is counted as shipped."""

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        """Status and body of a read of the catalogue, to be passed through.

        Raises CatalogueBusyError if inventory says that it is too busy.
        """


class OrderStore(Protocol):
    def get(self, order_id: str, deadline: Deadline) -> tuple[Order, datetime] | None:
        """The order, and the version that a change of it must name."""

    def create(self, order: Order, deadline: Deadline) -> None:
        """ConflictError where the order is there already."""

    def replace(self, order: Order, version: datetime, deadline: Deadline) -> None:
        """ConflictError where the order is no longer of that version."""

    def of_customer(
        self,
        customer_id: str,
        status: Status | None,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Order]:
        """Newest first, beginning after the one given by its time and id."""


@dataclass(frozen=True, slots=True)
class HeldReservation:
    reservation_id: str
    name: ReservationName | None
    """None where no order can have named it."""
    age: timedelta
    """By the database's clock alone."""


@dataclass(frozen=True, slots=True)
class UnfinishedOrder:
    order_id: str
    order: Order | StoreError
    """The error of a damaged one."""
    age: timedelta
    """Since it last changed, by the database's clock alone."""


class Backlog(Protocol):
    """What was begun and not finished, on both sides: documents, a page at a time, by their id."""

    def held(self, after: str | None, limit: int, deadline: Deadline) -> list[HeldReservation]:
        """Reservations that nobody has confirmed, released or consumed."""

    def unfinished(
        self, after: str | None, limit: int, deadline: Deadline
    ) -> list[UnfinishedOrder]:
        """Orders that are pending, cancelling or fulfilling."""

    def orders(
        self, order_ids: Collection[str], deadline: Deadline
    ) -> dict[str, tuple[Order, datetime] | StoreError]:
        """Orders that exist, abandoned ones too, with their versions; errors of damaged ones."""

    def count_held(self, deadline: Deadline) -> int:
        """Reservations that are held."""
