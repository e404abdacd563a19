"""The stored documents, reduced to the parts that the protocol needs.

There is one product, and each order has one line. Every type is immutable and hashable, so that
the explorer can compare and remember a whole ``World``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

ANY_TOTAL = 0
"""The request has no ``expected_total``."""

ABSENT = 0
"""The version of a document that does not exist. Each write raises the version by one."""


class Text(StrEnum):
    """A StrEnum with the hash of its text. Enum's own hash is slow, and the explorer needs many."""

    __hash__ = str.__hash__


class Body(NamedTuple):
    """The body of a request. A body that differs in any field is another body."""

    name: str
    expected_total: int = ANY_TOTAL
    units: int = 1
    hold: bool = False
    """True: the order holds its stock and awaits a payment."""

    def accepts(self, total: int) -> bool:
        return self.expected_total in (ANY_TOTAL, total)

    def __str__(self) -> str:
        text = f"{self.name}@{self.expected_total}" if self.expected_total else self.name
        return text + (f"*{self.units}" if self.units > 1 else "") + (" held" * self.hold)


class Attempt(NamedTuple):
    """One attempt of one body to become the order of a key. It also names the reservation."""

    key: str
    number: int
    body: Body
    keyed: bool = True
    """False: the request has no ``Idempotency-Key``. It is delivered once, and its ``key`` is only
    the random id of its order."""

    def after(self, abandoned: Attempt) -> Attempt:
        return self._replace(number=max(self.number, abandoned.number) + 1)

    def __str__(self) -> str:
        return f"{self.key}.{self.number}.{self.body}"


class Status(Text):
    """The HTTP status that a client receives, with the reason."""

    CREATED = "201 created"
    ACCEPTED = "202 pending"
    SHORT = "409 short"
    PRICE_CHANGED = "409 price-changed"
    KEY_REUSED = "422 the key belongs to another body"
    CANCELLED = "200 cancelled"
    NOT_CANCELLABLE = "409 not cancellable"
    FULFILLED = "200 fulfilled"
    MOVED = "200 moved"
    NOT_MOVABLE = "409 more units than are left"
    PAID = "200 confirmed"
    EXPIRED = "409 order-expired"
    NOT_CONFIRMABLE = "409 not confirmable"


class Kind(Text):
    """The kinds of movement."""

    RELEASE = "release"
    """Units that an order cancels become available again."""
    CONSUME = "consume"
    """Units that an order fulfils are shipped."""
    RESTOCK = "restock"
    """Shipped units came back, and become available again."""


class Change(NamedTuple):
    """A request to move a part of an order, with the key that its retries have as well."""

    request: str
    kind: Kind
    units: int = 1

    def __str__(self) -> str:
        return f"{self.request}: {self.kind} {self.units}"


class Movement(NamedTuple):
    """A movement of a part: the order document contains it until inventory has applied it."""

    seq: int
    change: Change

    def __str__(self) -> str:
        return f"#{self.seq} {self.change}"


class Moved(NamedTuple):
    """How many units of a line have moved. An order and its reservation both count them."""

    released: int = 0
    consumed: int = 0
    returned: int = 0

    def plus(self, kind: Kind, units: int) -> Moved:
        if kind is Kind.RELEASE:
            return self._replace(released=self.released + units)
        if kind is Kind.CONSUME:
            return self._replace(consumed=self.consumed + units)
        return self._replace(returned=self.returned + units)

    def movable(self, kind: Kind, units: int) -> int:
        """How many of a line's units a movement of this kind can still move."""
        if kind is Kind.RESTOCK:
            return self.consumed - self.returned
        return units - self.released - self.consumed


NOTHING_MOVED = Moved()


class EventType(Text):
    PLACED = "placed"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    """Also if the payment did not come: ``Order.expired`` distinguishes the two."""
    FULFILLED = "fulfilled"
    LINE_CANCELLED = "line_cancelled"
    LINE_FULFILLED = "line_fulfilled"
    LINE_RETURNED = "line_returned"


