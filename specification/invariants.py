"""The invariants: those of every state, and those that hold after ``reconcile`` has finished.

The ``audit`` command checks the first kind on a live database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import OrderStatus, ReservationStatus, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specification.documents import Order, World
    from specification.processes import Response


class InvariantError(Exception):
    """An invariant does not hold; the message says which one."""

    def __init__(self, invariant: str) -> None:
        super().__init__(invariant)
        self.afterwards: list[str] = []
        """The steps after the last explored state: those of reconcile, and of a retry."""


def check_always(world: World, units: int) -> None:
    """Check the invariants of every state, whatever process is running or has crashed."""
    stock_adds_up(world, units)
    for _, order in world.orders:
        order_has_its_stock(world, order)


def stock_adds_up(world: World, units: int) -> None:
    product = world.product
    places = (product.available, product.reserved, product.shipped)
    if min(places) < 0:
        raise InvariantError("stock is negative")
    if sum(places) != units:
        raise InvariantError("available + reserved + shipped differs from the units received")
    if product.reserved != sum(reservation.status.live for _, reservation in world.reservations):
        raise InvariantError("the product's reserved units differ from its live reservations")


def order_has_its_stock(world: World, order: Order) -> None:
    own = world.reservation(order.attempt)
    live = own is not None and own.status.live
    consumed = own is not None and own.status is ReservationStatus.CONSUMED
    if order.status is OrderStatus.CONFIRMED and not live:
        raise InvariantError("a confirmed order has no stock")
    if order.status is OrderStatus.FULFILLING and not (live or consumed):
        raise InvariantError("a fulfilling order has no stock")
    if order.status is OrderStatus.FULFILLED and not consumed:
        raise InvariantError("a fulfilled order was not shipped")
    if order.status is OrderStatus.CANCELLED and live:
        raise InvariantError("a cancelled order keeps stock")
    if order.price and own and own.price != order.price:
        raise InvariantError("an order and its reservation have different prices")
    if order.price and not order.attempt.body.accepts(order.price):
        raise InvariantError("an order has a price that its buyer did not accept")


FINAL = frozenset(
    (
        OrderStatus.CONFIRMED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.FULFILLED,
        OrderStatus.ABANDONED,
    )
)
"""The statuses in which no process has work left on an order."""

PLACED = frozenset((OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.FULFILLED))

CONSISTENT_WITH = {
    Status.CREATED: PLACED,
    Status.ACCEPTED: PLACED | {OrderStatus.REJECTED},
    Status.SHORT: {OrderStatus.REJECTED},
    Status.PRICE_CHANGED: {OrderStatus.REJECTED},
    Status.CANCELLED: {OrderStatus.CANCELLED},
    Status.NOT_CANCELLABLE: {OrderStatus.REJECTED, OrderStatus.FULFILLED},
    Status.FULFILLED: {OrderStatus.FULFILLED},
}
"""For each response, the statuses that the order may have after ``reconcile`` has finished."""

REJECTIONS = (Status.SHORT, Status.PRICE_CHANGED)


def no_needless_rejection(world: World) -> None:
    """Check, if there is a unit for each request, that no abandoned attempt takes one away."""
    for _, order in world.orders:
        if order.rejection is Status.SHORT:
            raise InvariantError(f"the order {order} is rejected as short, and there was enough")


def no_leftover_without_faults(world: World) -> None:
    """Check that ``reconcile`` has no stock to release if no process crashed and no call failed."""
    for attempt, reservation in world.reservations:
        order = world.order(attempt.key)
        if reservation.status.live and not (order and order.owns(attempt)):
            raise InvariantError(f"the reservation {attempt} is left behind")


def check_after_reconcile(world: World, responses: Iterable[Response]) -> None:
    """Check that no work is left, and that every response is consistent with its order."""
    no_reservation_is_leaked(world)
    no_order_is_unfinished(world)
    for response in responses:
        if not is_consistent(response, world.order(response.key)):
            order = world.order(response.key) or "absent"
            raise InvariantError(f"a client received {response}, and the order is {order}")


def no_reservation_is_leaked(world: World) -> None:
    for attempt, reservation in world.reservations:
        order = world.order(attempt.key)
        sold = order and order.attempt == attempt and order.status is OrderStatus.CONFIRMED
        if reservation.status.live and not sold:
            raise InvariantError(f"the reservation {attempt} is leaked")


def no_order_is_unfinished(world: World) -> None:
    for _, order in world.orders:
        if order.status not in FINAL:
            raise InvariantError(f"the order {order} is unfinished")


def is_consistent(response: Response, order: Order | None) -> bool:
    """True if the order's document agrees with a response that a client has received.

    A rejection requires that no order was placed. A document is not required, but if there is one,
    it has the same rejection.
    """
    if order is None:
        return response.status in REJECTIONS
    if response.status is Status.KEY_REUSED:
        return order.attempt.body != response.body
    if response.status in REJECTIONS and order.rejection is not response.status:
        return False
    return order.attempt.body == response.body and order.status in CONSISTENT_WITH[response.status]
