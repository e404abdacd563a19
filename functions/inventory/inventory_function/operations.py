"""What can be done to stock: each operation names what it must read, then decides on that alone.

Operations are decided one after the other against one ``Stock``, so a group of them behaves as
if each had its own transaction (see group_commit). A refusal leaves the stock as it was. An
operation may be decided again, on stock read anew, after a commit whose outcome is not known:
its ids and its nonce were chosen before the first try, so it recognises what it did itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from inventory_function.domain import (
    Adjustment,
    IdempotencyKeyReusedError,
    InsufficientStockError,
    PricedLine,
    Product,
    Reservation,
    ReservationMismatchError,
    ReservationReleasedError,
    ReservationStatus,
    ShortLine,
    StockError,
    UnknownProductsError,
    Unusable,
    adjustment_key,
    product_key,
    reservation_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from inventory_function.domain import Entity, Key, Line

T_co = TypeVar("T_co", covariant=True)


class NotReadError(Exception):
    """A decision would rest on a reservation that was hoped to be absent, and not read."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class Stock:
    """Documents as they were read, and the changes decided since.

    While it is ``hopeful`` a reservation that is to be made is not read first, but hoped to be
    absent: if it is not, the precondition of its creation fails. Where anything but its creation
    would rest on it, it must be read after all (``look_at``). What is absent when it is read was
    absent all the time before, since reservations are never deleted.
    """

    def __init__(self, *, hopeful: bool = False) -> None:
        self.hopeful = hopeful
        self.disappointed = False
        """Hope was in vain, or would have been."""
        self._read: dict[Key, tuple[Entity | Unusable | None, datetime | None]] = {}
        self._changed: dict[Key, Entity] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._read

    def add(self, key: Key, entity: Entity | Unusable | None, version: datetime | None) -> None:
        """Take in a document as read; both are None if there is none."""
        self._read[key] = entity, version
        self._changed.pop(key, None)

    def put(self, entity: Entity) -> None:
        self._changed[entity.key] = entity

    def changes(self) -> Iterator[tuple[Entity, datetime | None]]:
        """Every changed entity, with the version that it replaces (None: it must not exist)."""
        for key, entity in self._changed.items():
            yield entity, self._read[key][1] if key in self._read else None

    def undo(self) -> None:
        """Back to what was read."""
        self._changed.clear()

    def product(self, product_id: str) -> Product | None:
        return cast("Product | None", self._now(product_key(product_id)))

    def known_product(self, product_id: str) -> Product:
        product = self.product(product_id)
        if product is None:
            raise UnknownProductsError([product_id])
        return product

    def reservation(self, reservation_id: str) -> Reservation | None:
        return cast("Reservation | None", self._now(reservation_key(reservation_id)))

    def reservation_or_hope(self, reservation_id: str) -> Reservation | None:
        """None also for one that is only hoped to be absent."""
        key = reservation_key(reservation_id)
        if self.hopeful and not self._known(key):
            return None
        return self.reservation(reservation_id)

    def look_at(self, reservation_id: str) -> None:
        """Raises NotReadError where nothing but hope is known of it."""
        self.disappointed = True
        key = reservation_key(reservation_id)
        if not self._known(key):
            raise NotReadError(key)

    def adjustment(self, product_id: str, adjustment_id: str) -> Adjustment | None:
        return cast("Adjustment | None", self._now(adjustment_key(product_id, adjustment_id)))

    def held_lines(self, reservation_id: str) -> tuple[PricedLine, ...]:
        """The lines whose units count as reserved; none if that cannot be known (yet)."""
        key = reservation_key(reservation_id)
        found = self._changed.get(key) or self._read.get(key, (None,))[0]
        return found.lines if isinstance(found, Reservation) and found.status.live else ()

    def _known(self, key: Key) -> bool:
        return key in self._changed or key in self._read

    def _now(self, key: Key) -> Entity | None:
        """The document with the changes decided so far. Raises the error of an unusable one."""
        found = self._changed[key] if key in self._changed else self._read[key][0]
        if isinstance(found, Unusable):
            raise found.error
        return found


class Operation(Protocol[T_co]):
    def needs(self, stock: Stock) -> Iterable[Key]:
        """What must be in the stock before ``decide``; asked again when more has been read."""

    def decide(self, stock: Stock) -> T_co:
        """Change the stock and answer, or raise a ``StockError`` and leave it as it was.

        Raises NotReadError where a document that ``needs`` left to hope has to be read first.
        """


@dataclass(frozen=True, slots=True)
class Reserve:
    """All lines or none. A reservation that is there already decides before stock does.

    The answer tells whether this very request created it.
    """

    reservation_id: str
    lines: tuple[Line, ...]
    currency: str
    nonce: str

    def needs(self, stock: Stock) -> Iterable[Key]:
        if not stock.hopeful:
            yield reservation_key(self.reservation_id)
        for line in self.lines:
            yield product_key(line.product_id)

    def decide(self, stock: Stock) -> tuple[Reservation, bool]:
        if found := stock.reservation_or_hope(self.reservation_id):
            stock.look_at(self.reservation_id)
            return self._again(found), found.nonce == self.nonce
        try:
            products = self._that_fit(stock)
        except StockError:
            stock.look_at(self.reservation_id)
            raise
        reservation = self._reservation(products)
        for line, product in zip(self.lines, products, strict=True):
            stock.put(product.reserve(line.quantity))
        stock.put(reservation)
        return reservation, True

    def _that_fit(self, stock: Stock) -> list[Product]:
        products = self._products(stock)
        short = [
            ShortLine(line.product_id, line.quantity, product.available)
            for line, product in zip(self.lines, products, strict=True)
            if not product.fits(line.quantity)
        ]
        if short:
            raise InsufficientStockError(short)
        return products

    def _again(self, found: Reservation) -> Reservation:
        if found.status is ReservationStatus.RELEASED:
            raise ReservationReleasedError(self.reservation_id)
        if not found.holds(self.lines):
            raise ReservationMismatchError(self.reservation_id)
        return found

    def _products(self, stock: Stock) -> list[Product]:
        found = [(line.product_id, stock.product(line.product_id)) for line in self.lines]
        on_sale = [product for _, product in found if product and product.on_sale(self.currency)]
        if len(on_sale) < len(found):
            sold = {product.product_id for product in on_sale}
            raise UnknownProductsError(wanted for wanted, _ in found if wanted not in sold)
        return on_sale

    def _reservation(self, products: list[Product]) -> Reservation:
        return Reservation(
            self.reservation_id,
            ReservationStatus.HELD,
            self.currency,
            tuple(
                PricedLine(line.product_id, line.quantity, product.price, product.name)
                for line, product in zip(self.lines, products, strict=True)
            ),
            self.nonce,
        )