LINE_EVENTS = {
    Kind.RELEASE: EventType.LINE_CANCELLED,
    Kind.CONSUME: EventType.LINE_FULFILLED,
    Kind.RESTOCK: EventType.LINE_RETURNED,
}


class Event(NamedTuple):
    """An entry of an order's history. Its ``seq`` is its position in the history, from 1."""

    type: EventType
    moved: Moved = NOTHING_MOVED
    """The units that moved with this event."""
    request: str = ""
    """The key of the request that moved them."""

    def __str__(self) -> str:
        return self.type


class Delivery(NamedTuple):
    """An event as the sink receives it. The key and ``seq`` are the event's id."""

    key: str
    seq: int
    event: Event

    def __str__(self) -> str:
        return f"{self.key}.{self.seq} {self.event}"


class OrderStatus(Text):
    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    CHANGING = "changing"
    """A movement of a part is open."""
    PARTIALLY_FULFILLED = "partially_fulfilled"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FULFILLING = "fulfilling"
    FULFILLED = "fulfilled"
    ABANDONED = "abandoned"
    """Not an order but a mark: this attempt can no longer become an order."""


KEEPS_RESERVATION = frozenset(
    (
        OrderStatus.PENDING,
        OrderStatus.AWAITING_PAYMENT,
        OrderStatus.CONFIRMED,
        OrderStatus.CHANGING,
        OrderStatus.PARTIALLY_FULFILLED,
        OrderStatus.FULFILLING,
        OrderStatus.FULFILLED,
    )
)
"""The statuses in which an order keeps its reservation."""


class Transition(Text):
    CANCEL = "cancel"
    RELEASED = "released"
    FULFIL = "fulfil"
    CONSUMED = "consumed"
    COMPLETE = "complete"
    REJECT = "reject"
    HOLD = "hold"
    CONFIRM = "confirm"
    EXPIRE = "expire"
    MOVE = "move"
    MOVED = "moved"


TRANSITIONS = {
    Transition.CANCEL: {
        OrderStatus.PENDING: OrderStatus.CANCELLING,
        OrderStatus.AWAITING_PAYMENT: OrderStatus.CANCELLING,
        OrderStatus.CONFIRMED: OrderStatus.CANCELLING,
        OrderStatus.PARTIALLY_FULFILLED: OrderStatus.CANCELLING,
    },
    Transition.RELEASED: {OrderStatus.CANCELLING: OrderStatus.CANCELLED},
    Transition.FULFIL: {
        OrderStatus.CONFIRMED: OrderStatus.FULFILLING,
        OrderStatus.PARTIALLY_FULFILLED: OrderStatus.FULFILLING,
    },
    Transition.CONSUMED: {OrderStatus.FULFILLING: OrderStatus.FULFILLED},
    Transition.COMPLETE: {OrderStatus.PENDING: OrderStatus.CONFIRMED},
    Transition.REJECT: {OrderStatus.PENDING: OrderStatus.REJECTED},
    Transition.HOLD: {OrderStatus.PENDING: OrderStatus.AWAITING_PAYMENT},
    Transition.CONFIRM: {OrderStatus.AWAITING_PAYMENT: OrderStatus.CONFIRMED},
    Transition.EXPIRE: {OrderStatus.AWAITING_PAYMENT: OrderStatus.CANCELLING},
    Transition.MOVE: {
        OrderStatus.CONFIRMED: OrderStatus.CHANGING,
        OrderStatus.PARTIALLY_FULFILLED: OrderStatus.CHANGING,
        OrderStatus.FULFILLED: OrderStatus.CHANGING,
    },
    Transition.MOVED: {OrderStatus.CHANGING: OrderStatus.CONFIRMED},
}
"""Every possible change of an order after its document was created.

After RELEASED, CONSUMED and MOVED the counts decide the status: see ``Order.with_moved``.
"""

