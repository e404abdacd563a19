"""Stock and the rules by which it changes. This module depends on neither HTTP nor Firestore.

Every unit of a product is available, reserved or shipped. Adjustments add units or remove them.
Reservations move units between the three states.

    StockError                           the request breaks a rule of stock
    ├── UnknownProductsError             a product is missing, retired or of another currency
    ├── MaxPerOrderExceededError         some lines exceed the most that one order may have
    ├── InsufficientStockError           some lines exceed what is available; it names all of them
    ├── NegativeStockError               an adjustment would remove more than is available
    ├── ReservationReleasedError         the reservation was released; it can never be held again
    ├── ReservationMismatchError         the reservation exists with other lines
    ├── UnknownReservationError          there is no reservation of this id
    ├── MovementOutOfOrderError          the movement's number is not the next one
    ├── MovementMismatchError            the movement's number belongs to another movement
    ├── MovementExceedsReservationError  some lines exceed what can move; it names all of them
    ├── IdempotencyKeyReusedError        the key belongs to another adjustment
    ├── PreconditionFailedError          the product is not in the state that the request requires
    └── ChangeSupersededError            the change may have been made, and another one followed it
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypedDict

from functions_common.events.low_stock import LowStockEvent
from functions_common.ids import digest_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

MAX_LINES = 100
MAX_QUANTITY = 1_000_000
MAX_RELEASED_OR_CONSUMED = 50
"""Reservations that one call releases or consumes. The call reads all their products."""
MAX_CONFIRMED = 250
"""Reservations that one call confirms. The call reads nothing else. All ids fit into a request
body."""
MAX_LISTED_IDS = 100
"""Products that a list can name by id."""
MAX_IMPORT_LINES = 5_000
MAX_IMPORT_LINE = 4_096
"""Bytes. The longest valid line has about 3,000."""
MAX_IMPORT_BODY = 1024 * 1024
"""Bytes: 5,000 lines of 200 bytes."""
MAX_NAME = 200
"""Characters of a product's name."""
MAX_PRICE = 10**12
"""In minor units."""
MAX_MOVEMENT_NUMBER = 999_999_999
"""The highest number of a movement. Each moves at least one unit, so no order comes near it."""

ORDER, OPERATOR = "order", "operator"
"""Actors that change stock."""

Key = tuple[str, ...]
"""The path of a document: ``("products", "P001")``."""
PRODUCTS, RESERVATIONS = "products", "reservations"


class StockError(Exception):
    """See the tree above."""


class UnknownProductsError(StockError):
    def __init__(self, product_ids: Iterable[str]) -> None:
        self.product_ids = tuple(product_ids)
        super().__init__(f"Not in the catalogue, or not on sale: {', '.join(self.product_ids)}")


class MaxPerOrderExceededError(StockError):
    def __init__(self, lines: Iterable[ExceededLimit]) -> None:
        self.lines = tuple(lines)
        exceeded = (
            f"{line.product_id} (at most {line.max_per_order}, {line.requested} requested)"
            for line in self.lines
        )
        super().__init__(f"More than one order may have: {', '.join(exceeded)}")


class InsufficientStockError(StockError):
    def __init__(self, lines: Iterable[ShortLine]) -> None:
        self.lines = tuple(lines)
        short = (
            f"{line.product_id} ({line.available} available, {line.requested} requested)"
            for line in self.lines
        )
        super().__init__(f"Not enough in stock: {', '.join(short)}")


class NegativeStockError(StockError):
    def __init__(self, product: Product, delta: int) -> None:
        super().__init__(
            f"{product.product_id} has {product.available} available, so a delta of {delta:+} is"
            " not possible. Remove no more than is available."
        )


class ReservationReleasedError(StockError):
    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"The reservation {reservation_id} was released and cannot be held again")


class ReservationMismatchError(StockError):
    def __init__(self, reservation_id: str) -> None:
        super().__init__(
            f"The reservation {reservation_id} exists with other lines. Repeat its lines, or use"
            " another id."
        )


class UnknownReservationError(StockError):
    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"There is no reservation {reservation_id}")


class MovementOutOfOrderError(StockError):
    def __init__(self, reservation: Reservation, seq: int) -> None:
        self.last_movement = last = reservation.last_movement
        name = reservation.reservation_id
        if seq > last:
            detail = f"leaves a gap: the last one is {last}. Send movement {last + 1} first."
        else:
            detail = f"is stale: the last one is {last}. Only that one can be repeated."
        super().__init__(f"Movement {seq} of the reservation {name} {detail}")


