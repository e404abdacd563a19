"""The protocol: how inventory changes stock, and in which steps a request becomes an order.

Placing an order takes the steps of ``order_function/service.py``:

1. **Reserve** the stock in inventory, under a name that belongs to this attempt of this body.
2. **Decide**: write the order document. This write is the commit point: the first delivery that
   writes the document decides the order.
3. **Replay**: a delivery that finds an existing document releases its own reservation, unless the
   order owns it. Then it returns the decision in the document.
4. **Next attempt**: if the existing document is only an abandoned mark, release that
   attempt's stock and continue at Reserve with the next attempt. Its order replaces the mark.

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
    from collections.abc import Generator, Iterator

    from specification.documents import Attempt, World
    from specification.processes import Program


class Protocol(Movements, Holds, Outbox):
    """The programs of the order function and of its ``reconcile``."""

    def __init__(self, inventory: Inventory | None = None) -> None:
        self.inventory = inventory or Inventory()

    # POST /orders

    def place(self, attempt: Attempt, version: int = ABSENT) -> Program:
        """Reserve: take the stock. No order may exist without it."""
        reserved = yield from call(self.inventory.reserve, attempt)
        if reserved is ReservationStatus.RELEASED:
            return Process.of(self.replay, attempt)
        return Process.of(self.create, decide(new_order(attempt, version), reserved))

    def place_pending(self, attempt: Attempt, version: int = ABSENT) -> Program:
        """Reserve while inventory is unavailable: place a pending order.

        It is unknown if inventory holds a unit for it.
        """
        yield Call(self.inventory.reserve, (attempt,), awaited=False)
        return Process.of(self.create, new_order(attempt, version).with_event(EventType.PLACED))

    def replay_without_inventory(self, attempt: Attempt) -> Program:
        """Reserve while inventory is unavailable, if the client accepts no pending order.

        If an earlier delivery decided the order, replay it. Otherwise the client learns that the
        outcome is unknown. ``reconcile`` releases a unit that inventory may hold for this attempt.
        """
        yield Call(self.inventory.reserve, (attempt,), awaited=False)
        found = yield from call(read, attempt.key)
        if not found:
            return None
        if found.attempt.body != attempt.body:
            yield Response(Status.KEY_REUSED, attempt.key, attempt.body)
        elif found.status is not OrderStatus.ABANDONED:
            yield response_to(found)
        return None

    def create(self, order: Order) -> Program:
        """Steps 2 and 3: write the document, then respond.

        A rejection is written before the response, so it stays final. If the price has changed, the
        rejection is also written before the stock is released. In the reverse order, a crash in
        between leaves a released reservation without a document that explains it.
        """
        if not (yield from self.save(order)):
            return Process.of(self.replay, order.attempt)
        if order.rejection is Status.PRICE_CHANGED:
            yield from call(self.inventory.release, order.attempt)
        yield response_to(order)
        return None

    def replay(self, attempt: Attempt) -> Program:
        """Replay: release the own reservation, and return the decision in the document.

        No process releases a reservation before the document exists, so the document exists. The
        response does not depend on the release: ``reconcile`` repeats a release that fails.
        """
        found = yield from call(read, attempt.key)
        if not found:
            return None
        if found.attempt.body == attempt.body and found.status is OrderStatus.ABANDONED:
            return Process.of(self.place_next, attempt, found)
        if not found.owns(attempt):
            yield Call(self.inventory.release, (attempt,), best_effort=True)
        if found.attempt.body != attempt.body:
            yield Response(Status.KEY_REUSED, attempt.key, attempt.body)
        else:
            yield response_to(found)
        return None

    def place_next(self, attempt: Attempt, abandoned: Order) -> Program:
        """Next attempt: release the stock of the abandoned attempt, then place the next one."""
        yield from call(self.inventory.release, abandoned.attempt)
        return Process.of(self.place, attempt.after(abandoned.attempt), abandoned.version)

    # POST /orders/{id}/cancel and /fulfil

    def cancel(self, key: str) -> Program:
        """Cancel all units that are left.

        Write ``cancelling`` first. From then on no process can complete or fulfil the order.
        """
        found = yield from call(read, key)
        if not found or found.status is OrderStatus.ABANDONED:
            return None
        if found.movement:
            yield from self.finish_movement(found)
            return Process.of(self.cancel, key)
        if found.status is OrderStatus.CANCELLING:
            return Process.of(self.release_cancelled, found.attempt, Status.CANCELLED)
        if not found.allows(Transition.CANCEL):
            status = Status.CANCELLED if self.is_cancelled(found) else Status.NOT_CANCELLABLE
            yield Response(status, key, found.attempt.body)
            return None
        if not (yield from self.save(found.after(Transition.CANCEL))):
            return Process.of(self.cancel, key)
        return Process.of(self.release_cancelled, found.attempt, Status.CANCELLED)

    def is_cancelled(self, found: Order) -> bool:
        """True if a repeated cancellation succeeds: no unit is open, and some were cancelled.

        An order of which other units were fulfilled has the status fulfilled then.
        """
        return not found.open_units and found.moved.released > 0

    def release_cancelled(self, attempt: Attempt, status: Status | None) -> Program:
        """Release the stock of a cancelled order, even if it is unknown whether any is held."""
        yield from call(self.inventory.release, attempt)
        return Process.of(self.finish, attempt, Transition.RELEASED, status)

    def fulfil(self, key: str) -> Program:
        """Fulfil all units that are left.

        Write ``fulfilling`` first. From then on no process can cancel the order.
        """
        found = yield from call(read, key)
        if not found:
            return None
        if found.movement:
            yield from self.finish_movement(found)
            return Process.of(self.fulfil, key)
        if found.status is OrderStatus.FULFILLING:
            return Process.of(self.consume_fulfilled, found.attempt, Status.FULFILLED)
        if not found.allows(Transition.FULFIL):
            if found.status is OrderStatus.FULFILLED:
                yield Response(Status.FULFILLED, key, found.attempt.body)
            return None
        if not (yield from self.save(found.after(Transition.FULFIL))):
            return Process.of(self.fulfil, key)
        return Process.of(self.consume_fulfilled, found.attempt, Status.FULFILLED)

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

    def find_work(self, world: World) -> Iterator[Process]:
        """The processes that one sweep starts. They may run much later than the sweep's reads."""
        for attempt, reservation in world.reservations:
            if reservation.status is ReservationStatus.HELD:
                yield Process.of(self.settle_reservation, attempt)
        for _, order in world.orders:
            if order.status is OrderStatus.PENDING:
                yield Process.of(self.complete_pending, order)
            if order.status is OrderStatus.CANCELLING:
                yield Process.of(self.release_cancelled, order.attempt, None)
            if order.status is OrderStatus.FULFILLING:
                yield Process.of(self.consume_fulfilled, order.attempt, None)
            if order.status is OrderStatus.AWAITING_PAYMENT:
                yield Process.of(self.expire, order)
            if order.movement:
                yield Process.of(self.close_movement, order)
            if order.unsent_events:
                yield Process.of(self.publish, order.attempt.key)

    def settle_reservation(self, attempt: Attempt) -> Program:
        """Do with a held reservation as its order requires; release it if no order owns it."""
        found = yield from call(read, attempt.key)
        if not found or is_earlier_abandoned(found, attempt):
            return Process.of(self.abandon_and_release, attempt, found.version if found else ABSENT)
        if not found.owns(attempt):
            yield from call(self.inventory.release, attempt)
        elif found.status is OrderStatus.PENDING:
            return Process.of(self.complete_pending, found)
        elif found.status is OrderStatus.FULFILLING:
            yield from call(self.inventory.consume, attempt)
        else:
            yield from call(self.inventory.confirm, attempt)
        return None

    def abandon_and_release(self, attempt: Attempt, version: int) -> Program:
        """Prevent the attempt from becoming an order, then release its stock."""
        if not (yield from self.abandon(attempt, version)):
            return Process.of(self.settle_reservation, attempt)
        yield from call(self.inventory.release, attempt)
        return None

    def abandon(self, attempt: Attempt, version: int) -> Generator[Call, bool, bool]:
        """Write the mark before the release: the attempt's delivery may still be running.

        It must not create the order after its stock was released.
        """
        abandoned = Order(attempt, OrderStatus.ABANDONED, version=version)
        return (yield from self.save(abandoned))

    def complete_pending(self, pending: Order) -> Program:
        """Decide a pending order, as its delivery would have done.

        A rejected order releases the stock that another delivery may have reserved in between. If
        the document has changed, the process that decided the order takes care of the stock. If
        only a publisher has changed it, the next sweep decides.
        """
        reserved = yield from call(self.inventory.reserve, pending.attempt)
        order = decide(pending, reserved)
        if (yield from self.save(order)) and order.rejection:
            yield from call(self.inventory.release, order.attempt)
        return None


def new_order(attempt: Attempt, version: int) -> Order:
    return Order(attempt, OrderStatus.PENDING, version=version)


def decide(order: Order, reserved: Reservation | ReservationStatus | None) -> Order:
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
    return (
        order.status is OrderStatus.ABANDONED
        and order.attempt.body == attempt.body
        and order.attempt.number < attempt.number
    )


def response_to(order: Order) -> Response:
    status = Status.ACCEPTED if order.status is OrderStatus.PENDING else Status.CREATED
    return Response(order.rejection or status, order.attempt.key, order.attempt.body)