MOVES_ALL = {Transition.RELEASED: Kind.RELEASE, Transition.CONSUMED: Kind.CONSUME}
"""The transitions that move all units that are left."""

EVENTS = {
    Transition.COMPLETE: EventType.CONFIRMED,
    Transition.REJECT: EventType.REJECTED,
    Transition.HOLD: EventType.AWAITING_PAYMENT,
    Transition.CONFIRM: EventType.CONFIRMED,
}
"""The other transitions that append an event. An intermediate status appends none."""


class Order(NamedTuple):
    attempt: Attempt
    status: OrderStatus
    price: int = 0
    """The price of the reservation; 0 while the order is pending."""
    rejection: Status | None = None
    version: int = ABSENT
    """The version that was read. A changed order keeps it until it is written."""
    moved: Moved = NOTHING_MOVED
    movement: Movement | None = None
    """The open movement."""
    last_movement: int = 0
    """The ``seq`` of the last movement."""
    expired: bool = False
    """True: the order was or is being cancelled because its payment did not come."""
    history: tuple[Event, ...] = ()
    events_sent: int = 0
    unsent_events: bool = False
    """The mark by which reconcile finds an order with unsent events."""

    @property
    def open_units(self) -> int:
        return self.attempt.body.units - self.moved.released - self.moved.consumed

    @property
    def was_paid(self) -> bool:
        """True if a payment confirmed the order. It may have been cancelled afterwards."""
        confirmed = any(event.type is EventType.CONFIRMED for event in self.history)
        return self.attempt.body.hold and confirmed

    def owns(self, attempt: Attempt) -> bool:
        """True if the attempt's reservation belongs to this order, and the order keeps it."""
        return self.attempt == attempt and self.status in KEEPS_RESERVATION

    def can_be_replaced_by(self, attempt: Attempt) -> bool:
        """True if this is the abandoned mark of an attempt of the same body."""
        return self.status is OrderStatus.ABANDONED and self.attempt.body == attempt.body

    def allows(self, transition: Transition) -> bool:
        return self.status in TRANSITIONS[transition]

    def after(self, transition: Transition) -> Order:
        """The order with its next status, and with the event of the transition."""
        if transition in MOVES_ALL:
            return self.with_moved(MOVES_ALL[transition], self.open_units)
        changed = self._replace(status=TRANSITIONS[transition][self.status])
        if transition is Transition.EXPIRE:
            return changed._replace(expired=True)
        return changed.with_event(EVENTS[transition]) if transition in EVENTS else changed

    def with_event(self, kind: EventType, moved: Moved = NOTHING_MOVED, request: str = "") -> Order:
        return self._replace(history=(*self.history, Event(kind, moved, request)))

    def can_move(self, change: Change) -> bool:
        movable = self.moved.movable(change.kind, self.attempt.body.units)
        return self.allows(Transition.MOVE) and change.units <= movable

    def is_moving(self, change: Change) -> bool:
        """True if the open movement is that of this request."""
        return self.movement is not None and self.movement.change.request == change.request

    def has_moved(self, change: Change) -> bool:
        """True if this request has moved its units already."""
        return any(event.request == change.request for event in self.history)

    def begin(self, change: Change) -> Order:
        """The order with an open movement."""
        changing = self.after(Transition.MOVE)
        seq = self.last_movement + 1
        return changing._replace(movement=Movement(seq, change), last_movement=seq)

    def close(self) -> Order:
        """The order without its open movement, and with the units that it moved."""
        assert self.movement  # noqa: S101 - an order with this status has a movement
        _, change = self.movement
        return self._replace(movement=None).with_moved(change.kind, change.units, change.request)

    def with_moved(self, kind: Kind, units: int, request: str = "") -> Order:
        """Count the units. An order without open units is fulfilled if any unit was fulfilled."""
        moved = self.moved.plus(kind, units)
        changed = self._replace(moved=moved)
        if changed.open_units:
            status = OrderStatus.PARTIALLY_FULFILLED if moved.consumed else OrderStatus.CONFIRMED
        else:
            status = OrderStatus.FULFILLED if moved.consumed else OrderStatus.CANCELLED
        changed = changed._replace(status=status)
        just_moved = NOTHING_MOVED.plus(kind, units)
        if units == self.attempt.body.units and not request:  # a movement of the whole order
            return changed.with_event(changed.final_event, just_moved)
        changed = changed.with_event(LINE_EVENTS[kind], just_moved, request)
        ended = self.open_units and not changed.open_units
        return changed.with_event(changed.final_event) if ended else changed

    @property
    def final_event(self) -> EventType:
        """The event of an order that has no open units."""
        fulfilled = self.status is OrderStatus.FULFILLED
        return EventType.FULFILLED if fulfilled else EventType.CANCELLED

    def __str__(self) -> str:
        movement = f" {self.movement}" if self.movement else ""
        version = f" v{self.version}" if self.version else ""
        return f"{self.attempt} {self.status}{movement}{version}"


