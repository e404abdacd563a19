"""The invariants: those of every state, and those that hold after ``reconcile`` has finished.

The ``audit`` command checks the first kind on a live database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import (
    EventType,
    Kind,
    Moved,
    OrderStatus,
    ReservationStatus,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from specification.documents import Order, Reservation, World
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
        status_matches_counts(order)
        history_explains(order)
    deliveries_match(world)


def stock_adds_up(world: World, units: int) -> None:
    product = world.product
    places = (product.available, product.reserved, product.shipped)
    if min(places) < 0:
        raise InvariantError("stock is negative")
    if sum(places) != units:
        raise InvariantError("available + reserved + shipped differs from the units received")
    reservations = [reservation for _, reservation in world.reservations]
    if product.reserved != sum(reservation.units_left for reservation in reservations):
        raise InvariantError("the product's reserved units differ from its live reservations")
    if product.shipped != sum(each.moved.consumed - each.moved.returned for each in reservations):
        raise InvariantError("the product's shipped units differ from its reservations")
    for reservation in reservations:
        left = reservation.moved.movable(Kind.RELEASE, reservation.units)
        partial = left > 0 and any(reservation.moved)
        is_partial = reservation.status is ReservationStatus.PARTIAL
        if reservation.status.live != (left > 0) or is_partial != partial:
            raise InvariantError("a reservation's status differs from its units")


def order_has_its_stock(world: World, order: Order) -> None:
    own = world.reservation(order.attempt)
    if order.status is OrderStatus.CANCELLED and own and own.status.live:
        raise InvariantError("a cancelled order keeps stock")
    if order.status in NEEDS_RESERVATION and not (own and own.units):
        raise InvariantError(f"the order {order} has no reservation")
    if own and own.units and own.moved not in moved_in_inventory(order, own):
        raise InvariantError(f"the order {order} and its reservation count different units")
    if order.price and own and own.price != order.price:
        raise InvariantError("an order and its reservation have different prices")
    if order.price and not order.attempt.body.accepts(order.price):
        raise InvariantError("an order has a price that its buyer did not accept")


def moved_in_inventory(order: Order, own: Reservation) -> Iterator[Moved]:
    """The counts that the order's reservation may have."""
    if order.movement:
        seq, change = order.movement
        if own.last_movement == seq:
            yield order.moved.plus(change.kind, change.units)
        elif own.last_movement == seq - 1:
            yield order.moved
        return
    yield order.moved
    if order.status in (OrderStatus.CANCELLING, OrderStatus.REJECTED, OrderStatus.ABANDONED):
        yield order.moved.plus(Kind.RELEASE, order.open_units)
    if order.status is OrderStatus.FULFILLING:
        yield order.moved.plus(Kind.CONSUME, order.open_units)


NEEDS_RESERVATION = frozenset(
    (
        OrderStatus.AWAITING_PAYMENT,
        OrderStatus.CONFIRMED,
        OrderStatus.CHANGING,
        OrderStatus.PARTIALLY_FULFILLED,
        OrderStatus.FULFILLING,
        OrderStatus.FULFILLED,
    )
)
"""The statuses of an order whose stock inventory has reserved."""


def status_matches_counts(order: Order) -> None:
    if bool(order.movement) != (order.status is OrderStatus.CHANGING):
        raise InvariantError(f"the order {order} has a movement, and another status than changing")
    if order.open_units < 0 or order.moved.returned > order.moved.consumed:
        raise InvariantError(f"the order {order} has moved more units than it has")
    if order.status in STATUSES_OF_COUNTS:
        open_units, consumed = STATUSES_OF_COUNTS[order.status]
        if (order.open_units > 0, order.moved.consumed > 0) != (open_units, consumed):
            raise InvariantError(f"the status of the order {order} differs from its counts")


STATUSES_OF_COUNTS = {  # status: (are units open?, were units fulfilled?)
    OrderStatus.CONFIRMED: (True, False),
    OrderStatus.PARTIALLY_FULFILLED: (True, True),
    OrderStatus.FULFILLED: (False, True),
    OrderStatus.CANCELLED: (False, False),
}


def history_explains(order: Order) -> None:
    """Check that no event is missing from the history, and that none is there twice."""
    moved = tuple(map(sum, zip(*(event.moved for event in order.history), strict=True)))
    if moved and moved != order.moved:
        raise InvariantError(f"the history of the order {order} differs from its counts")
    requests = [event.request for event in order.history if event.request]
    if len(requests) != len(set(requests)):
        raise InvariantError(f"a request has moved units of the order {order} twice")
    types = [event.type for event in order.history]
    unpaid = order.attempt.body.hold and EventType.AWAITING_PAYMENT not in types
    if unpaid and EventType.CONFIRMED in types:
        raise InvariantError(f"the order {order} was confirmed without its payment")
    if order.status in STATUS_EVENTS:
        last = [each for each in types if each not in LINES][-1:]
        if last != [STATUS_EVENTS[order.status]]:
            raise InvariantError(f"the history of the order {order} does not explain its status")


LINES = (EventType.LINE_CANCELLED, EventType.LINE_FULFILLED, EventType.LINE_RETURNED)
STATUS_EVENTS = {
    OrderStatus.PENDING: EventType.PLACED,
    OrderStatus.AWAITING_PAYMENT: EventType.AWAITING_PAYMENT,
    OrderStatus.CONFIRMED: EventType.CONFIRMED,
    OrderStatus.PARTIALLY_FULFILLED: EventType.CONFIRMED,
    OrderStatus.REJECTED: EventType.REJECTED,
    OrderStatus.CANCELLED: EventType.CANCELLED,
    OrderStatus.FULFILLED: EventType.FULFILLED,
}
"""The last event of an order with this status, not counting those of its line."""


