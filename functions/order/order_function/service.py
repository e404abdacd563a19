"""The use cases of order: place, show, list, change, expire and erase orders.

A client may send a request several times under one ``Idempotency-Key``. Each time is a delivery of
that request, and all deliveries share one order id. A delivery makes an order in these steps:

1. **Reserve** the stock in inventory, under an id that belongs to this attempt of this body.
2. **Decide**: write the order document. This write is the commit point: the first delivery that
   writes the document decides the order.
3. **Replay**: a delivery that finds an existing document releases its own reservation, unless the
   order owns it. Then it returns the decision in the document.
4. **Next attempt**: if the existing document is only an abandoned mark, release the stock of both
   attempts and continue at Reserve with the next attempt. Its order replaces the mark.

A process that crashes after Reserve leaves a reservation that no order owns. ``reconcile`` finds
it, writes an abandoned mark in the order's place, and then releases the stock.

An unknown outcome of a write is not a failure: the delivery reads the document and decides again.
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
    StoreRejectedError,
    UnusableDocumentError,
)
from functions_common.ids import digest_id, random_id
from functions_common.limiter import ConcurrencyLimiter
from functions_common.observability import activity
from functions_common.runtime.deadlines import DeadlineExceededError
from order_function import erasure
from order_function.domain import (
    RECONCILE,
    IdempotencyKeyReusedError,
    Order,
    OrderNotFoundError,
    OrderRejectedError,
    Rejection,
    Status,
    UnfinishedMovementError,
)
from order_function.ports import (
    InventoryFailedError,
    NotSettledError,
    ReservationRejectedError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Attempt, By, MovementKind
    from order_function.erasure import Erased
    from order_function.ports import (
        ChangedOrders,
        Inventory,
        OrderFilter,
        OrderStore,
        VersionedOrder,
    )

    Transition = Callable[[Order], Order]

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.02, 0.5
"""Upper limits of the random pause before a write is tried again: of the first pause, and of all.

The limit doubles with each try. A write is tried again after a conflict or an unknown outcome.
"""
RESERVE_FRACTION = 0.9
"""The fraction of a keyed request's time that Reserve may take.

The rest is for reading the order document if inventory is unavailable. An earlier delivery of the
request may have written it, and then its decision is replayed.
"""
ASYNC_RESERVE_FRACTION = 0.7
"""The fraction of the time that Reserve may take if the client accepts a pending order, with or
without a key. The rest is for writing that order."""

DEPENDENCY_ERRORS = (InventoryFailedError, StoreError, DeadlineExceededError)
"""Inventory or Firestore failed, or the time ran out."""
_REPEAT_DOES_NOT_HELP = (StoreRejectedError, UnusableDocumentError)
"""The DEPENDENCY_ERRORS that every repeat of the request would get, until an operator acts."""


class UnfinishedChangeError(Exception):
    """A change of an order could not be finished in time. Repeating it is safe: it is idempotent.

    Raised by each use case that changes one existing order. ``place`` raises
    OrderOutcomeUnknownError instead.
    """

    def __init__(self, order_id: str) -> None:
        super().__init__(f"The change of order {order_id} could not be finished in time. Repeat it")
        self.order_id = order_id


class OrderOutcomeUnknownError(Exception):
    """The request, or an earlier delivery under the same key, may have placed the order.

    With a key the client repeats the request. Without one it first reads ``order_id``.
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
    """One delivery of a request, and its current attempt."""

    attempt: Attempt
    deadline: Deadline
    respond_async: bool
    replaced_version: datetime | None = None
    """The version of the mark that this attempt replaces; None for a new document."""

    @property
    def reserve_deadline(self) -> Deadline:
        """The deadline of Reserve.

        With a key, or if a pending order is accepted, it leaves time for the order document.
        """
        if self.respond_async:
            return self.deadline.fraction(ASYNC_RESERVE_FRACTION)
        return self.deadline.fraction(RESERVE_FRACTION) if self.attempt.keyed else self.deadline

    def next_attempt(self, abandoned: Order, version: datetime) -> Self:
        return replace(
            self, attempt=self.attempt.after(abandoned.attempt_number), replaced_version=version
        )


