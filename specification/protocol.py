"""The protocol: how inventory changes stock, and in which steps a request becomes an order.

Placing an order takes the steps of ``order_function/service.py``:

1. **Reserve** the stock in inventory, under a name that belongs to this attempt of this body.
2. **Decide**: write the order document. This write is the commit point: the first delivery that
   writes the document decides the order.
3. **Replay**: a delivery that finds an existing document releases its own reservation, unless the
   order owns it. Then it returns the decision in the document.
4. **Next attempt**: if the existing document is only an abandoned mark, release the stock of both
   attempts and continue at Reserve with the next attempt. Its order replaces the mark.

A process that crashes after Reserve leaves a reservation that no order owns. ``reconcile`` finds
it, writes an abandoned mark in the order's place, and then releases the stock.

Three modules contain the later parts: ``movements.py`` moves parts of an order, ``holds.py`` holds
stock during a payment, and ``outbox.py`` sends the events of an order to other systems.

Each rule is a method, so that ``mutations.py`` can remove it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import (
    ABSENT,
    EventType,
    NotReserved,
    Order,
    OrderStatus,
    Reservation,
    ReservationStatus,
    Status,
    Transition,
)
from specification.holds import Holds
from specification.inventory import Inventory
from specification.movements import Movements
from specification.outbox import Outbox
from specification.processes import Call, Process, Response, call
from specification.store import read

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from specification.documents import Attempt, World
    from specification.processes import Program


class Protocol(Movements, Holds, Outbox):
    """The programs of the order function and of its ``reconcile``."""

    def __init__(self, inventory: Inventory | None = None) -> None:
        self.inventory = inventory or Inventory()

    # POST /orders

    def place(
        self, attempt: Attempt, version: int = ABSENT, respond_async: bool = False
    ) -> Program:
        """Reserve: take the stock. No order may exist without it.

        ``version``: that of the abandoned mark which the order replaces. ``respond_async``: the
        client accepts a pending order if inventory is unavailable.
        """
        reserved = yield Call(self.inventory.reserve, (attempt,), best_effort=True)
        if reserved is None and not respond_async:
            return Process.of(self.replay_without_inventory, attempt)
        if reserved is NotReserved.RELEASED:
            return Process.of(self.read_decision, attempt, respond_async)
        order = new_order(attempt, version)
        if reserved is None:
            return Process.of(self.create, order.with_event(EventType.PLACED), respond_async)
        return Process.of(self.create, decide(order, reserved), respond_async)

    def replay_without_inventory(self, attempt: Attempt) -> Program:
        """Replay the order if an earlier delivery decided it. Otherwise the outcome is unknown.

        ``reconcile`` releases a unit that inventory may hold for this attempt.
        """
        if not attempt.keyed:
            return None
        found = yield Call(read, (attempt.key,), best_effort=True)
        if found and not found.can_be_replaced_by(attempt):
            yield from self.respond_with(found, attempt)
        return None

    def create(self, order: Order, respond_async: bool = False) -> Program:
        """Decide: write the document, then respond.

        A rejection is written before the response, so it stays final. If the price has changed, the
        rejection is also written before the stock is released. In the reverse order, a crash in
        between leaves a released reservation without a document that explains it. Without a key no
        later delivery can ask for the rejection, so it is not written.
        """
        if order.rejection and not order.attempt.keyed:
            return Process.of(self.respond, order)
        if (yield from self.save(order)):
            return Process.of(self.respond, order)
        return Process.of(self.check_write, order, respond_async)

    def respond(self, order: Order) -> Program:
        """Respond with the decision that this delivery made.

        ``reconcile`` repeats a release that fails.
        """
        if order.rejection is Status.PRICE_CHANGED:
            yield Call(self.inventory.release, (order.attempt,), best_effort=True)
        yield response_to(order)
        return None

    def check_write(self, order: Order, respond_async: bool) -> Program:
        """The write had a conflict, or its outcome is unknown: read which document exists.

        It may be this delivery's own. If there is none, or only the mark that the order replaces,
        write again.
        """
        found = yield Call(read, (order.attempt.key,), best_effort=True)
        if not found or found.version == order.version:
            return Process.of(self.create, order, respond_async)
        return Process.of(self.replay, order.attempt, found, respond_async)

    def read_decision(self, attempt: Attempt, respond_async: bool) -> Program:
        """The reservation was released: read the document that explains it.

        No process releases a reservation before the document exists, so the document exists.
        """
        found = yield from call(read, attempt.key)
        return Process.of(self.replay, attempt, found, respond_async) if found else None

    def replay(self, attempt: Attempt, found: Order, respond_async: bool) -> Program:
        """Replay: release the own reservation, and return the decision in the document.

        The response does not depend on the release: ``reconcile`` repeats a release that fails.
        """
        if found.can_be_replaced_by(attempt):
            return Process.of(self.place_next, attempt, found, respond_async)
        if not found.owns(attempt):
            yield Call(self.inventory.release, (attempt,), best_effort=True)
        yield from self.respond_with(found, attempt)
        return None

    def respond_with(self, found: Order, attempt: Attempt) -> Generator[Response, None, None]:
        if found.attempt.body != attempt.body:
            yield Response(Status.KEY_REUSED, attempt.key, attempt.body)
        else:
            yield response_to(found)

    def place_next(self, attempt: Attempt, abandoned: Order, respond_async: bool) -> Program:
        """Next attempt: release the stock of both attempts, then place the next one."""
        for each in sorted({attempt, abandoned.attempt}):
            yield from call(self.inventory.release, each)
        following = attempt.after(abandoned.attempt)
        return Process.of(self.place, following, abandoned.version, respond_async)

    # POST /orders/{id}/cancel and /fulfil

    def cancel(self, key: str, by_client: bool = True) -> Program:
        """Cancel all units that are left.

        Write ``cancelling`` first. From then on no process can complete or fulfil the order.
        ``reconcile`` finishes a cancellation in the same way, without a client.
        """
        found = yield from call(read, key)
        if not found or found.status is OrderStatus.ABANDONED:
            return None
        if found.movement:
            if not (yield from self.finish_movement(found)):
                return None
            return Process.of(self.cancel, key, by_client)
        status = Status.CANCELLED if by_client else None
        if found.status is OrderStatus.CANCELLING:
            return Process.of(self.release_cancelled, found.attempt, status)
        if not found.allows(Transition.CANCEL):
            if by_client:
                status = Status.CANCELLED if self.is_cancelled(found) else Status.NOT_CANCELLABLE
                yield Response(status, key, found.attempt.body)
            return None
        if not (yield from self.save(found.after(Transition.CANCEL))):
            return Process.of(self.cancel, key, by_client)
        return Process.of(self.release_cancelled, found.attempt, status)

    def is_cancelled(self, found: Order) -> bool:
        """True if a repeated cancellation succeeds: no unit is open, and some were cancelled.

        An order of which other units were fulfilled has the status fulfilled then.
        """
        return not found.open_units and found.moved.released > 0

    def release_cancelled(self, attempt: Attempt, status: Status | None) -> Program:
        """Release the stock of a cancelled order, even if it is unknown whether any is held."""
        yield from call(self.inventory.release, attempt)
        return Process.of(self.finish, attempt, Transition.RELEASED, status)

    def fulfil(self, key: str, by_client: bool = True) -> Program:
        """Fulfil all units that are left.

        Write ``fulfilling`` first. From then on no process can cancel the order. ``reconcile``
        finishes a fulfilment in the same way, without a client.
        """
        found = yield from call(read, key)
        if not found or found.status is OrderStatus.ABANDONED:
            return None
        if found.movement:
            if not (yield from self.finish_movement(found)):
                return None
            return Process.of(self.fulfil, key, by_client)
        status = Status.FULFILLED if by_client else None
        if found.status is OrderStatus.FULFILLING:
            return Process.of(self.consume_fulfilled, found.attempt, status)
        if not found.allows(Transition.FULFIL):
            if by_client and found.status is OrderStatus.FULFILLED:
                yield Response(Status.FULFILLED, key, found.attempt.body)
            return None
        if not (yield from self.save(found.after(Transition.FULFIL))):
            return Process.of(self.fulfil, key, by_client)
        return Process.of(self.consume_fulfilled, found.attempt, status)

    def consume_fulfilled(self, attempt: Attempt, status: Status | None) -> Program:
        """Consume the reservation of a fulfilled order."""
        yield from call(self.inventory.consume, attempt)
        return Process.of(self.finish, attempt, Transition.CONSUMED, status)

    def finish(self, attempt: Attempt, transition: Transition, status: Status | None) -> Program:
        """Write the final status. Another process may have done this already, with one result."""
        found = yield from call(read, attempt.key)
        if (
            found
            and found.allows(transition)
            and not (yield from self.save(found.after(transition)))
        ):
            return Process.of(self.finish, attempt, transition, status)
        if status:
            yield Response(status, attempt.key, attempt.body)
        return None

    # reconcile

    @property
    def sweep(self) -> tuple[Callable[[World], Iterator[Process]], ...]:
        """The parts of one sweep, in their sequence. Each one finds the processes that it starts.

        A process may run much later than the read that found its work.
        """
        return self.find_overdue, self.find_unfinished, self.find_held, self.find_unsent

    def find_overdue(self, world: World) -> Iterator[Process]:
        for key, order in world.orders:
            if order.status is OrderStatus.AWAITING_PAYMENT:
                yield Process.of(self.expire, key)

    def find_unfinished(self, world: World) -> Iterator[Process]:
        for key, order in world.orders:
            if order.status is OrderStatus.PENDING:
                yield Process.of(self.complete_pending, key)
            if order.status is OrderStatus.CANCELLING:
                yield Process.of(self.cancel, key, False)
            if order.status is OrderStatus.FULFILLING:
                yield Process.of(self.fulfil, key, False)
            if order.movement:
                yield Process.of(self.close_movement, key)

    def find_held(self, world: World) -> Iterator[Process]:
        for attempt, reservation in world.reservations:
            if reservation.status is ReservationStatus.HELD:
                yield Process.of(self.settle_reservation, attempt)

    def find_unsent(self, world: World) -> Iterator[Process]:
        for key, order in world.orders:
            if order.unsent_events:
                yield Process.of(self.publish, key)

    def settle_reservation(self, attempt: Attempt) -> Program:
        """Do with a held reservation as its order requires; release it if no order owns it.

        The process that finishes a pending or fulfilling order takes care of its reservation.
        """
        found = yield from call(read, attempt.key)
        if not found or is_earlier_abandoned(found, attempt):
            return Process.of(self.abandon_and_release, attempt, found.version if found else ABSENT)
        if not found.owns(attempt):
            yield from call(self.inventory.release, attempt)
        elif found.status is OrderStatus.FULFILLED:
            yield from call(self.inventory.consume, attempt)
        elif found.status not in (OrderStatus.PENDING, OrderStatus.FULFILLING):
            yield from call(self.inventory.confirm, attempt)
        return None

    def abandon_and_release(self, attempt: Attempt, version: int) -> Program:
        """Prevent the attempt from becoming an order, then release its stock.

        If another document was written first, the next sweep reads it.
        """
        if (yield from self.abandon(attempt, version)):
            yield from call(self.inventory.release, attempt)
        return None

    def abandon(self, attempt: Attempt, version: int) -> Generator[Call, bool, bool]:
        """Write the mark before the release: the attempt's delivery may still be running.

        It must not create the order after its stock was released.
        """
        abandoned = Order(attempt, OrderStatus.ABANDONED, version=version)
        return (yield from self.save(abandoned))

    def complete_pending(self, key: str) -> Program:
        """Decide a pending order, as its delivery would have done."""
        found = yield from call(read, key)
        if not found or found.status is not OrderStatus.PENDING:
            return None
        reserved = yield from call(self.inventory.reserve, found.attempt)
        return Process.of(self.write_decision, found.attempt, reserved)

    def write_decision(self, attempt: Attempt, reserved: Reservation | NotReserved) -> Program:
        """Write the decision, unless another process has decided the order.

        A rejected order releases the stock that another delivery may have reserved in between. So
        does one that was cancelled in between: the stock was perhaps reserved after the release.
        """
        found = yield from call(read, attempt.key)
        if not found:
            return None
        if found.status is OrderStatus.PENDING:
            found = decide(found, reserved)
            if not (yield from self.save(found)):
                return Process.of(self.write_decision, attempt, reserved)
        if not found.owns(attempt):
            yield from call(self.inventory.release, attempt)
        return None


def new_order(attempt: Attempt, version: int) -> Order:
    return Order(attempt, OrderStatus.PENDING, version=version)


def decide(order: Order, reserved: Reservation | NotReserved) -> Order:
    """Confirm the order, or reject it because the stock is short or the price has changed.

    An order with a hold awaits its payment before it is confirmed.
    """
    if not isinstance(reserved, Reservation):
        return order.after(Transition.REJECT)._replace(rejection=Status.SHORT)
    if not order.attempt.body.accepts(reserved.price):
        return order.after(Transition.REJECT)._replace(rejection=Status.PRICE_CHANGED)
    placed = order if order.history else order.with_event(EventType.PLACED)
    accepted = Transition.HOLD if order.attempt.body.hold else Transition.COMPLETE
    return placed.after(accepted)._replace(price=reserved.price)


def is_earlier_abandoned(order: Order, attempt: Attempt) -> bool:
    """True if the document marks an earlier attempt as abandoned, so the attempt may replace it."""
    return order.can_be_replaced_by(attempt) and order.attempt.number < attempt.number


def response_to(order: Order) -> Response:
    status = Status.ACCEPTED if order.status is OrderStatus.PENDING else Status.CREATED
    return Response(order.rejection or status, order.attempt.key, order.attempt.body)
