"""Stock, and the rules by which it moves. Nothing here knows of HTTP or Firestore.

Every unit of a product is in one of three places: available, reserved or shipped. Adjustments
bring units in and take them out; reservations move them between the places.

    StockError                       why a request for stock was refused
    ├── UnknownProductsError         no such product, or a retired one
    ├── InsufficientStockError       every line that does not fit
    ├── NegativeStockError           an adjustment would take more than is available
    ├── ReservationReleasedError     it was released; it can never be held again
    ├── ReservationMismatchError     it exists, with other lines
    └── IdempotencyKeyReusedError    the key belongs to another adjustment
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_LINES = 100
MAX_QUANTITY = 1_000_000
MAX_IDS = 50
"""Reservations that one call releases or consumes: it reads all their products."""
MAX_CONFIRMED = 250
"""Reservations that one call confirms: it reads nothing else. All ids fit into a body."""
MAX_PRICE = 10**12
"""In minor units."""

ORDER, OPERATOR = "order", "operator"
"""Who moves stock."""

Key = tuple[str, ...]
"""Path of a document: ``("products", "P001")``."""


class StockError(Exception):
    """See the tree above."""


class UnknownProductsError(StockError):
    def __init__(self, product_ids: Iterable[str]) -> None:
        self.product_ids = tuple(product_ids)
        super().__init__(f"Not in the catalogue, or not on sale: {', '.join(self.product_ids)}")


class InsufficientStockError(StockError):
    def __init__(self, lines: Iterable[ShortLine]) -> None:
        self.lines = tuple(lines)
        short = (f"{s.product_id} ({s.available} of {s.requested})" for s in self.lines)
        super().__init__(f"Not enough in stock: {', '.join(short)}")


class NegativeStockError(StockError):
    def __init__(self, product: Product, delta: int) -> None:
        super().__init__(
            f"{product.product_id} has {product.available} available: {delta:+} would leave less"
            " than nothing"
        )


class ReservationReleasedError(StockError):
    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"The reservation {reservation_id} was released")


class ReservationMismatchError(StockError):
    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"The reservation {reservation_id} exists with other lines")


class IdempotencyKeyReusedError(StockError):
    def __init__(self) -> None:
        super().__init__("The Idempotency-Key was used for another adjustment of this product")


@dataclass(frozen=True, slots=True)
class ShortLine:
    product_id: str
    requested: int
    available: int


@dataclass(frozen=True, slots=True)
class Product:
    product_id: str
    name: str
    price: int
    currency: str
    active: bool = True
    available: int = 0
    reserved: int = 0
    shipped: int = 0
    updated_at: datetime | None = None
    """When the stored document last changed; None for one that is not stored yet."""

    @property
    def key(self) -> Key:
        return product_key(self.product_id)

    def on_sale(self, currency: str) -> bool:
        """Whether it can be ordered in a shop of this currency."""
        return self.active and self.currency == currency

    def fits(self, quantity: int) -> bool:
        return quantity <= self.available

    def reserve(self, quantity: int) -> Product:
        return replace(self, available=self.available - quantity, reserved=self.reserved + quantity)

    def give_back(self, quantity: int) -> Product:
        return self.reserve(-quantity)

    def ship(self, quantity: int) -> Product:
        return replace(self, reserved=self.reserved - quantity, shipped=self.shipped + quantity)

    def adjust(self, delta: int) -> Product:
        if self.available + delta < 0:
            raise NegativeStockError(self, delta)
        return replace(self, available=self.available + delta)


@dataclass(frozen=True, slots=True, order=True)
class Line:
    product_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with the name and price that it was reserved at; later changes do not touch it."""

    product_id: str
    quantity: int
    unit_price: int
    name: str