class MovementMismatchError(StockError):
    def __init__(self, reservation_id: str, seq: int) -> None:
        super().__init__(
            f"Movement {seq} of the reservation {reservation_id} exists with another kind or other"
            f" lines. Repeat them, or send movement {seq + 1}."
        )


class MovementExceedsReservationError(StockError):
    def __init__(
        self, reservation_id: str, movement: Movement, lines: Iterable[ExcessLine]
    ) -> None:
        self.lines = tuple(lines)
        excess = (
            f"{line.product_id} ({line.movable} can move, {line.requested} requested)"
            for line in self.lines
        )
        super().__init__(
            f"The reservation {reservation_id} has too few units to {movement.kind}:"
            f" {', '.join(excess)}"
        )


class IdempotencyKeyReusedError(StockError):
    def __init__(self) -> None:
        super().__init__(
            "The Idempotency-Key was used for another adjustment of this product. Use a new key."
        )


class PreconditionFailedError(StockError):
    def __init__(self, product_id: str, *, exists: bool) -> None:
        super().__init__(
            f"The product {product_id} exists and does not meet the condition of the request. Read"
            " it again, then repeat your change with its new ETag."
            if exists
            else f"The product {product_id} does not exist, and the request requires that it does."
        )


class ChangeSupersededError(StockError):
    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"The change of {product_id} may have been made, and another change followed it. Repeat"
            " the request. If the response is 412, read the product to see which change it has."
        )


@dataclass(frozen=True, slots=True)
class ExceededLimit:
    product_id: str
    requested: int
    max_per_order: int


@dataclass(frozen=True, slots=True)
class ShortLine:
    product_id: str
    requested: int
    available: int


@dataclass(frozen=True, slots=True)
class ExcessLine:
    """A line of a movement that exceeds the reservation, with the counts of the reservation.

    All counts are 0 if the reservation has no line of the product.
    """

    product_id: str
    requested: int
    movable: int = 0
    quantity: int = 0
    released: int = 0
    consumed: int = 0
    returned: int = 0


CATALOGUE_FIELDS = (
    "name",
    "price",
    "currency",
    "active",
    "max_per_order",
    "low_stock_threshold",
    "catalogue_nonce",
)
"""The fields of a product that only the catalogue's operations change."""
read_catalogue_fields: Callable[[Any], tuple[object, ...]] = attrgetter(*CATALOGUE_FIELDS)
"""The values of these fields, of a product or of a document's fields."""


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
    """When the stored document last changed; None if the product is not stored yet."""
    max_per_order: int | None = None
    """The most units that one order may have; None: no limit."""
    low_stock_threshold: int | None = None
    """The stock is low if at most this many units are available; None: it is never low."""
    catalogue_nonce: str = ""
    """Chosen by the request that last changed a catalogue field.

    So a retried commit recognises its own change, and no two changes have the same tag.
    """
    stored_catalogue: tuple[object, ...] | None = field(default=None, compare=False, repr=False)
    """The catalogue fields as they were read from the store; None for a new product. An update
    writes them only if one differs."""

    @property
    def key(self) -> Key:
        return (PRODUCTS, self.product_id)

    @property
    def low_stock(self) -> bool:
        return self.low_stock_threshold is not None and self.available <= self.low_stock_threshold

    @property
    def catalogue_tag(self) -> str:
        """16 characters that change with each change of the catalogue fields, not with the stock.

        Both the fields and the nonce are in it, because an older revision writes no nonce.
        """
        return digest_id(*map(repr, self.catalogue_fields))[:16]

    @property
    def catalogue_fields(self) -> tuple[object, ...]:
        return read_catalogue_fields(self)

    def on_sale(self, currency: str) -> bool:
        """Whether a shop of this currency can sell it."""
        return self.active and self.currency == currency

    def has_available(self, quantity: int) -> bool:
        return quantity <= self.available

    def can_be_ordered(self, quantity: int, currency: str) -> bool:
        """Whether one order may have so many units now."""
        within_limit = self.max_per_order is None or quantity <= self.max_per_order
        return self.on_sale(currency) and self.has_available(quantity) and within_limit

    def reserve(self, quantity: int) -> Product:
        return self._move(available=-quantity, reserved=quantity)

    def release(self, quantity: int) -> Product:
        return self.reserve(-quantity)

    def ship(self, quantity: int) -> Product:
        return self._move(reserved=-quantity, shipped=quantity)

    def restock(self, quantity: int) -> Product:
        return replace(self, shipped=self.shipped - quantity, available=self.available + quantity)

    def move(self, kind: MovementKind, quantity: int) -> Product:
        match kind:
            case MovementKind.RELEASE:
                return self.release(quantity)
            case MovementKind.CONSUME:
                return self.ship(quantity)
            case MovementKind.RESTOCK:
                return self.restock(quantity)

    def adjust(self, delta: int) -> Product:
        if self.available + delta < 0:
            raise NegativeStockError(self, delta)
        return self._move(available=delta)

    def _move(self, available: int = 0, reserved: int = 0, shipped: int = 0) -> Product:
        """Add to the quantities. Each sale calls this, and ``replace`` would take longer."""
        return Product(
            self.product_id,
            self.name,
            self.price,
            self.currency,
            self.active,
            self.available + available,
            self.reserved + reserved,
            self.shipped + shipped,
            self.updated_at,
            self.max_per_order,
            self.low_stock_threshold,
            self.catalogue_nonce,
            self.stored_catalogue,
        )