@dataclass(frozen=True, slots=True)
class Release:
    """Give the units back. An unknown id is marked as released, so that a late ``Reserve`` fails.

    The result is the reservation afterwards; a consumed one stays consumed.
    """

    reservation_id: str
    currency: str

    def needs(self, stock: Stock) -> Iterable[Key]:
        return _needs_of_held(self.reservation_id, stock)

    def decide(self, stock: Stock) -> Reservation:
        found = stock.reservation(self.reservation_id)
        if found is None:
            mark = Reservation(self.reservation_id, ReservationStatus.RELEASED, self.currency)
            stock.put(mark)
            return mark
        return _settle(found, ReservationStatus.RELEASED, Product.give_back, stock)


@dataclass(frozen=True, slots=True)
class Confirm:
    """The order exists: held becomes confirmed, and nothing else changes.

    The result is the reservation afterwards; None if the id is unknown.
    """

    reservation_id: str

    def needs(self, stock: Stock) -> Iterable[Key]:  # noqa: ARG002
        yield reservation_key(self.reservation_id)

    def decide(self, stock: Stock) -> Reservation | None:
        found = stock.reservation(self.reservation_id)
        if found is None or found.status is not ReservationStatus.HELD:
            return found
        confirmed = replace(found, status=ReservationStatus.CONFIRMED)
        stock.put(confirmed)
        return confirmed


@dataclass(frozen=True, slots=True)
class Consume:
    """The goods have left: reserved becomes shipped.

    The result is the reservation afterwards; None if the id is unknown.
    """

    reservation_id: str

    def needs(self, stock: Stock) -> Iterable[Key]:
        return _needs_of_held(self.reservation_id, stock)

    def decide(self, stock: Stock) -> Reservation | None:
        found = stock.reservation(self.reservation_id)
        if found is None:
            return None
        return _settle(found, ReservationStatus.CONSUMED, Product.ship, stock)


def _needs_of_held(reservation_id: str, stock: Stock) -> Iterator[Key]:
    """The reservation first; once it is read, the products whose units it holds."""
    yield reservation_key(reservation_id)
    for line in stock.held_lines(reservation_id):
        yield product_key(line.product_id)


def _settle(
    found: Reservation,
    status: ReservationStatus,
    move: Callable[[Product, int], Product],
    stock: Stock,
) -> Reservation:
    """Move the units of a live reservation, all lines or none."""
    if not found.status.live:
        return found
    moved: dict[str, Product] = {}
    for line in found.lines:
        product = moved.get(line.product_id) or stock.known_product(line.product_id)
        moved[line.product_id] = move(product, line.quantity)
    for product in moved.values():
        stock.put(product)
    settled = replace(found, status=status)
    stock.put(settled)
    return settled


@dataclass(frozen=True, slots=True)
class PutProduct:
    """Create a product, or change what the catalogue says of it. Stock is not touched."""

    product_id: str
    name: str
    price: int
    currency: str
    active: bool | None = None
    """None leaves it as it is; a new product is on sale."""

    def needs(self, stock: Stock) -> Iterable[Key]:  # noqa: ARG002
        yield product_key(self.product_id)

    def decide(self, stock: Stock) -> bool:
        """True where the product is new."""
        found = stock.product(self.product_id)
        blank = Product(self.product_id, self.name, self.price, self.currency)
        current = found or blank
        wanted = replace(
            current,
            name=self.name,
            price=self.price,
            currency=self.currency,
            active=current.active if self.active is None else self.active,
        )
        if wanted != found:
            stock.put(wanted)
        return found is None


@dataclass(frozen=True, slots=True)
class Adjust:
    """Bring units in, or take available ones out, once for each key.

    The answer tells whether this very request made the adjustment.
    """

    product_id: str
    adjustment_id: str
    delta: int
    reason: str
    reference: str | None
    actor: str
    now: datetime
    nonce: str

    def needs(self, stock: Stock) -> Iterable[Key]:  # noqa: ARG002
        yield product_key(self.product_id)
        yield adjustment_key(self.product_id, self.adjustment_id)

    def decide(self, stock: Stock) -> tuple[Adjustment, bool]:
        if found := stock.adjustment(self.product_id, self.adjustment_id):
            if not found.same_request(self._adjustment(found.available)):
                raise IdempotencyKeyReusedError
            return found, found.nonce == self.nonce
        product = stock.known_product(self.product_id).adjust(self.delta)
        adjustment = self._adjustment(product.available)
        stock.put(product)
        stock.put(adjustment)
        return adjustment, True

    def _adjustment(self, available: int) -> Adjustment:
        return Adjustment(
            self.adjustment_id,
            self.product_id,
            self.delta,
            self.reason,
            self.reference,
            self.now,
            available,
            self.nonce,
            self.actor,
        )
