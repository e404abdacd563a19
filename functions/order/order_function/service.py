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

from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
)
from functions_common.limiter import ConcurrencyLimiter
from functions_common.observability import activity
from functions_common.runtime.deadlines import DeadlineExceededError
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

    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Attempt
    from order_function.ports import Inventory, OrderStore

    Transition = Callable[[Order], Order]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds, before a write of unknown outcome is looked at again."""
INVENTORY_SHARE = 0.9
"""The fraction of a keyed request's time that reserving may take. The rest is for the order
document: an earlier delivery of the request may have written it."""
ASYNC_PATIENCE = 0.7
"""The same fraction if the client accepts a pending order."""

UNAVAILABLE = (InventoryUnavailableError, StoreError, DeadlineExceededError)
"""Failures of a dependency, or of time. The same request may succeed later."""


class UnresolvedError(Exception):
    """A change of an order could not be finished in time. Repeating it is safe: it is idempotent.

    Raised by ``cancel``, ``fulfil`` and ``complete``; placing raises OrderOutcomeUnknownError.
    """

    def __init__(self, order_id: str) -> None:
        super().__init__(f"The change of order {order_id} could not be finished in time; repeat it")
        self.order_id = order_id


class OrderOutcomeUnknownError(Exception):
    """The request, or an earlier delivery under the same key, may have placed the order.

    With a key the client repeats the request. Without one it looks for ``order_id`` first.
    """

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(f"Order {attempt.order_id} may have been placed")
        self.order_id = attempt.order_id
        self.keyed = attempt.keyed


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

    @property
    def inventory_deadline(self) -> Deadline:
        """For reserving: it leaves time for the order document."""
        if self.respond_async:
            return self.deadline.fraction(ASYNC_PATIENCE)
        return self.deadline.fraction(INVENTORY_SHARE) if self.attempt.keyed else self.deadline

    def next(self, abandoned: Order, version: datetime) -> Self:
        return replace(self, attempt=self.attempt.after(abandoned), replaces=version)


class Orders:
    def __init__(
        self,
        store: OrderStore,
        inventory: Inventory,
        deadline_seconds: float,
        turns: ConcurrencyLimiter | None = None,
    ) -> None:
        """``turns`` are those of lists that inventory reads."""
        self._turns = turns or ConcurrencyLimiter()
        self._store = store
        self._inventory = inventory
        self._deadline_seconds = deadline_seconds

    def place(self, attempt: Attempt, *, respond_async: bool = False) -> Placed:
        """Reserve stock, then create the order; or replay the order that the key already has.

        With ``respond_async`` the order is placed as pending if inventory is unavailable.

        Raises, beside the errors of the domain:

        - OrderOutcomeUnknownError: the order may exist, now or later
        - one of UNAVAILABLE: no order came of this request, and none will. Never under a key:
          another delivery of the request may have placed the order, or be about to.
        """
        try:
            return self._try(_Delivery(attempt, self._deadline(), respond_async))
        except UNAVAILABLE as error:
            if attempt.keyed:
                raise OrderOutcomeUnknownError(attempt) from error
            raise

    def _try(self, delivery: _Delivery) -> Placed:
        attempt = delivery.attempt
        try:
            items, currency = self._inventory.reserve(
                attempt.reservation_id, attempt.lines, delivery.inventory_deadline
            )
        except InventoryRefusedError as refused:
            return self._refuse(delivery, Order.rejected(attempt, refused.rejection, _now()))
        except ReservationReleasedError as released:
            return self._settle(delivery, self._released_for(delivery, released))
        except InventoryUnavailableError as error:
            if delivery.respond_async:
                return self._write(delivery, Order.pending(attempt, _now()))
            return self._replay_without_inventory(delivery, error)
        order = Order.reserved(attempt, items, currency, _now())
        return self._write(delivery, order) if order.live else self._decline(delivery, order)

    def _replay_without_inventory(
        self, delivery: _Delivery, error: InventoryUnavailableError
    ) -> Placed:
        """Replay the order if an earlier delivery decided it; else raise ``error`` again.

        A reservation that this delivery may have made is left to reconcile.
        """
        seen = self._look(delivery) if delivery.attempt.keyed else None
        if seen is None or seen[0].gives_way_to(delivery.attempt):
            raise error
        return _replay(delivery.attempt, seen[0])

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
        """Write the document. The first write decides; a later writer replays its decision.

        Raises OrderOutcomeUnknownError if one of the writes may have been carried out, or may be
        carried out later; else the error that kept the document from being written.
        """
        deadline, doubt = delivery.deadline, False
        for _ in deadline.attempts(FIRST_PAUSE, LONGEST_PAUSE):
            try:
                if delivery.replaces is None:
                    self._store.create(order, deadline)
                else:
                    self._store.replace(order, delivery.replaces, deadline)
                return _tell(order)
            except (ConflictError, OutcomeUnknownError):
                doubt = True
                found = self._look(delivery)
            except (StoreError, DeadlineExceededError):
                if not doubt:
                    raise  # nothing was written
                break
            if found and found[1] != delivery.replaces:
                return self._settle(delivery, found)
        raise OrderOutcomeUnknownError(delivery.attempt)

    def _look(self, delivery: _Delivery) -> tuple[Order, datetime] | None:
        """The order as it stands; None if it does not exist, or cannot be read now."""
        try:
            return self._store.get(delivery.attempt.order_id, delivery.deadline)
        except (StoreError, DeadlineExceededError):
            return None

    def _released_for(
        self, delivery: _Delivery, released: ReservationReleasedError
    ) -> tuple[Order, datetime]:
        """The document that made someone release our reservation: it is written first."""
        order_id = delivery.attempt.order_id
        found = self._store.get(order_id, delivery.deadline)
        if found is None:
            reason = f"the reservation was released, and there is no order {order_id}"
            raise InventoryUnavailableError(reason, carried_out=None) from released
        return found

    def _settle(self, delivery: _Delivery, seen: tuple[Order, datetime]) -> Placed:
        """The document exists already: replay it, and keep no stock but the order's own."""
        found, version = seen
        attempt = delivery.attempt
        if found.gives_way_to(attempt):
            # Both must be free before the next attempt, or it may find too little in stock.
            unwanted = {attempt.reservation_id, found.reservation_id}
            self._inventory.release(sorted(unwanted), delivery.deadline)
            return self._try(delivery.next(found, version))
        if not found.owns(attempt.reservation_id):
            with suppress(InventoryUnavailableError):  # reconcile finds it
                self._inventory.release([attempt.reservation_id], delivery.deadline)
        return _replay(attempt, found)

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
        """Inventory's status and body, when it is this list's turn: see ``ConcurrencyLimiter``."""
        deadline = self._deadline()
        with self._turns.slot(deadline):
            return self._inventory.catalogue("/products", query, deadline)

    def product(self, product_id: str) -> tuple[int, bytes]:
        """Inventory's status and body."""
        return self._inventory.catalogue(f"/products/{product_id}", {}, self._deadline())

    def _move(self, order_id: str, transition: Transition, deadline: Deadline) -> Order:
        """Change the order under the version read, again and again until nobody else came first."""
        for _ in deadline.attempts(FIRST_PAUSE, LONGEST_PAUSE):
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
        return activity.deadline(self._deadline_seconds)


def _replay(attempt: Attempt, found: Order) -> Placed:
    """The outcome in the document, if it belongs to the same body."""
    if found.fingerprint != attempt.fingerprint:
        raise IdempotencyKeyReusedError
    return _tell(found, replayed=not found.made_by(attempt))


def _tell(order: Order, *, replayed: bool = False, written: bool = True) -> Placed:
    if order.rejection is not None:
        order_id = order.order_id if written else None
        raise OrderRejectedError(order.rejection, order_id, replayed=replayed)
    return Placed(order, replayed)


def _now() -> datetime:
    return datetime.now(UTC)