class CatalogueChanges(TypedDict, total=False):
    """New values of catalogue fields. A field that is absent does not change."""

    name: str
    price: int
    currency: str
    active: bool
    max_per_order: int | None
    low_stock_threshold: int | None


def crossed_low_stock(before: Product | None, after: Product) -> bool:
    """Whether the stock is low now and was not before. None: the product is new."""
    return after.low_stock and not (before and before.low_stock)


ProductPlace = str | tuple[str | int, str]
"""A product's place in a list: ``id``, or ``(value, id)`` in a list by the value of a field."""


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """The products of a list, and their order.

    Without ``ids``, at most one of ``not_sold_in``, ``name_prefix`` and ``max_available`` may be
    set, so that one index can serve a page. With ``ids`` all may be set: those documents are read
    by id.
    """

    sold_in: str | None = None
    """Only products on sale in this currency."""
    not_sold_in: str | None = None
    """Only products that are not on sale in this currency: the retired ones by id, then others by
    currency and id."""
    name_prefix: str | None = None
    """Only products with such names, by name. Case matters."""
    max_available: int | None = None
    """Only products of which at most so many units are available, by these units."""
    ids: tuple[str, ...] | None = None
    """Only these products, by id."""

    def accepts(self, product: Product) -> bool:
        return (
            (self.sold_in is None or product.on_sale(self.sold_in))
            and (self.not_sold_in is None or not product.on_sale(self.not_sold_in))
            and (self.name_prefix is None or product.name.startswith(self.name_prefix))
            and (self.max_available is None or product.available <= self.max_available)
            and (self.ids is None or product.product_id in self.ids)
        )

    def place(self, product: Product) -> ProductPlace:
        if self.ids is not None:
            return product.product_id
        if self.not_sold_in is not None and product.active:
            return product.currency, product.product_id
        if self.name_prefix is not None:
            return product.name, product.product_id
        if self.max_available is not None:
            return product.available, product.product_id
        return product.product_id


ALL_PRODUCTS = ProductFilter()

ANY_PRODUCT = "*"
"""In a precondition: any existing product, whatever its tag."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """The state that a request requires of a product, by values of ``Product.catalogue_tag``."""

    match: frozenset[str] | None = None
    """The product must exist and have one of these tags; None: no such condition."""
    none_match: frozenset[str] | None = None
    """If the product exists, it must have none of these tags; None: no such condition."""

    def check(self, product_id: str, found: Product | None) -> None:
        """Raises PreconditionFailedError."""
        current = {ANY_PRODUCT, found.catalogue_tag} if found else set()
        matches = self.match is None or bool(self.match & current)
        excluded = self.none_match is not None and bool(self.none_match & current)
        if not matches or excluded:
            raise PreconditionFailedError(product_id, exists=found is not None)


UNCONDITIONAL = Precondition()


@dataclass(frozen=True, slots=True, order=True)
class Line:
    product_id: str
    quantity: int


class MovementKind(StrEnum):
    """The directions in which the units of a reservation move."""

    RELEASE = "release"
    """From reserved to available."""
    CONSUME = "consume"
    """From reserved to shipped."""
    RESTOCK = "restock"
    """From shipped to available: the goods came back."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of a part of a reservation. order numbers the movements of a reservation from 1.

    Each is applied once. A repeated one has the same result and changes nothing.
    """

    seq: int
    kind: MovementKind
    lines: tuple[Line, ...]
    """Merged: one line for each product."""

    @property
    def fingerprint(self) -> str:
        """A digest of the kind and the lines: equal movements have equal fingerprints."""
        lines = (f"{line.quantity} {line.product_id}" for line in self.lines)
        return digest_id(self.kind, *lines)


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with the product's name and price at the time of the reservation.

    Later changes of the product do not affect it. The counts record the units that have moved.
    """

    product_id: str
    quantity: int
    unit_price: int
    name: str
    released: int = 0
    consumed: int = 0
    returned: int = 0
    """Consumed units that came back."""

    @property
    def held(self) -> int:
        """Units that count as reserved."""
        return self.quantity - self.released - self.consumed

    @property
    def shipped(self) -> int:
        return self.consumed - self.returned

    @property
    def has_valid_counts(self) -> bool:
        counts = self.released, self.consumed, self.returned, self.held, self.shipped
        return min(counts) >= 0

    def movable(self, kind: MovementKind) -> int:
        """Units that a movement of this kind can move."""
        return self.shipped if kind is MovementKind.RESTOCK else self.held

    def move(self, kind: MovementKind, quantity: int) -> PricedLine:
        match kind:
            case MovementKind.RELEASE:
                return replace(self, released=self.released + quantity)
            case MovementKind.CONSUME:
                return replace(self, consumed=self.consumed + quantity)
            case MovementKind.RESTOCK:
                return replace(self, returned=self.returned + quantity)


