"""What the use cases need from outside.

The store's errors are those of functions_common.store_errors; inventory's are:

    InventoryError
    ├── InventoryRefusedError      short, or not on sale: nothing was reserved
    ├── ReservationReleasedError   this reservation was released; it can never be held again
    └── InventoryUnavailableError  no usable answer by the deadline; see ``carried_out``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from functions_common.deadlines import Deadline
    from order_function.domain import Item, Line, Order, Rejection, Status


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


class Inventory(Protocol):
    def reserve(
        self, reservation_id: str, lines: Iterable[Line], deadline: Deadline
    ) -> tuple[tuple[Item, ...], str]:
        """Hold every line, or none; the items as they were priced, and their currency."""

    def release(self, reservation_id: str, deadline: Deadline) -> None:
        """Give back what the reservation holds; one that is not known can never be held then."""

    def catalogue(self, path: str, query: dict[str, str], deadline: Deadline) -> tuple[int, bytes]:
        """Status and body of a read of the catalogue, to be passed through."""


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