class ReservationStatus(Text):
    HELD = "held"
    CONFIRMED = "confirmed"
    PARTIAL = "partial"
    """Some units have moved, and some are left."""
    RELEASED = "released"
    CONSUMED = "consumed"

    @property
    def live(self) -> bool:
        """True if the product counts the units that are left as reserved."""
        return self not in (ReservationStatus.RELEASED, ReservationStatus.CONSUMED)


class NotReserved(Text):
    """Why inventory has reserved nothing."""

    SHORT = "short"
    RELEASED = "released"
    """The reservation was released earlier. It can never be held again."""


class Reservation(NamedTuple):
    status: ReservationStatus
    price: int = 0
    """The price when it was reserved. A later change of the catalogue does not affect it."""
    units: int = 1
    moved: Moved = NOTHING_MOVED
    last_movement: int = 0
    """The ``seq`` of the last movement that was applied."""

    @property
    def units_left(self) -> int:
        return self.moved.movable(Kind.RELEASE, self.units) if self.status.live else 0

    def __str__(self) -> str:
        text = f"{self.status} at {self.price}" if self.price else str(self.status)
        return f"{text} {tuple(self.moved)}" if any(self.moved) and self.units > 1 else text


class Product(NamedTuple):
    available: int
    reserved: int = 0
    shipped: int = 0
    price: int = 1

    def after(self, kind: Kind, units: int) -> Product:
        """The stock after units of a reservation have moved."""
        available, reserved, shipped, price = self
        if kind is Kind.RELEASE:
            return Product(available + units, reserved - units, shipped, price)
        if kind is Kind.CONSUME:
            return Product(available, reserved - units, shipped + units, price)
        return Product(available + units, reserved, shipped - units, price)


class World(NamedTuple):
    """All documents of both functions at one moment, and the deliveries of the sink."""

    product: Product
    reservations: tuple[tuple[Attempt, Reservation], ...] = ()
    orders: tuple[tuple[str, Order], ...] = ()
    deliveries: tuple[Delivery, ...] | None = None
    """The first delivery of each event, as they came. None: no sink is configured."""

    def reservation(self, attempt: Attempt) -> Reservation | None:
        return dict(self.reservations).get(attempt)

    def order(self, key: str) -> Order | None:
        return dict(self.orders).get(key)

    def with_reservation(
        self, attempt: Attempt, reservation: Reservation, product: Product | None = None
    ) -> World:
        reservations = {**dict(self.reservations), attempt: reservation}
        return self._replace(
            product=product or self.product, reservations=tuple(sorted(reservations.items()))
        )

    def with_order(self, order: Order) -> World:
        orders = {**dict(self.orders), order.attempt.key: order}
        return self._replace(orders=tuple(sorted(orders.items())))
