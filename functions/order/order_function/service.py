"""The use cases of order: the protocol by which a reservation becomes an order, or does not.

The order document is the commit point. Stock is reserved first, under a name that belongs to
this attempt of this body; then the document is created, and that decides. What dies in between
leaves a reservation that no order names, which is found and released later.

A write whose outcome is not known is not a failure: it is read again, and decided again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Self

from functions_common.deadlines import Deadline, DeadlineExceededError
from functions_common.store_errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from functions_common.turns import Turns
from order_function.domain import (
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
    from collections.abc import Callable, Collection

    from order_function.domain import Attempt
    from order_function.ports import Inventory, OrderStore

    Transition = Callable[[Order], Order]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds, before a write of unknown outcome is looked at again."""
ASYNC_PATIENCE = 0.7
"""The part of a request's time that may go into inventory where a pending order will do."""


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


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A request, and the attempt that it has got to."""

    attempt: Attempt
    deadline: Deadline
    respond_async: bool
    replaces: datetime | None = None
    """The version of the abandoned attempt before this one; None where there is none."""

    def next(self, abandoned: Order, version: datetime) -> Self:
        return replace(self, attempt=self.attempt.after(abandoned), replaces=version)


class Orders:
    def __init__(
        self,
        store: OrderStore,
        inventory: Inventory,
        deadline_seconds: float,
        turns: Turns | None = None,
    ) -> None:
        """``turns`` are those of lists that inventory reads."""
        self._turns = turns or Turns()
        self._store = store
        self._inventory = inventory
        self._deadline_seconds = deadline_seconds

    def place(self, attempt: Attempt, *, respond_async: bool = False) -> Placed:
        """Reserve, then create the order; or replay what the key stands for already.

        With ``respond_async`` an order comes of it while inventory is away, too: a pending one.
        """
        return self._try(_Delivery(attempt, self._deadline(), respond_async))

    def _try(self, delivery: _Delivery) -> Placed:
        attempt, deadline = delivery.attempt, delivery.deadline
        patience = deadline.share(ASYNC_PATIENCE) if delivery.respond_async else deadline
        try:
            items, currency = self._inventory.reserve(
                attempt.reservation_id, attempt.lines, patience
            )
        except InventoryRefusedError as refused:
            return self._refuse(delivery, Order.rejected(attempt, refused.rejection, _now()))
        except ReservationReleasedError as released:
            return self._settle(delivery, self._released_for(delivery, released))
        except InventoryUnavailableError as error:
            if delivery.respond_async:
                return self._write(delivery, Order.pending(attempt, _now()))
            if error.carried_out is False or not attempt.keyed:
                raise  # no order can come of it
            raise UnresolvedError(attempt.order_id) from error
        order = Order.reserved(attempt, items, currency, _now())
        return self._write(delivery, order) if order.live else self._decline(delivery, order)

    def _refuse(self, delivery: _Delivery, rejected: Order) -> Placed:
        """Under a key a refusal is written before it is told, so that it stays final."""
        if delivery.attempt.keyed:
            return self._write(delivery, rejected)
        return _tell(rejected, written=False)

    def _decline(self, delivery: _Delivery, rejected: Order) -> Placed:
        """Inventory holds it, and the order is refused: written first, and given back then.

        What cannot be given back now, reconcile finds; the refusal stands.
        """
        try:
            return self._refuse(delivery, rejected)
        except OrderRejectedError:
            with suppress(InventoryUnavailableError):
                self._inventory.release([rejected.reservation_id], delivery.deadline)
            raise

    def _write(self, delivery: _Delivery, order: Order) -> Placed:
        """Write the document. This decides; whoever comes second finds what was decided."""
        deadline = delivery.deadline
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            try:
                if delivery.replaces is None:
                    self._store.create(order, deadline)
                else:
                    self._store.replace(order, delivery.replaces, deadline)
                return _tell(order)
            except (ConflictError, OutcomeUnknownError):
                found = self._look(delivery)
            except (StoreUnavailableError, DeadlineExceededError):
                break
            if found and found[1] != delivery.replaces:
                return self._settle(delivery, found)
        raise UnresolvedError(order.order_id)

    def _look(self, delivery: _Delivery) -> tuple[Order, datetime] | None:
        """The order as it stands; None where it is not there, or cannot be seen just now."""
        try:
            return self._store.get(delivery.attempt.order_id, delivery.deadline)
        except (StoreUnavailableError, DeadlineExceededError):
            return None

    def _released_for(
        self, delivery: _Delivery, released: ReservationReleasedError
    ) -> tuple[Order, datetime]:
        """Why our reservation was released: nobody does that before the document is there."""
        order_id = delivery.attempt.order_id
        found = self._store.get(order_id, delivery.deadline)
        if found is None:
            raise UnresolvedError(order_id) from released
        return found

    def _settle(self, delivery: _Delivery, seen: tuple[Order, datetime]) -> Placed:
        """The document is there already: answer as it says, and keep no stock but its own."""
        found, version = seen
        attempt = delivery.attempt
        gives_way = found.gives_way_to(attempt)
        unwanted = {attempt.reservation_id}
        if gives_way:
            unwanted.add(found.reservation_id)
        if not found.owns(attempt.reservation_id):
            self._inventory.release(sorted(unwanted), delivery.deadline)
        if gives_way:
            return self._try(delivery.next(found, version))
        if found.fingerprint != attempt.fingerprint:
            raise IdempotencyKeyReusedError
        return _tell(found, replayed=not found.made_by(attempt))

    def cancel(self, order_id: str, customer_id: str | None = None) -> Order:
        """Cancelled; or cancelling, where inventory cannot be reached to give the stock back.

        With a customer, only an order of theirs; see ``Order.seen_by``.
        """

        def cancel(order: Order) -> Order:
            return order.seen_by(customer_id).cancel()

        return self._in_two_steps(order_id, cancel, self._inventory.release, Order.released)

    def fulfil(self, order_id: str) -> Order:
        """Fulfilled; or fulfilling, where inventory cannot be reached to count it as shipped."""
        return self._in_two_steps(order_id, Order.fulfil, self._inventory.consume, Order.consumed)

    def _in_two_steps(
        self,
        order_id: str,
        begin: Transition,
        settle: Callable[[Collection[str], Deadline], None],
        finish: Transition,
    ) -> Order:
        """The order says what is to become of its stock, then the stock moves, then it is done."""
        deadline = self._deadline()
        begun = self._move(order_id, begin, deadline)
        if finish(begun) == begun:
            return begun
        try:
            settle([begun.reservation_id], deadline)
            return self._move(order_id, finish, deadline)
        except (InventoryUnavailableError, UnresolvedError, StoreError, DeadlineExceededError):
            return begun

    def complete(self, order_id: str) -> Order:
        """Decide a pending order. Raises where inventory is still away."""
        deadline = self._deadline()
        order, _ = self._existing(order_id, deadline)
        if order.status is not Status.PENDING:
            return order
        decide: Transition
        try:
            items, currency = self._inventory.reserve(order.reservation_id, order.lines, deadline)
        except InventoryRefusedError as refused:
            decide = partial(Order.reject, rejection=refused.rejection)
        except ReservationReleasedError as released:
            rejection = Rejection("reservation-released", str(released))
            decide = partial(Order.reject, rejection=rejection)
        else:
            decide = partial(Order.complete, items=items, currency=currency)
        order = self._move(order_id, decide, deadline)
        if not order.live:
            self._inventory.release([order.reservation_id], deadline)
        return order

    def get(self, order_id: str, customer_id: str | None = None) -> Order:
        """With a customer, only an order of theirs; see ``Order.seen_by``."""
        return self._existing(order_id, self._deadline())[0].seen_by(customer_id)

    def of_customer(
        self,
        customer_id: str,
        status: Status | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Order]:
        return self._store.of_customer(customer_id, status, after, limit, self._deadline())

    def products(self, query: dict[str, str]) -> tuple[int, bytes]:
        """Inventory's status and body, when it is this list's turn: see ``Turns``."""
        deadline = self._deadline()
        with self._turns.take(deadline):
            return self._inventory.catalogue("/products", query, deadline)

    def product(self, product_id: str) -> tuple[int, bytes]:
        """Inventory's status and body."""
        return self._inventory.catalogue(f"/products/{product_id}", {}, self._deadline())

    def _move(self, order_id: str, transition: Transition, deadline: Deadline) -> Order:
        """Change the order under the version read, again and again until nobody else came first."""
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            order, version = self._existing(order_id, deadline)
            moved = transition(order)
            if moved == order:
                return order
            with suppress(ConflictError, OutcomeUnknownError):
                self._store.replace(moved, version, deadline)
                return moved
        raise UnresolvedError(order_id)

    def _existing(self, order_id: str, deadline: Deadline) -> tuple[Order, datetime]:
        """What customers may know of: not the mark that an abandoned attempt leaves."""
        found = self._store.get(order_id, deadline)
        if found is None or found[0].status is Status.ABANDONED:
            raise OrderNotFoundError(order_id)
        return found

    def _deadline(self) -> Deadline:
        return Deadline.after(self._deadline_seconds)


def _tell(order: Order, *, replayed: bool = False, written: bool = True) -> Placed:
    if order.rejection is not None:
        order_id = order.order_id if written else None
        raise OrderRejectedError(order.rejection, order_id, replayed=replayed)
    return Placed(order, replayed)


def _now() -> datetime:
    return datetime.now(UTC)
