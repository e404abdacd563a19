"""The use cases of order: the protocol by which a reservation becomes an order, or does not.

The order document is the commit point. Stock is reserved first, under a name that belongs to
this attempt of this body; then the document is created, and that decides. What dies in between
leaves a reservation that no order names, which is found and released later.

A write whose outcome is not known is not a failure: it is read again, and decided again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions_common.deadlines import Deadline, DeadlineExceededError
from functions_common.store_errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from order_function.domain import (
    Attempt,
    IdempotencyKeyReusedError,
    Order,
    OrderNotFoundError,
    OrderRejectedError,
    Rejection,
    Status,
)
from order_function.ports import (
    InventoryRefusedError,
    InventoryUnavailableError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from order_function.domain import Line
    from order_function.ports import Inventory, OrderStore

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds, before a write of unknown outcome is looked at again."""


class UnresolvedError(Exception):
    """Something was begun and could not be finished in time: the order's id finds out what."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"The outcome is not known yet; look for the order {order_id}")
        self.order_id = order_id


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    replayed: bool
    """An earlier delivery of the same request placed it."""


class Orders:
    def __init__(self, store: OrderStore, inventory: Inventory, deadline_seconds: float) -> None:
        self._store = store
        self._inventory = inventory
        self._deadline_seconds = deadline_seconds

    def place(self, customer_id: str, lines: Iterable[Line], key: str | None) -> Placed:
        """Reserve, then create the order; or replay what the key stands for already."""
        deadline = self._deadline()
        attempt = Attempt.begin(customer_id, lines, key)
        try:
            items, currency = self._inventory.reserve(
                attempt.reservation_id, attempt.lines, deadline
            )
        except InventoryRefusedError as refused:
            return self._refuse(attempt, refused.rejection, deadline)
        except ReservationReleasedError as released:
            return self._settle(attempt, self._released_for(attempt, released, deadline), deadline)
        except InventoryUnavailableError as error:
            if error.carried_out is False or key is None:  # without a key no order can come of it
                raise
            raise UnresolvedError(attempt.order_id) from error
        order = Order.confirmed(attempt, items, currency, datetime.now(UTC))
        return self._write(attempt, order, deadline)

    def _refuse(self, attempt: Attempt, rejection: Rejection, deadline: Deadline) -> Placed:
        """Under a key a refusal is written before it is told, so that it stays final."""
        if not attempt.keyed:
            raise OrderRejectedError(rejection, None, replayed=False)
        order = Order.rejected(attempt, rejection, datetime.now(UTC))
        return self._write(attempt, order, deadline)

    def _write(self, attempt: Attempt, order: Order, deadline: Deadline) -> Placed:
        """Create the document. This decides; whoever comes second finds what was decided."""
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            try:
                self._store.create(order, deadline)
                return _tell(order, replayed=False)
            except (ConflictError, OutcomeUnknownError):
                found = self._look(attempt, deadline)
            except (StoreUnavailableError, DeadlineExceededError):
                break
            if found:
                return self._settle(attempt, found, deadline)
        raise UnresolvedError(attempt.order_id)

    def _look(self, attempt: Attempt, deadline: Deadline) -> Order | None:
        """The order as it stands; None where it is not there, or cannot be seen just now."""
        try:
            found = self._store.get(attempt.order_id, deadline)
        except (StoreUnavailableError, DeadlineExceededError):
            return None
        return found[0] if found else None

    def _released_for(
        self, attempt: Attempt, released: ReservationReleasedError, deadline: Deadline
    ) -> Order:
        """Why our reservation was released: nobody does that before the document is there."""
        found = self._store.get(attempt.order_id, deadline)
        if found is None:
            raise UnresolvedError(attempt.order_id) from released
        return found[0]

    def _settle(self, attempt: Attempt, found: Order, deadline: Deadline) -> Placed:
        """The document is there already: answer as it says, and keep no stock but its own."""
        if found.made_by(attempt):
            return _tell(found, replayed=False)
        if not found.owns_reservation_of(attempt):
            self._inventory.release(attempt.reservation_id, deadline)
        if found.fingerprint != attempt.fingerprint:
            raise IdempotencyKeyReusedError
        return _tell(found, replayed=True)

    def cancel(self, order_id: str) -> Order:
        """Cancelled; or cancelling, where inventory cannot be reached to give the stock back."""
        deadline = self._deadline()
        cancelling = self._move(order_id, Order.cancel, deadline)
        if cancelling.status is Status.CANCELLED:
            return cancelling
        try:
            self._inventory.release(cancelling.reservation_id, deadline)
            return self._move(order_id, Order.released, deadline)
        except (InventoryUnavailableError, UnresolvedError, StoreError, DeadlineExceededError):
            return cancelling

    def get(self, order_id: str) -> Order:
        found = self._store.get(order_id, self._deadline())
        if found is None:
            raise OrderNotFoundError(order_id)
        return found[0]

    def of_customer(
        self,
        customer_id: str,
        status: Status | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Order]:
        return self._store.of_customer(customer_id, status, after, limit, self._deadline())

    def catalogue(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        return self._inventory.catalogue(path, query, self._deadline())

    def _move(
        self, order_id: str, transition: Callable[[Order], Order], deadline: Deadline
    ) -> Order:
        """Change the order under the version read, again and again until nobody else came first."""
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            found = self._store.get(order_id, deadline)
            if found is None:
                raise OrderNotFoundError(order_id)
            order, version = found
            moved = transition(order)
            if moved == order:
                return order
            with suppress(ConflictError, OutcomeUnknownError):
                self._store.replace(moved, version, deadline)
                return moved
        raise UnresolvedError(order_id)

    def _deadline(self) -> Deadline:
        return Deadline.after(self._deadline_seconds)


def _tell(order: Order, *, replayed: bool) -> Placed:
    if order.rejection is not None:
        raise OrderRejectedError(order.rejection, order.order_id, replayed=replayed)
    return Placed(order, replayed)