class ReservationStatus(StrEnum):
    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    CONSUMED = "consumed"

    @property
    def live(self) -> bool:
        """Its units are counted as reserved."""
        return self in (ReservationStatus.HELD, ReservationStatus.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Reservation:
    reservation_id: str
    status: ReservationStatus
    currency: str
    lines: tuple[PricedLine, ...] = ()
    nonce: str = ""
    """Of the request that created it: so a retried commit recognises its own work."""

    @property
    def key(self) -> Key:
        return reservation_key(self.reservation_id)

    @property
    def order_id(self) -> str:
        """What the reservation is for: its name begins with it."""
        return self.reservation_id.partition(".")[0]

    def holds(self, lines: tuple[Line, ...]) -> bool:
        return lines == tuple(Line(line.product_id, line.quantity) for line in self.lines)

    def quantity_of(self, product_id: str) -> int:
        return sum(line.quantity for line in self.lines if line.product_id == product_id)


@dataclass(frozen=True, slots=True)
class Adjustment:
    adjustment_id: str
    product_id: str
    delta: int
    reason: str
    reference: str | None
    created_at: datetime
    available: int
    """What this adjustment left available."""
    nonce: str
    actor: str = OPERATOR
    """Who says that it was so."""

    @property
    def key(self) -> Key:
        return adjustment_key(self.product_id, self.adjustment_id)

    def same_request(self, other: Adjustment) -> bool:
        mine, theirs = (
            (each.delta, each.reason, each.reference, each.actor) for each in (self, other)
        )
        return mine == theirs

    def movements(self, product_id: str) -> tuple[Movement, ...]:  # noqa: ARG002 - it has but one
        return (
            Movement(
                MovementKind.ADJUSTED,
                self.created_at,
                self.actor,
                self.reason,
                self.reference,
                available=self.delta,
            ),
        )


@dataclass(frozen=True, slots=True)
class RecordedReservation:
    """A reservation, and when it was stored and last changed: that tells how it moved stock."""

    reservation: Reservation
    created_at: datetime
    changed_at: datetime

    def movements(self, product_id: str) -> tuple[Movement, ...]:
        """At first available became reserved; in the end it came back, or was shipped."""
        found = self.reservation
        quantity = found.quantity_of(product_id)

        def moved(kind: MovementKind, at: datetime, reason: str, **units: int) -> Movement:
            return Movement(kind, at, ORDER, reason, found.order_id, **units)

        reserved = moved(
            MovementKind.RESERVED,
            self.created_at,
            "order placed",
            available=-quantity,
            reserved=quantity,
        )
        if found.status is ReservationStatus.RELEASED:
            released = moved(
                MovementKind.RELEASED,
                self.changed_at,
                "order cancelled or not placed",
                available=quantity,
                reserved=-quantity,
            )
            return reserved, released
        if found.status is ReservationStatus.CONSUMED:
            shipped = moved(
                MovementKind.SHIPPED,
                self.changed_at,
                "order fulfilled",
                reserved=-quantity,
                shipped=quantity,
            )
            return reserved, shipped
        return (reserved,)


class MovementKind(StrEnum):
    ADJUSTED = "adjusted"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of a product's ledger. All of them together are what the product has now."""

    kind: MovementKind
    at: datetime
    actor: str
    reason: str
    reference: str | None
    available: int = 0
    reserved: int = 0
    shipped: int = 0


@dataclass(frozen=True, slots=True)
class Unusable:
    """A document that exists and that no operation may rest on: damaged, or a newer revision's."""

    key: Key
    error: Exception
    """Raised to each operation that needs the document."""


Entity = Product | Reservation | Adjustment


def product_key(product_id: str) -> Key:
    return ("products", product_id)


def reservation_key(reservation_id: str) -> Key:
    return ("reservations", reservation_id)


def adjustment_key(product_id: str, adjustment_id: str) -> Key:
    return ("products", product_id, "adjustments", adjustment_id)


def merge(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line a product, sorted, so that equal orders look equal."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return tuple(sorted(Line(*item) for item in quantities.items()))
