"""What must hold: in every state, and once ``reconcile`` has come to rest.

The first are those that the ``audit`` command checks on a live database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import Answer, OrderStatus, ReservationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specification.documents import Order, World
    from specification.processes import Tell


class BrokenError(Exception):
    """An invariant does not hold; the text says which."""

    def __init__(self, invariant: str) -> None:
        super().__init__(invariant)
        self.afterwards: list[str] = []
        """What happened after the last state explored: reconcile, and a retry."""


def audit(world: World, units: int) -> None:
    """In every state, whoever is under way or dead."""
    stock_adds_up(world, units)
    for _, order in world.orders:
        order_has_its_stock(world, order)


def stock_adds_up(world: World, units: int) -> None:
    product = world.product
    places = (product.available, product.reserved, product.shipped)
    if min(places) < 0:
        raise BrokenError("stock is negative")
    if sum(places) != units:
        raise BrokenError("available, reserved and shipped are not what came in")
    if product.reserved != sum(reservation.status.live for _, reservation in world.reservations):
        raise BrokenError("what is reserved is not what reservations hold")


def order_has_its_stock(world: World, order: Order) -> None:
    own = world.reservation(order.attempt)
    live = own is not None and own.status.live
    consumed = own is not None and own.status is ReservationStatus.CONSUMED
    if order.status is OrderStatus.CONFIRMED and not live:
        raise BrokenError("a confirmed order has no stock")
    if order.status is OrderStatus.FULFILLING and not (live or consumed):
        raise BrokenError("an order is being fulfilled without stock")
    if order.status is OrderStatus.FULFILLED and not consumed:
        raise BrokenError("a fulfilled order's goods never left")
    if order.status is OrderStatus.CANCELLED and live:
        raise BrokenError("a cancelled order keeps stock")
    if order.price and own and own.price != order.price:
        raise BrokenError("an order has another price than its reservation")
    if order.price and not order.attempt.body.accepts(order.price):
        raise BrokenError("an order costs what its buyer did not agree to")


AT_REST = frozenset(
    (
        OrderStatus.CONFIRMED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.FULFILLED,
        OrderStatus.ABANDONED,
    )
)

PLACED = frozenset((OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.FULFILLED))

TRUE_WHERE = {
    Answer.CREATED: PLACED,
    Answer.ACCEPTED: PLACED | {OrderStatus.REJECTED},
    Answer.SHORT: {OrderStatus.REJECTED},
    Answer.PRICE_CHANGED: {OrderStatus.REJECTED},
    Answer.CANCELLED: {OrderStatus.CANCELLED},
    Answer.NOT_CANCELLABLE: {OrderStatus.REJECTED, OrderStatus.FULFILLED},
    Answer.FULFILLED: {OrderStatus.FULFILLED},
}
"""Where an order that a client was told of may be, once all is at rest."""

REFUSALS = (Answer.SHORT, Answer.PRICE_CHANGED)


def nobody_is_refused_without_need(world: World) -> None:
    """Where there is a unit for each request: none is lost to an attempt that was given up."""
    for _, order in world.orders:
        if order.refusal is Answer.SHORT:
            raise BrokenError(f"the order {order} is refused as short, and there was enough")


def the_living_leave_nothing_behind(world: World) -> None:
    """Where nobody died and every call was answered, ``reconcile`` is not needed for stock."""
    for attempt, reservation in world.reservations:
        order = world.order(attempt.key)
        if reservation.status.live and not (order and order.owns(attempt)):
            raise BrokenError(f"the reservation {attempt} is left behind")


def judge(world: World, told: Iterable[Tell]) -> None:
    """At rest: nothing is left over, and what clients were told is true and stays so."""
    no_reservation_is_leaked(world)
    no_order_is_left_half_done(world)
    for tell in told:
        if not is_true(tell, world.order(tell.key)):
            order = world.order(tell.key) or "not there"
            raise BrokenError(f"a client was told {tell}, and the order is {order}")


def no_reservation_is_leaked(world: World) -> None:
    for attempt, reservation in world.reservations:
        order = world.order(attempt.key)
        sold = order and order.attempt == attempt and order.status is OrderStatus.CONFIRMED
        if reservation.status.live and not sold:
            raise BrokenError(f"the reservation {attempt} is leaked")


def no_order_is_left_half_done(world: World) -> None:
    for _, order in world.orders:
        if order.status not in AT_REST:
            raise BrokenError(f"the order {order} is left half done")


def is_true(tell: Tell, order: Order | None) -> bool:
    """A refusal says that there is no order; it need not say why, but if so, not otherwise."""
    if order is None:
        return tell.answer in REFUSALS
    if tell.answer is Answer.OTHER_BODY:
        return order.attempt.body != tell.body
    if tell.answer in REFUSALS and order.refusal is not tell.answer:
        return False
    return order.attempt.body == tell.body and order.status in TRUE_WHERE[tell.answer]