def deliveries_match(world: World) -> None:
    """Check that the sink received each order's events in the order of its history."""
    received: dict[str, int] = {}
    for key, seq, event in world.deliveries or ():
        if seq != received.get(key, 0) + 1:
            raise InvariantError(f"the sink received the event {key}.{seq} before an earlier one")
        received[key] = seq
        order = world.order(key)
        if not order or order.history[seq - 1 : seq] != (event,):
            raise InvariantError(f"the sink received {key}.{seq}, and no such event is stored")


FINAL = frozenset(
    (
        OrderStatus.CONFIRMED,
        OrderStatus.PARTIALLY_FULFILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.FULFILLED,
        OrderStatus.ABANDONED,
    )
)
"""The statuses in which no process has work left on an order."""

PLACED = frozenset(
    (
        OrderStatus.CONFIRMED,
        OrderStatus.PARTIALLY_FULFILLED,
        OrderStatus.CANCELLED,
        OrderStatus.FULFILLED,
    )
)

CONSISTENT_WITH = {
    Status.CREATED: PLACED,
    Status.ACCEPTED: PLACED | {OrderStatus.REJECTED},
    Status.SHORT: {OrderStatus.REJECTED},
    Status.PRICE_CHANGED: {OrderStatus.REJECTED},
    Status.CANCELLED: {OrderStatus.CANCELLED, OrderStatus.FULFILLED},
    Status.NOT_CANCELLABLE: {OrderStatus.REJECTED, OrderStatus.FULFILLED},
    Status.FULFILLED: {OrderStatus.FULFILLED},
    Status.MOVED: PLACED,
    Status.NOT_MOVABLE: PLACED | {OrderStatus.REJECTED},
    Status.PAID: PLACED,
    Status.EXPIRED: {OrderStatus.CANCELLED},
    Status.NOT_CONFIRMABLE: {OrderStatus.CANCELLED, OrderStatus.REJECTED},
}
"""For each response, the statuses that the order may have after ``reconcile`` has finished."""

REJECTIONS = (Status.SHORT, Status.PRICE_CHANGED)


def no_needless_rejection(world: World) -> None:
    """Check, if there is a unit for each request, that no abandoned attempt takes one away."""
    for _, order in world.orders:
        if order.rejection is Status.SHORT:
            raise InvariantError(f"the order {order} is rejected as short, and there was enough")


def no_leftover_without_faults(world: World) -> None:
    """Check that no stock and no change is left over if no process crashed and no call failed."""
    for attempt, reservation in world.reservations:
        order = world.order(attempt.key)
        if reservation.status.live and not (order and order.owns(attempt)):
            raise InvariantError(f"the reservation {attempt} is left behind")
    for _, order in world.orders:
        if order.status in UNFINISHED:
            raise InvariantError(f"the order {order} is left unfinished")


UNFINISHED = (OrderStatus.CHANGING, OrderStatus.CANCELLING, OrderStatus.FULFILLING)


def check_after_reconcile(world: World, responses: Iterable[Response]) -> None:
    """Check that no work is left, and that every response is consistent with its order."""
    no_reservation_is_leaked(world)
    no_order_is_unfinished(world)
    every_event_is_delivered(world)
    for response in responses:
        if not is_consistent(response, world.order(response.key)):
            order = world.order(response.key) or "absent"
            raise InvariantError(f"a client received {response}, and the order is {order}")


def no_reservation_is_leaked(world: World) -> None:
    for attempt, reservation in world.reservations:
        order = world.order(attempt.key)
        sold = order and order.owns(attempt) and order.status in FINAL
        if reservation.status.live and not sold:
            raise InvariantError(f"the reservation {attempt} is leaked")


def no_order_is_unfinished(world: World) -> None:
    for _, order in world.orders:
        if order.status not in FINAL:
            raise InvariantError(f"the order {order} is unfinished")


def every_event_is_delivered(world: World) -> None:
    if world.deliveries is None:
        return
    for key, order in world.orders:
        delivered = sum(delivery.key == key for delivery in world.deliveries)
        if delivered != len(order.history):
            raise InvariantError(f"the sink never receives the event {key}.{delivered + 1}")


def is_consistent(response: Response, order: Order | None) -> bool:
    """True if the order's document agrees with a response that a client has received.

    A rejection requires that no order was placed. A document is not required, but if there is one,
    it has the same rejection. Without a key, it may be the abandoned mark of an earlier attempt.
    """
    if order is None or (order.status is OrderStatus.ABANDONED and not order.attempt.keyed):
        return response.status in REJECTIONS
    if response.status is Status.KEY_REUSED:
        return order.attempt.body != response.body
    if response.status in REJECTIONS and order.rejection is not response.status:
        return False
    return (
        order.attempt.body == response.body
        and order.status in CONSISTENT_WITH[response.status]
        and counts_agree(response, order)
        and confirmation_agrees(response.status, order)
    )


def counts_agree(response: Response, order: Order) -> bool:
    """True if the order has moved the units that a response says, and no others.

    Only a restock may follow its 409, because more units may have been shipped since.
    """
    if response.status is Status.CANCELLED:
        return order.open_units == 0 and order.moved.released > 0
    if response.status is Status.NOT_CANCELLABLE:
        return order.moved.released == 0
    if response.change is None or response.change.kind is Kind.RESTOCK:
        return True
    return order.has_moved(response.change) == (response.status is Status.MOVED)


def confirmation_agrees(status: Status, order: Order) -> bool:
    """True if the document shows whether the payment has confirmed the order."""
    if status is Status.PAID and order.attempt.body.hold:
        return order.was_paid
    if status in (Status.PAID, Status.NOT_CONFIRMABLE):
        return not (order.expired or order.was_paid)
    return status is not Status.EXPIRED or order.expired
