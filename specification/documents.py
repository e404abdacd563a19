"""The stored documents, reduced to the parts that the protocol needs.

There is one product, and each order buys one unit. Every type is immutable and hashable, so that
the explorer can compare and remember a whole ``World``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

ANY_TOTAL = 0
"""The request has no ``expected_total``."""

ABSENT = 0
"""The version of a document that does not exist. Each write raises the version by one."""


class Body(NamedTuple):
    """The body of a request. A body with another ``expected_total`` is another body."""

    name: str
    expected_total: int = ANY_TOTAL

    def accepts(self, total: int) -> bool:
        return self.expected_total in (ANY_TOTAL, total)

    def __str__(self) -> str:
        return f"{self.name}@{self.expected_total}" if self.expected_total else self.name


class Attempt(NamedTuple):
    """One attempt of one body to become the order of a key. It also names the reservation."""

    key: str
    number: int
    body: Body

    def after(self, abandoned: Attempt) -> Attempt:
        return self._replace(number=abandoned.number + 1)

    def __str__(self) -> str:
        return f"{self.key}.{self.number}.{self.body}"


class Status(StrEnum):
    """The HTTP status that a client receives, with the reason."""

    CREATED = "201 created"
    ACCEPTED = "202 pending"
    SHORT = "409 short"
    PRICE_CHANGED = "409 price-changed"
    KEY_REUSED = "422 the key belongs to another body"
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
    """Not an order but a mark: this attempt can no longer become an order."""


KEEPS_RESERVATION = frozenset(
    (
        OrderStatus.PENDING,
        OrderStatus.CONFIRMED,
        OrderStatus.FULFILLING,
        OrderStatus.FULFILLED,
    )
)
"""The statuses in which an order keeps its reservation."""


class Transition(StrEnum):
    CANCEL = "cancel"
    RELEASED = "released"
    FULFIL = "fulfil"
    CONSUMED = "consumed"
    COMPLETE = "complete"
    REJECT = "reject"


TRANSITIONS = {
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
"""Every possible change of an order after its document was created."""


class Order(NamedTuple):
    attempt: Attempt
    status: OrderStatus
    price: int = 0
    """The price of the reservation; 0 while the order is pending."""
    rejection: Status | None = None
    version: int = ABSENT
    """The version that was read. A changed order keeps it until it is written."""

    def owns(self, attempt: Attempt) -> bool:
        """True if the attempt's reservation belongs to this order, and the order keeps it."""
        return self.attempt == attempt and self.status in KEEPS_RESERVATION

    def allows(self, transition: Transition) -> bool:
        return self.status in TRANSITIONS[transition]

    def after(self, transition: Transition) -> Order:
        return self._replace(status=TRANSITIONS[transition][self.status])

    def __str__(self) -> str:
        return f"{self.attempt} {self.status}" + (f" v{self.version}" if self.version else "")


class ReservationStatus(StrEnum):
    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    CONSUMED = "consumed"

    @property
    def live(self) -> bool:
        """True if the product counts the unit as reserved."""
        return self in (ReservationStatus.HELD, ReservationStatus.CONFIRMED)


class Reservation(NamedTuple):
    status: ReservationStatus
    price: int = 0
    """The price when it was reserved. A later change of the catalogue does not affect it."""

    def __str__(self) -> str:
        return f"{self.status} at {self.price}" if self.price else self.status


class Product(NamedTuple):
    available: int
    reserved: int = 0
    shipped: int = 0
    price: int = 1


class World(NamedTuple):
    """All documents of both functions at one moment."""

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
