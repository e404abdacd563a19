"""What is stored, in the least detail that the protocol needs: one product, one unit an order.

Everything is immutable and hashable, so that a whole world can be remembered and compared.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

ANY_TOTAL = 0
"""The buyer did not say what total is expected."""

ABSENT = 0
"""The version of a document that is not there; each write raises it by one."""


class Body(NamedTuple):
    """What a request asks for. Another expectation is another body."""

    name: str
    expected_total: int = ANY_TOTAL

    def accepts(self, total: int) -> bool:
        return self.expected_total in (ANY_TOTAL, total)

    def __str__(self) -> str:
        return f"{self.name}@{self.expected_total}" if self.expected_total else self.name


class Attempt(NamedTuple):
    """One try of one body at becoming the order of a key. It is also the reservation's name."""

    key: str
    number: int
    body: Body

    def after(self, abandoned: Attempt) -> Attempt:
        return self._replace(number=abandoned.number + 1)

    def __str__(self) -> str:
        return f"{self.key}.{self.number}.{self.body}"


class Answer(StrEnum):
    """What a client is told."""

    CREATED = "201 created"
    ACCEPTED = "202 pending"
    SHORT = "409 short"
    PRICE_CHANGED = "409 price-changed"
    OTHER_BODY = "422 the key belongs to another body"
    CANCELLED = "200 cancelled"
    NOT_CANCELLABLE = "409 not cancellable"
    FULFILLED = "200 fulfilled"


class OrderStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FULFILLING = "fulfilling"
    FULFILLED = "fulfilled"
    ABANDONED = "abandoned"
    """Not an order: it says that this attempt can no longer become one."""


KEEPS_ITS_RESERVATION = frozenset(
    (
        OrderStatus.PENDING,
        OrderStatus.CONFIRMED,
        OrderStatus.FULFILLING,
        OrderStatus.FULFILLED,
    )
)


class Transition(StrEnum):
    CANCEL = "cancel"
    RELEASED = "released"
    FULFIL = "fulfil"
    CONSUMED = "consumed"
    COMPLETE = "complete"
    REJECT = "reject"


MOVES = {
    Transition.CANCEL: {
        OrderStatus.PENDING: OrderStatus.CANCELLING,
        OrderStatus.CONFIRMED: OrderStatus.CANCELLING,
    },
    Transition.RELEASED: {OrderStatus.CANCELLING: OrderStatus.CANCELLED},
    Transition.FULFIL: {OrderStatus.CONFIRMED: OrderStatus.FULFILLING},
    Transition.CONSUMED: {OrderStatus.FULFILLING: OrderStatus.FULFILLED},
    Transition.COMPLETE: {OrderStatus.PENDING: OrderStatus.CONFIRMED},
    Transition.REJECT: {OrderStatus.PENDING: OrderStatus.REJECTED},
}
"""Every change of an order after its document was created; what is not here cannot happen."""


class Order(NamedTuple):
    attempt: Attempt
    status: OrderStatus
    price: int = 0
    """As it was reserved; 0 while pending."""
    refusal: Answer | None = None
    version: int = ABSENT
    """Of the document that was read; a changed order carries it until it is written."""

    def owns(self, attempt: Attempt) -> bool:
        """The reservation of that attempt is this order's, and it keeps it."""
        return self.attempt == attempt and self.status in KEEPS_ITS_RESERVATION

    def may(self, transition: Transition) -> bool:
        return self.status in MOVES[transition]

    def move(self, transition: Transition) -> Order:
        return self._replace(status=MOVES[transition][self.status])

    def __str__(self) -> str:
        return f"{self.attempt} {self.status}" + (f" v{self.version}" if self.version else "")


class ReservationStatus(StrEnum):
    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    CONSUMED = "consumed"

    @property
    def live(self) -> bool:
        """Its unit counts as reserved."""
        return self in (ReservationStatus.HELD, ReservationStatus.CONFIRMED)


class Reservation(NamedTuple):
    status: ReservationStatus
    price: int = 0
    """When it was reserved, whatever the catalogue says later."""

    def __str__(self) -> str:
        return f"{self.status} at {self.price}" if self.price else self.status


class Product(NamedTuple):
    available: int
    reserved: int = 0
    shipped: int = 0
    price: int = 1


class World(NamedTuple):
    """Both databases at one moment."""

    product: Product
    reservations: tuple[tuple[Attempt, Reservation], ...] = ()
    orders: tuple[tuple[str, Order], ...] = ()

    def reservation(self, attempt: Attempt) -> Reservation | None:
        return dict(self.reservations).get(attempt)

    def order(self, key: str) -> Order | None:
        return dict(self.orders).get(key)

    def with_reservation(
        self, attempt: Attempt, reservation: Reservation, product: Product | None = None
    ) -> World:
        reservations = {**dict(self.reservations), attempt: reservation}
        return World(product or self.product, tuple(sorted(reservations.items())), self.orders)

    def with_order(self, order: Order) -> World:
        orders = {**dict(self.orders), order.attempt.key: order}
        return self._replace(orders=tuple(sorted(orders.items())))