class Orders:
    def __init__(
        self,
        store: OrderStore,
        inventory: Inventory,
        deadline_seconds: float,
        product_list_limiter: ConcurrencyLimiter | None = None,
    ) -> None:
        """``product_list_limiter`` limits the lists of products that inventory reads at a time."""
        self._product_list_limiter = product_list_limiter or ConcurrencyLimiter()
        self._store = store
        self._inventory = inventory
        self._deadline_seconds = deadline_seconds

    def place(self, attempt: Attempt, *, respond_async: bool = False) -> Placed:
        """Reserve stock, then create the order; or replay the order that the key already has.

        With ``respond_async`` the order is placed as pending if inventory is unavailable.

        Raises, in addition to the errors of the domain:

        - OrderOutcomeUnknownError: the order may exist, now or later
        - StoreRejectedError: Firestore rejected the order. Each repeat is rejected too.
        - UnusableDocumentError: the key has an order, and its document is damaged.
        - any other of DEPENDENCY_ERRORS: only for a request without a key. It placed no order and
          will place none. For a request with a key OrderOutcomeUnknownError takes its place,
          because another delivery of the request may place the order.
        """
        try:
            return self._place(_Delivery(attempt, self._deadline(), respond_async))
        except _REPEAT_DOES_NOT_HELP:
            raise
        except DEPENDENCY_ERRORS as error:
            if attempt.keyed:
                raise OrderOutcomeUnknownError(attempt) from error
            raise

    def _place(self, delivery: _Delivery) -> Placed:
        """The steps of the protocol, as the docstring of this module names them."""
        while True:
            attempt = delivery.attempt
            try:
                order = self._reserve(delivery)
                existing = self._decide(delivery, order)
            except ReservationReleasedError as error:
                existing = self._read_after_release(delivery, error)
            except InventoryFailedError as error:
                return self._replay_without_inventory(delivery, error)
            if existing is None:  # this delivery decided
                return self._return_own_decision(delivery, order)
            found, version = existing
            if not found.can_be_replaced_by(attempt):  # Replay
                if not found.owns(attempt.reservation_id):
                    self._try_to_release(delivery)
                return _replay(attempt, found)
            # Next attempt. First release both reservations: the last units, which the next attempt
            # needs, may be in either.
            both_reservations = {attempt.reservation_id, found.reservation_id}
            self._inventory.release(sorted(both_reservations), delivery.deadline)
            delivery = delivery.next_attempt(found, version)

    def _reserve(self, delivery: _Delivery) -> Order:
        """Reserve the stock. Return the order that ``_decide`` writes.

        Its status is confirmed, awaiting payment, rejected or pending. Raises
        ReservationReleasedError if another process has released the reservation.
        """
        attempt = delivery.attempt
        try:
            items, currency = self._inventory.reserve(
                attempt.reservation_id, attempt.lines, delivery.reserve_deadline
            )
        except ReservationRejectedError as error:
            return Order.new_rejected(attempt, error.rejection, _now())
        except InventoryFailedError:
            if not delivery.respond_async:
                raise
            return Order.new_pending(attempt, _now())
        return Order.new_reserved(attempt, items, currency, _now())

    def _decide(self, delivery: _Delivery, order: Order) -> VersionedOrder | None:
        """Write the order document. Return None if a write of this call succeeded.

        Otherwise return the document that exists. That can also be this delivery's own, if an
        earlier write succeeded and its response was lost. A rejection without a key is not written,
        because no later delivery can replay it.

        Raises OrderOutcomeUnknownError if a try may have written the document, or may still write
        it; otherwise the error of Firestore.
        """
        if order.rejection is not None and not delivery.attempt.keyed:
            return None
        order_may_exist = False
        for _ in delivery.deadline.backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS):
            try:
                self._write_once(delivery, order)
            except (ConflictError, OutcomeUnknownError):
                order_may_exist = True
                found = self._try_to_read(delivery)
            except (StoreError, DeadlineExceededError):
                if not order_may_exist:
                    raise
                break
            else:
                return None
            if found and found.version != delivery.replaced_version:  # not the mark to replace
                return found
        raise OrderOutcomeUnknownError(delivery.attempt)

    def _write_once(self, delivery: _Delivery, order: Order) -> None:
        if delivery.replaced_version is None:
            self._store.create(order, delivery.deadline)
        else:
            self._store.replace(order, delivery.replaced_version, delivery.deadline)

    def _return_own_decision(self, delivery: _Delivery, order: Order) -> Placed:
        """Return the order that this delivery decided. Raises OrderRejectedError for a rejection.

        An order that is rejected for its price has stock. It is released after the document is
        written: a crash in between then leaves a decision, and ``reconcile`` releases the stock.
        """
        if order.rejection is None:
            return Placed(order, replayed=False)
        if order.rejected_for_price:
            self._try_to_release(delivery)
        order_id = order.order_id if delivery.attempt.keyed else None
        raise OrderRejectedError(order.rejection, order_id, replayed=False)

    def _try_to_release(self, delivery: _Delivery) -> None:
        """Release the attempt's reservation. If inventory is unavailable, ``reconcile`` does it."""
        with suppress(InventoryFailedError):
            self._inventory.release([delivery.attempt.reservation_id], delivery.deadline)

    def _read_after_release(
        self, delivery: _Delivery, error: ReservationReleasedError
    ) -> VersionedOrder:
        """Read the document that explains why the reservation is released.

        A process writes such a document before it releases a reservation: an abandoned mark, or an
        order that does not own the reservation.
        """
        order_id = delivery.attempt.order_id
        found = self._store.get(order_id, delivery.deadline)
        if found is None:
            reason = f"the reservation was released, and there is no order {order_id}"
            raise InventoryFailedError(reason, outcome_unknown=True) from error
        return found

    def _replay_without_inventory(self, delivery: _Delivery, error: InventoryFailedError) -> Placed:
        """Replay the order if an earlier delivery decided it; otherwise raise ``error`` again.

        This delivery may have made a reservation. ``reconcile`` releases it.
        """
        found = self._try_to_read(delivery) if delivery.attempt.keyed else None
        if found is None or found.order.can_be_replaced_by(delivery.attempt):
            raise error
        return _replay(delivery.attempt, found.order)

    def _try_to_read(self, delivery: _Delivery) -> VersionedOrder | None:
        """Return the order in the store; None if it does not exist, or Firestore is unavailable.

        Raises UnusableDocumentError if the order exists and its document is damaged.
        """
        try:
            return self._store.get(delivery.attempt.order_id, delivery.deadline)
        except UnusableDocumentError:
            raise
        except (StoreError, DeadlineExceededError):
            return None

    def cancel(
        self, order_id: str, by: By, customer_id: str | None = None, key: str | None = None
    ) -> Order:
        """Cancel all open units of an order.

        The order stays ``cancelling`` if inventory cannot release its stock now. Raises
        OrderNotFoundError if it belongs to another customer than ``customer_id``; None stands for
        staff, who may change every order. Raises IdempotencyKeyReusedError if ``key`` has changed a
        part of the order.
        """

        def begin(order: Order) -> Order:
            order.require_customer(customer_id)
            order.require_key_changed_no_part(_digest(order_id, key))
            return order.begin_cancel(by)

        return self._change_with_stock(order_id, begin, self._inventory.release, _finish_cancel)

    def expire(self, order_id: str) -> Order:
        """Cancel an order whose payment was not confirmed in time; see ``cancel``.

        No other order is cancelled. If a cancellation has begun, it is finished.
        """

        def begin(order: Order) -> Order:
            return order.begin_expiry(_now())

        return self._change_with_stock(order_id, begin, self._inventory.release, _finish_cancel)

    def fulfil(
        self, order_id: str, by: By, customer_id: str | None = None, key: str | None = None
    ) -> Order:
        """Fulfil all open units of an order.

        It stays ``fulfilling`` if inventory cannot consume its stock now. Raises as ``cancel``.
        """

        def begin(order: Order) -> Order:
            order.require_customer(customer_id)
            order.require_key_changed_no_part(_digest(order_id, key))
            return order.begin_fulfil(by)

        return self._change_with_stock(order_id, begin, self._inventory.consume, _finish_fulfil)

    def confirm(self, order_id: str, by: By) -> Order:
        """Confirm an order that awaits its payment. Idempotent: see ``Order.confirm_payment``."""

        def confirm(order: Order) -> Order:
            return order.confirm_payment(by, _now())

        return self._update(order_id, confirm, self._deadline())

    def change_part(
        self,
        order_id: str,
        kind: MovementKind,
        wanted: Mapping[str, int],
        by: By,
        key: str | None = None,
        customer_id: str | None = None,
    ) -> Order:
        """Cancel, fulfil or take back some units of an order; see ``Order.begin_movement``.

        The order stays ``changing`` if inventory cannot move the stock now. Raises
        OrderNotFoundError as ``cancel`` does. ``key``: the client's idempotency key.
        """
        deadline = self._deadline()
        # A repeated write recognises its movement by the digest, so there is always one.
        key_digest = _digest(order_id, key) or random_id()

        def begin(order: Order) -> Order:
            order.require_customer(customer_id)
            return order.begin_movement(kind, wanted, by, key_digest)

        return self._finish_or_leave(self._begin(order_id, begin, deadline), deadline)

    def finish_movement(self, order_id: str) -> Order:
        """Finish the movement of a part that a request has begun, if there is one."""
        deadline = self._deadline()
        return self._finish_movement(self._get(order_id, deadline).order, deadline)

    def _change_with_stock(
        self,
        order_id: str,
        begin: Transition,
        move_stock: Callable[[Collection[str], Deadline], None],
        finish: Transition,
    ) -> Order:
        """Write into the order that the change has begun, move the stock, then write its end.

        Returns the order as begun if the stock cannot move now. ``reconcile`` finishes it.
        """
        deadline = self._deadline()
        begun = self._begin(order_id, begin, deadline)
        if finish(begun) == begun:  # an earlier request has finished the change
            return begun
        try:
            move_stock([begun.reservation_id], deadline)
            return self._update(order_id, finish, deadline)
        except (*DEPENDENCY_ERRORS, UnfinishedChangeError):
            return begun

    def _begin(self, order_id: str, begin: Transition, deadline: Deadline) -> Order:
        """Begin a change of an order. If a movement of a part is open, finish that first."""
        while True:
            try:
                return self._update(order_id, begin, deadline)
            except UnfinishedMovementError as unfinished:
                self._finish_movement(unfinished.order, deadline)

    def _finish_or_leave(self, begun: Order, deadline: Deadline) -> Order:
        try:
            return self._finish_movement(begun, deadline)
        except (*DEPENDENCY_ERRORS, UnfinishedChangeError):
            return begun

    def _finish_movement(self, begun: Order, deadline: Deadline) -> Order:
        """Let inventory apply the order's movement of a part, then write that it is done."""
        movement = begun.movement
        if begun.status is not Status.CHANGING or movement is None:
            return begun
        number = movement.number
        try:
            self._inventory.move(
                begun.reservation_id, number, movement.kind, movement.lines, deadline
            )
        except NotSettledError:
            # Inventory rejects the movement as stale if another process has finished it and begun
            # the next one.
            found = self._get(begun.order_id, deadline).order
            if found.movement == movement:
                raise
            return found

        def finish(order: Order) -> Order:
            return order.finish_movement(number, _now())

        return self._update(begun.order_id, finish, deadline)

    def decide_pending(self, order_id: str) -> Order:
        """Decide a pending order. Raises one of DEPENDENCY_ERRORS if inventory is unavailable."""
        deadline = self._deadline()
        order, _ = self._get(order_id, deadline)
        if order.status is not Status.PENDING:
            return order
        decide: Transition
        try:
            items, currency = self._inventory.reserve(order.reservation_id, order.lines, deadline)
        except ReservationRejectedError as error:
            decide = partial(Order.reject, rejection=error.rejection, actor=RECONCILE, now=_now())
        except ReservationReleasedError as error:
            rejection = Rejection("reservation-released", str(error))
            decide = partial(Order.reject, rejection=rejection, actor=RECONCILE, now=_now())
        else:
            decide = partial(
                Order.confirm_or_reject,
                items=items,
                currency=currency,
                actor=RECONCILE,
                now=_now(),
            )
        order = self._update(order_id, decide, deadline)
        if not order.keeps_reservation:
            self._inventory.release([order.reservation_id], deadline)
        return order

    def get(self, order_id: str, customer_id: str | None = None) -> Order:
        """Return an order. Raises OrderNotFoundError as ``cancel`` does."""
        order, _ = self._get(order_id, self._deadline())
        order.require_customer(customer_id)
        return order

    def list_newest(
        self, wanted: OrderFilter, after: tuple[datetime, str] | None, limit: int
    ) -> list[Order]:
        """Return a page of orders, newest first. See ``OrderStore.list_newest``."""
        return self._store.list_newest(wanted, after, limit, self._deadline())

    def list_changed(
        self,
        since: datetime,
        until: datetime | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> ChangedOrders:
        """Return a page of changed orders. See ``OrderStore.list_changed``."""
        return self._store.list_changed(since, until, after, limit, self._deadline())

    def list_by_id(self, prefix: str, after: str | None, limit: int) -> list[Order]:
        """Return a page of the orders whose id has this prefix, sorted by id."""
        return self._store.list_by_id(prefix, after, limit, self._deadline())

    def erase_customer(self, customer_id: str) -> Erased:
        """Remove everything that is personal from a customer's orders. See ``erasure``."""
        return erasure.erase_customer(self._store, customer_id, self._deadline())

    def forward_product_list(self, query: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body of inventory's list of products.

        ``product_list_limiter`` admits a few calls at a time.
        """
        deadline = self._deadline()
        with self._product_list_limiter.slot(deadline):
            return self._inventory.catalogue("/products", query, deadline)

    def forward_product(self, product_id: str) -> tuple[int, bytes]:
        """Return status and body of inventory's response for one product."""
        return self._inventory.catalogue(f"/products/{product_id}", {}, self._deadline())

    def _update(self, order_id: str, transition: Transition, deadline: Deadline) -> Order:
        """Read the order, change it and write it. Return it as written.

        Retries if another writer changed it in between, or if the outcome of the write is unknown.
        Raises UnfinishedChangeError at the deadline.
        """
        for _ in deadline.backoff(FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS):
            order, version = self._get(order_id, deadline)
            changed = transition(order)
            if changed == order:
                return order
            changed = replace(changed, updated_at=_now())
            with suppress(ConflictError, OutcomeUnknownError):
                self._store.replace(changed, version, deadline)
                return changed
        raise UnfinishedChangeError(order_id)

    def _get(self, order_id: str, deadline: Deadline) -> VersionedOrder:
        """Read an order that customers may see. Raises OrderNotFoundError for an abandoned mark."""
        found = self._store.get(order_id, deadline)
        if found is None or found.order.status is Status.ABANDONED:
            raise OrderNotFoundError(order_id)
        return found

    def _deadline(self) -> Deadline:
        return activity.request_deadline(self._deadline_seconds)


def _replay(attempt: Attempt, found: Order) -> Placed:
    """Return the decision in the document.

    Raises OrderRejectedError for a rejection; IdempotencyKeyReusedError if the document belongs to
    another body.
    """
    if found.fingerprint != attempt.fingerprint:
        raise IdempotencyKeyReusedError
    replayed = not found.was_written_by(attempt)
    if found.rejection is not None:
        raise OrderRejectedError(found.rejection, found.order_id, replayed=replayed)
    return Placed(found, replayed)


def _now() -> datetime:
    return datetime.now(UTC)


def _digest(order_id: str, key: str | None) -> str | None:
    """What an order stores of a client's idempotency key."""
    return None if key is None else digest_id(order_id, key)


def _finish_cancel(order: Order) -> Order:
    return order.finish_cancel(_now())


def _finish_fulfil(order: Order) -> Order:
    return order.finish_fulfil(_now())
