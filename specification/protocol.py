"""The protocol: what inventory does with stock, and by which steps a request becomes an order.

The order document is the commit point. Stock is reserved first, under a name that belongs to one
attempt of one body; then the document is written, and that decides. Whoever dies in between leaves
a reservation that no order owns, and ``reconcile`` finds it.

Every rule is a method, so that one can be left out: see ``broken``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import (
    ABSENT,
    Answer,
    Order,
    OrderStatus,
    Reservation,
    ReservationStatus,
    Transition,
)
from specification.processes import Call, Process, Tell, call

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from specification.documents import Attempt, World
    from specification.processes import Program


def read(world: World, key: str) -> tuple[World, Order | None]:
    return world, world.order(key)


def write(world: World, order: Order) -> tuple[World, bool]:
    """Create or replace the document, only if it is still of the version that was read."""
    found = world.order(order.attempt.key)
    if (found.version if found else ABSENT) != order.version:
        return world, False
    return world.with_order(order._replace(version=order.version + 1)), True


def reprice(world: World, price: int) -> tuple[World, None]:
    """The catalogue may change at any time; what is reserved keeps its price."""
    return world._replace(product=world.product._replace(price=price)), None


class Inventory:
    """Each call is one transaction over the reservation and the product."""

    def reserve(
        self, world: World, attempt: Attempt
    ) -> tuple[World, Reservation | ReservationStatus | None]:
        """Hold a unit: the reservation; RELEASED where it was given back; None where short.

        A reservation that is there decides before stock does, so a call made twice holds once.
        """
        found = world.reservation(attempt)
        if found:
            gone = found.status is ReservationStatus.RELEASED
            return world, ReservationStatus.RELEASED if gone else found
        product = world.product
        if product.available == 0:
            return world, None
        held = Reservation(ReservationStatus.HELD, product.price)
        product = product._replace(available=product.available - 1, reserved=product.reserved + 1)
        return world.with_reservation(attempt, held, product), held

    def release(self, world: World, attempt: Attempt) -> tuple[World, None]:
        """Give the unit back, once. What has left stays gone."""
        found = world.reservation(attempt)
        if not found:
            return self.mark(world, attempt), None
        if not found.status.live:
            return world, None
        product = world.product
        product = product._replace(available=product.available + 1, reserved=product.reserved - 1)
        released = found._replace(status=ReservationStatus.RELEASED)
        return world.with_reservation(attempt, released, product), None

    def mark(self, world: World, attempt: Attempt) -> World:
        """Releasing what is not known keeps a late reservation of that name from holding stock."""
        return world.with_reservation(attempt, Reservation(ReservationStatus.RELEASED))

    def confirm(self, world: World, attempt: Attempt) -> tuple[World, None]:
        """Only what is held: the caller may have read the order long ago."""
        found = world.reservation(attempt)
        if not found or found.status is not ReservationStatus.HELD:
            return world, None
        confirmed = found._replace(status=ReservationStatus.CONFIRMED)
        return world.with_reservation(attempt, confirmed), None

    def consume(self, world: World, attempt: Attempt) -> tuple[World, None]:
        """The goods leave, once."""
        found = world.reservation(attempt)
        if not found or not found.status.live:
            return world, None
        product = world.product
        product = product._replace(reserved=product.reserved - 1, shipped=product.shipped + 1)
        consumed = found._replace(status=ReservationStatus.CONSUMED)
        return world.with_reservation(attempt, consumed, product), None


class Protocol:
    """What the order function and its ``reconcile`` do."""

    def __init__(self, inventory: Inventory | None = None) -> None:
        self.inventory = inventory or Inventory()

    # POST /orders

    def place(self, attempt: Attempt, version: int = ABSENT) -> Program:
        """Stock first: no order may exist without it."""
        reserved = yield from call(self.inventory.reserve, attempt)
        if reserved is ReservationStatus.RELEASED:
            return Process.of(self.settle, attempt)
        return Process.of(self.create, decided(new_order(attempt, version), reserved))

    def place_later(self, attempt: Attempt, version: int = ABSENT) -> Program:
        """Inventory does not answer: the order waits, whether or not a unit is held for it."""
        yield Call(self.inventory.reserve, (attempt,), awaited=False)
        return Process.of(self.create, new_order(attempt, version))

    def replay(self, attempt: Attempt) -> Program:
        """Inventory does not respond, and the client accepts no pending order.

        An earlier delivery may have decided the order: then replay it. Else the client hears that
        the outcome is unknown. ``reconcile`` releases a unit that may be held for this attempt.
        """
        yield Call(self.inventory.reserve, (attempt,), awaited=False)
        found = yield from call(read, attempt.key)
        if not found:
            return None
        if found.attempt.body != attempt.body:
            yield Tell(Answer.OTHER_BODY, attempt.key, attempt.body)
        elif found.status is not OrderStatus.ABANDONED:
            yield tell(found)
        return None

    def create(self, order: Order) -> Program:
        """The write that decides. A refusal is written too, before it is told: it stays final.

        A price that changed is refused before its stock is given back: the other way round, a
        delivery that dies in between leaves a reservation that is gone, and no document to say why.
        """
        if not (yield from call(write, order)):
            return Process.of(self.settle, order.attempt)
        if order.refusal is Answer.PRICE_CHANGED:
            yield from call(self.inventory.release, order.attempt)
        yield tell(order)
        return None

    def settle(self, attempt: Attempt) -> Program:
        """The document exists already: keep no stock but its own, and replay it.

        No process releases a reservation before the document exists, so it exists. The response
        does not depend on the release: if inventory does not respond, ``reconcile`` releases it.
        """
        found = yield from call(read, attempt.key)
        if not found:
            return None
        if found.attempt.body == attempt.body and found.status is OrderStatus.ABANDONED:
            return Process.of(self.follow, attempt, found)
        if not found.owns(attempt):
            yield Call(self.inventory.release, (attempt,), best_effort=True)
        if found.attempt.body != attempt.body:
            yield Tell(Answer.OTHER_BODY, attempt.key, attempt.body)
        else:
            yield tell(found)
        return None

    def follow(self, attempt: Attempt, abandoned: Order) -> Program:
        """An earlier attempt was given up. It holds nothing any more; then the next one."""
        yield from call(self.inventory.release, abandoned.attempt)
        return Process.of(self.place, attempt.after(abandoned.attempt), abandoned.version)

    # POST /orders/{id}/cancel, and fulfilment

    def cancel(self, key: str) -> Program:
        """The document first: from here on nobody may complete or fulfil the order."""
        found = yield from call(read, key)
        if not found or found.status is OrderStatus.ABANDONED:
            return None
        if found.status is OrderStatus.CANCELLING:
            return Process.of(self.give_back, found.attempt, Answer.CANCELLED)
        if not found.may(Transition.CANCEL):
            cancelled = found.status is OrderStatus.CANCELLED
            answer = Answer.CANCELLED if cancelled else Answer.NOT_CANCELLABLE
            yield Tell(answer, key, found.attempt.body)
            return None
        if not (yield from call(write, found.move(Transition.CANCEL))):
            return Process.of(self.cancel, key)
        return Process.of(self.give_back, found.attempt, Answer.CANCELLED)

    def give_back(self, attempt: Attempt, answer: Answer | None) -> Program:
        """Of a cancelled order, also where it is not known that anything is held."""
        yield from call(self.inventory.release, attempt)
        return Process.of(self.close, attempt, Transition.RELEASED, answer)

    def fulfil(self, key: str) -> Program:
        """The document first: from here on nobody may cancel the order."""
        found = yield from call(read, key)
        if not found:
            return None
        if found.status is OrderStatus.FULFILLING:
            return Process.of(self.ship, found.attempt, Answer.FULFILLED)
        if not found.may(Transition.FULFIL):
            if found.status is OrderStatus.FULFILLED:
                yield Tell(Answer.FULFILLED, key, found.attempt.body)
            return None
        if not (yield from call(write, found.move(Transition.FULFIL))):
            return Process.of(self.fulfil, key)
        return Process.of(self.ship, found.attempt, Answer.FULFILLED)

    def ship(self, attempt: Attempt, answer: Answer | None) -> Program:
        yield from call(self.inventory.consume, attempt)
        return Process.of(self.close, attempt, Transition.CONSUMED, answer)

    def close(self, attempt: Attempt, transition: Transition, answer: Answer | None) -> Program:
        """The second half; whoever did it in the meantime did the same."""
        found = yield from call(read, attempt.key)
        if found and found.may(transition) and not (yield from call(write, found.move(transition))):
            return Process.of(self.close, attempt, transition, answer)
        if answer:
            yield Tell(answer, attempt.key, attempt.body)
        return None

    # reconcile

    def work(self, world: World) -> Iterator[Process]:
        """What one listing of both databases finds to do; it may be done much later."""
        for attempt, reservation in world.reservations:
            if reservation.status is ReservationStatus.HELD:
                yield Process.of(self.look_into, attempt)
        for _, order in world.orders:
            if order.status is OrderStatus.PENDING:
                yield Process.of(self.complete, order)
            if order.status is OrderStatus.CANCELLING:
                yield Process.of(self.give_back, order.attempt, None)
            if order.status is OrderStatus.FULFILLING:
                yield Process.of(self.ship, order.attempt, None)

    def look_into(self, attempt: Attempt) -> Program:
        """A reservation is held: the order that owns it says why; what none owns is released."""
        found = yield from call(read, attempt.key)
        if not found or is_older_abandoned(found, attempt):
            return Process.of(self.give_up, attempt, found.version if found else ABSENT)
        if not found.owns(attempt):
            yield from call(self.inventory.release, attempt)
        elif found.status is OrderStatus.PENDING:
            return Process.of(self.complete, found)
        elif found.status is OrderStatus.FULFILLING:
            yield from call(self.inventory.consume, attempt)
        else:
            yield from call(self.inventory.confirm, attempt)
        return None

    def give_up(self, attempt: Attempt, version: int) -> Program:
        """No order came of it, and from here on none can."""
        if not (yield from self.abandon(attempt, version)):
            return Process.of(self.look_into, attempt)
        yield from call(self.inventory.release, attempt)
        return None

    def abandon(self, attempt: Attempt, version: int) -> Generator[Call, bool, bool]:
        """Before its stock is taken: its delivery may live, and must not create the order then."""
        abandoned = Order(attempt, OrderStatus.ABANDONED, version=version)
        return (yield from call(write, abandoned))

    def complete(self, pending: Order) -> Program:
        """A pending order becomes what its delivery would have made of it.

        One that is refused gives back what another delivery may have reserved in the meantime.
        Where the document has moved on, whoever moved it sees to the stock.
        """
        reserved = yield from call(self.inventory.reserve, pending.attempt)
        order = decided(pending, reserved)
        if (yield from call(write, order)) and order.refusal:
            yield from call(self.inventory.release, order.attempt)
        return None


def new_order(attempt: Attempt, version: int) -> Order:
    return Order(attempt, OrderStatus.PENDING, version=version)


def decided(order: Order, reserved: Reservation | ReservationStatus | None) -> Order:
    """What inventory's answer makes of it: refused when short, or not at the price expected."""
    if not isinstance(reserved, Reservation):
        return order.move(Transition.REJECT)._replace(refusal=Answer.SHORT)
    if not order.attempt.body.accepts(reserved.price):
        return order.move(Transition.REJECT)._replace(refusal=Answer.PRICE_CHANGED)
    return order.move(Transition.COMPLETE)._replace(price=reserved.price)


def is_older_abandoned(order: Order, attempt: Attempt) -> bool:
    """The document gave up an attempt before that one, which may yet replace it."""
    return (
        order.status is OrderStatus.ABANDONED
        and order.attempt.body == attempt.body
        and order.attempt.number < attempt.number
    )


def tell(order: Order) -> Tell:
    answer = Answer.ACCEPTED if order.status is OrderStatus.PENDING else Answer.CREATED
    return Tell(order.refusal or answer, order.attempt.key, order.attempt.body)
