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
    adjustment_key,
    product_key,
    reservation_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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
        self._read: dict[Key, tuple[Entity | None, datetime | None]] = {}
        self._changed: dict[Key, Entity] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._read

    def add(self, key: Key, entity: Entity | None, version: datetime | None) -> None:
        """Take in a document as read; both are None where there is none."""
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

    def _known(self, key: Key) -> bool:
        return key in self._changed or key in self._read

    def _now(self, key: Key) -> Entity | None:
        return self._changed[key] if key in self._changed else self._read[key][0]


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
    """Give the units back. An id that is not known is marked, so that a late ``Reserve`` fails.

    Answers every reservation as it is afterwards; a consumed one stays consumed.
    """

    reservation_ids: tuple[str, ...]
    currency: str

    def needs(self, stock: Stock) -> Iterable[Key]:
        return _needs_of_live(self.reservation_ids, stock)

    def decide(self, stock: Stock) -> list[Reservation]:
        _check_products(self.reservation_ids, stock)
        return [self._release(stock, reservation_id) for reservation_id in self.reservation_ids]

    def _release(self, stock: Stock, reservation_id: str) -> Reservation:
        found = stock.reservation(reservation_id)
        if found and not found.status.live:
            return found
        if found:
            for line in found.lines:
                stock.put(stock.known_product(line.product_id).give_back(line.quantity))
            released = replace(found, status=ReservationStatus.RELEASED)
        else:
            released = Reservation(reservation_id, ReservationStatus.RELEASED, self.currency)
        stock.put(released)
        return released


@dataclass(frozen=True, slots=True)
class Confirm:
    """The order exists: held becomes confirmed. Nothing else changes; unknown ids are left out."""

    reservation_ids: tuple[str, ...]

    def needs(self, stock: Stock) -> Iterable[Key]:  # noqa: ARG002
        return map(reservation_key, self.reservation_ids)

    def decide(self, stock: Stock) -> list[Reservation]:
        answer = []
        for found in filter(None, map(stock.reservation, self.reservation_ids)):
            confirmed = found
            if found.status is ReservationStatus.HELD:
                confirmed = replace(found, status=ReservationStatus.CONFIRMED)
                stock.put(confirmed)
            answer.append(confirmed)
        return answer


@dataclass(frozen=True, slots=True)
class Consume:
    """The goods have left: reserved becomes shipped. Unknown ids are left out of the answer."""

    reservation_ids: tuple[str, ...]

    def needs(self, stock: Stock) -> Iterable[Key]:
        return _needs_of_live(self.reservation_ids, stock)

    def decide(self, stock: Stock) -> list[Reservation]:
        _check_products(self.reservation_ids, stock)
        answer = []
        for found in filter(None, map(stock.reservation, self.reservation_ids)):
            consumed = found
            if found.status.live:
                for line in found.lines:
                    stock.put(stock.known_product(line.product_id).ship(line.quantity))
                consumed = replace(found, status=ReservationStatus.CONSUMED)
                stock.put(consumed)
            answer.append(consumed)
        return answer


def _needs_of_live(reservation_ids: tuple[str, ...], stock: Stock) -> Iterator[Key]:
    """Reservations first; once they are read, the products whose units they hold."""
    keys = [reservation_key(reservation_id) for reservation_id in reservation_ids]
    yield from keys
    if all(key in stock for key in keys):
        yield from map(product_key, _products_held(reservation_ids, stock))


def _products_held(reservation_ids: tuple[str, ...], stock: Stock) -> Iterator[str]:
    for found in filter(None, map(stock.reservation, reservation_ids)):
        if found.status.live:
            yield from (line.product_id for line in found.lines)


def _check_products(reservation_ids: tuple[str, ...], stock: Stock) -> None:
    """Before anything changes: a reservation of a product that is gone is damage, not an order."""
    for product_id in _products_held(reservation_ids, stock):
        stock.known_product(product_id)


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