class ReservationStatus(StrEnum):
    HELD = "held"
    CONFIRMED = "confirmed"
    PARTIAL = "partial"
    """Some units have moved, and some are still reserved."""
    RELEASED = "released"
    """No unit is reserved, and none was consumed."""
    CONSUMED = "consumed"
    """No unit is reserved, and some or all were consumed."""

    @property
    def live(self) -> bool:
        """Whether it has units that count as reserved."""
        return self in (
            ReservationStatus.HELD,
            ReservationStatus.CONFIRMED,
            ReservationStatus.PARTIAL,
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    reservation_id: str
    status: ReservationStatus
    currency: str
    lines: tuple[PricedLine, ...] = ()
    """One line for each product."""
    nonce: str = ""
    """Chosen by the request that created it, so that a retried commit recognises its own change."""
    last_movement: int = 0
    """The number of the last movement; 0 if there was none."""
    last_movement_fingerprint: str = ""

    @property
    def key(self) -> Key:
        return (RESERVATIONS, self.reservation_id)

    @property
    def order_id(self) -> str:
        """The order that the reservation belongs to; the reservation's id begins with it."""
        return self.reservation_id.partition(".")[0]

    @property
    def held_lines(self) -> tuple[Line, ...]:
        """The units that count as reserved."""
        return tuple(Line(line.product_id, line.held) for line in self.lines if line.held)

    def has_lines(self, lines: tuple[Line, ...]) -> bool:
        return lines == tuple(Line(line.product_id, line.quantity) for line in self.lines)

    def move_rest(self, kind: MovementKind) -> Reservation:
        """Release or consume all units that are still reserved."""
        return self._with_lines(line.move(kind, line.held) for line in self.lines)

    def has_applied(self, movement: Movement) -> bool:
        """Whether the movement is the last one. Raises MovementMismatchError."""
        if movement.seq != self.last_movement:
            return False
        if movement.fingerprint != self.last_movement_fingerprint:
            raise MovementMismatchError(self.reservation_id, movement.seq)
        return True

    def apply(self, movement: Movement) -> Reservation:
        """Raises MovementOutOfOrderError or MovementExceedsReservationError."""
        if movement.seq != self.last_movement + 1:
            raise MovementOutOfOrderError(self, movement.seq)
        if excess := self._excess(movement):
            raise MovementExceedsReservationError(self.reservation_id, movement, excess)
        units = {line.product_id: line.quantity for line in movement.lines}
        moved = self._with_lines(
            line.move(movement.kind, units.get(line.product_id, 0)) for line in self.lines
        )
        return replace(
            moved, last_movement=movement.seq, last_movement_fingerprint=movement.fingerprint
        )

    def complete_counts(self) -> Reservation:
        """Count each unit of a released or consumed reservation.

        Documents of older revisions have no counts, and a reservation that was released or consumed
        as a whole is stored without them. Its status then applies to all units without a count.
        """
        if self.status.live:
            return self
        consumed = self.status is ReservationStatus.CONSUMED
        kind = MovementKind.CONSUME if consumed else MovementKind.RELEASE
        return replace(self, lines=tuple(line.move(kind, line.held) for line in self.lines))

    def _with_lines(self, moved: Iterable[PricedLine]) -> Reservation:
        """The reservation with these lines, and the status that follows from their counts."""
        lines = tuple(moved)
        if any(line.held for line in lines):
            status = ReservationStatus.PARTIAL
        elif any(line.consumed for line in lines):
            status = ReservationStatus.CONSUMED
        else:
            status = ReservationStatus.RELEASED
        return replace(self, status=status, lines=lines)

    def _excess(self, movement: Movement) -> list[ExcessLine]:
        mine = {line.product_id: line for line in self.lines}
        excess = []
        for requested in movement.lines:
            name, units = requested.product_id, requested.quantity
            line = mine.get(name)
            if line is None:
                excess.append(ExcessLine(name, units))
            elif units > line.movable(movement.kind):
                counts = line.quantity, line.released, line.consumed, line.returned
                excess.append(ExcessLine(name, units, line.movable(movement.kind), *counts))
        return excess


@dataclass(frozen=True, slots=True)
class Adjustment:
    adjustment_id: str
    product_id: str
    delta: int
    reason: str
    reference: str | None
    created_at: datetime
    available: int
    """Available units after this adjustment."""
    nonce: str
    actor: str = OPERATOR
    """Who reported the change."""

    @property
    def key(self) -> Key:
        return adjustment_key(self.product_id, self.adjustment_id)

    def same_request(self, other: Adjustment) -> bool:
        mine, theirs = (
            (each.delta, each.reason, each.reference, each.actor) for each in (self, other)
        )
        return mine == theirs

    def ledger_entries(self, product_id: str) -> tuple[LedgerEntry, ...]:  # noqa: ARG002 - it has one product
        return (
            LedgerEntry(
                LedgerEntryKind.ADJUSTED,
                self.created_at,
                self.actor,
                self.reason,
                self.reference,
                available=self.delta,
            ),
        )


@dataclass(frozen=True, slots=True)
class RecordedReservation:
    """A reservation, with the times at which it was stored and last changed.

    Its counts and these times give its entries in the ledger.
    """

    reservation: Reservation
    created_at: datetime
    changed_at: datetime

    def ledger_entries(self, product_id: str) -> tuple[LedgerEntry, ...]:
        """The reserved units, and then the sums of the released, shipped and returned units.

        Each sum has the time of the reservation's last change, since the times of earlier movements
        are not stored. A sum of 0 has no entry.
        """
        lines = [line for line in self.reservation.lines if line.product_id == product_id]
        reserved = sum(line.quantity for line in lines)
        released = sum(line.released for line in lines)
        shipped = sum(line.consumed for line in lines)
        returned = sum(line.returned for line in lines)
        kinds = LedgerEntryKind
        entries = [self._entry(kinds.RESERVED, available=-reserved, reserved=reserved)]
        if released:
            entries.append(self._entry(kinds.RELEASED, available=released, reserved=-released))
        if shipped:
            entries.append(self._entry(kinds.SHIPPED, reserved=-shipped, shipped=shipped))
        if returned:
            entries.append(self._entry(kinds.RETURNED, available=returned, shipped=-returned))
        return tuple(entries)

    def _entry(self, kind: LedgerEntryKind, **units: int) -> LedgerEntry:
        at = self.created_at if kind is LedgerEntryKind.RESERVED else self.changed_at
        return LedgerEntry(kind, at, ORDER, _REASONS[kind], self.reservation.order_id, **units)


class LedgerEntryKind(StrEnum):
    ADJUSTED = "adjusted"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"
    RETURNED = "returned"


_REASONS = {
    LedgerEntryKind.RESERVED: "order placed",
    LedgerEntryKind.RELEASED: "order cancelled or not placed",
    LedgerEntryKind.SHIPPED: "order fulfilled",
    LedgerEntryKind.RETURNED: "goods returned",
}
"""Why the units of a reservation moved."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A change of a product's stock. The sums of all entries are the product's quantities."""

    kind: LedgerEntryKind
    at: datetime
    actor: str
    reason: str
    reference: str | None
    available: int = 0
    reserved: int = 0
    shipped: int = 0


@dataclass(frozen=True, slots=True)
class Unusable:
    """A document that exists, but is damaged or was written by a newer revision.

    No operation can use it.
    """

    key: Key
    error: Exception
    """Raised in each operation that needs the document."""


Entity = Product | Reservation | Adjustment | LowStockEvent


def product_key(product_id: str) -> Key:
    return (PRODUCTS, product_id)


def reservation_key(reservation_id: str) -> Key:
    return (RESERVATIONS, reservation_id)


def adjustment_key(product_id: str, adjustment_id: str) -> Key:
    return (PRODUCTS, product_id, "adjustments", adjustment_id)


def merge(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return one line for each product, sorted, so that equal orders have equal lines."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return tuple(sorted(Line(*item) for item in quantities.items()))
