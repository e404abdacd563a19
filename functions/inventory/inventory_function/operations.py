"""The operations on stock. Each names the documents that it needs, then decides on these alone.

A transaction decides its operations one after the other against one ``UnitOfWork``. So the
operations of a group commit behave as if each had its own transaction. An operation that fails
changes nothing. After a commit with an unknown outcome, the operation is decided again on documents
that are read again. Its ids and its nonce are chosen before the first try, so it recognises a
change that it has made itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from functions_common.firestore.errors import UnusableDocumentError
from inventory_function.domain import (
    Adjustment,
    ExceededLimit,
    IdempotencyKeyReusedError,
    InsufficientStockError,
    MaxPerOrderExceededError,
    MovementKind,
    PricedLine,
    Product,
    Reservation,
    ReservationMismatchError,
    ReservationReleasedError,
    ReservationStatus,
    ShortLine,
    StockError,
    UnknownProductsError,
    UnknownReservationError,
    adjustment_key,
    product_key,
    reservation_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from inventory_function.domain import Key, Line, Movement
    from inventory_function.unit_of_work import UnitOfWork

    _OrderedProducts = list[tuple[Line, Product]]
    """Each line of a reservation with its product."""

T_co = TypeVar("T_co", covariant=True)


class StockOperation(Protocol[T_co]):
    def needs(self, work: UnitOfWork) -> Sequence[Key]:
        """The documents that must be read before ``decide``.

        They can depend on documents that have been read, so this is called again after each read.
        """

    def decide(self, work: UnitOfWork) -> T_co:
        """Put the changes into ``work`` and return the result.

        Raises a ``StockError`` and changes nothing. Raises NotReadError if a reservation that
        ``needs`` assumed absent must be read first.
        """


@dataclass(frozen=True, slots=True)
class Reserve:
    """Hold units for all lines, or for none.

    If the reservation exists, it decides the result, and stock is not checked. The result is the
    reservation, and whether this request created it.
    """

    reservation_id: str
    lines: tuple[Line, ...]
    currency: str
    nonce: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:
        products = [product_key(line.product_id) for line in self.lines]
        if work.assume_absent:
            return products
        return [reservation_key(self.reservation_id), *products]

    def decide(self, work: UnitOfWork) -> tuple[Reservation, bool]:
        if found := work.reservation_if_read(self.reservation_id):
            work.note_failed_assumption()
            return self._existing(found), found.nonce == self.nonce
        try:
            ordered = self._products_in_stock(work)
        except (StockError, UnusableDocumentError):
            work.note_failed_assumption()
            work.require_read(self.reservation_id)
            raise
        reservation = self._reservation(ordered)
        for line, product in ordered:
            work.put(product.reserve(line.quantity))
        work.put(reservation)
        return reservation, True

    def _products_in_stock(self, work: UnitOfWork) -> _OrderedProducts:
        ordered = self._products_on_sale(work)
        self._check_max_per_order(ordered)
        short = [
            ShortLine(line.product_id, line.quantity, product.available)
            for line, product in ordered
            if not product.has_available(line.quantity)
        ]
        if short:
            raise InsufficientStockError(short)
        return ordered

    def _check_max_per_order(self, ordered: _OrderedProducts) -> None:
        exceeded = [
            ExceededLimit(line.product_id, line.quantity, product.max_per_order)
            for line, product in ordered
            if product.max_per_order is not None and line.quantity > product.max_per_order
        ]
        if exceeded:
            raise MaxPerOrderExceededError(exceeded)

    def _existing(self, found: Reservation) -> Reservation:
        if found.status is ReservationStatus.RELEASED:
            raise ReservationReleasedError(self.reservation_id)
        if not found.has_lines(self.lines):
            raise ReservationMismatchError(self.reservation_id)
        return found

    def _products_on_sale(self, work: UnitOfWork) -> _OrderedProducts:
        on_sale: _OrderedProducts = []
        unknown = []
        for line in self.lines:
            product = work.product(line.product_id)
            if product and product.on_sale(self.currency):
                on_sale.append((line, product))
            else:
                unknown.append(line.product_id)
        if unknown:
            raise UnknownProductsError(unknown)
        return on_sale

    def _reservation(self, ordered: _OrderedProducts) -> Reservation:
        return Reservation(
            self.reservation_id,
            ReservationStatus.HELD,
            self.currency,
            tuple(
                PricedLine(line.product_id, line.quantity, product.price, product.name)
                for line, product in ordered
            ),
            self.nonce,
        )


@dataclass(frozen=True, slots=True)
class Release:
    """Return all units that are still reserved to available stock.

    An unknown reservation is stored as released, so that a late ``Reserve`` fails. A consumed one
    stays consumed. The result is the reservation after the operation: consumed if any unit of it
    was consumed before, else released.
    """

    reservation_id: str
    currency: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:
        return _needs_of_held(self.reservation_id, work)

    def decide(self, work: UnitOfWork) -> Reservation:
        found = work.reservation(self.reservation_id)
        if found is None:
            tombstone = Reservation(self.reservation_id, ReservationStatus.RELEASED, self.currency)
            work.put(tombstone)
            return tombstone
        return _move_rest(found, MovementKind.RELEASE, work)


@dataclass(frozen=True, slots=True)
class Confirm:
    """The order exists: a held reservation becomes confirmed. Nothing else changes.

    The result is the reservation after the operation; None if the id is unknown.
    """

    reservation_id: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:  # noqa: ARG002
        return [reservation_key(self.reservation_id)]

    def decide(self, work: UnitOfWork) -> Reservation | None:
        found = work.reservation(self.reservation_id)
        if found is None or found.status is not ReservationStatus.HELD:
            return found
        confirmed = replace(found, status=ReservationStatus.CONFIRMED)
        work.put(confirmed)
        return confirmed


@dataclass(frozen=True, slots=True)
class Consume:
    """The goods have left: reserved units become shipped.

    The result is the reservation after the operation; None if the id is unknown.
    """

    reservation_id: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:
        return _needs_of_held(self.reservation_id, work)

    def decide(self, work: UnitOfWork) -> Reservation | None:
        found = work.reservation(self.reservation_id)
        if found is None:
            return None
        return _move_rest(found, MovementKind.CONSUME, work)


@dataclass(frozen=True, slots=True)
class Move:
    """Apply a numbered movement to a reservation and its products, once.

    The result is the reservation, and whether this operation applied the movement. A movement with
    the number of the reservation's last one was applied before, and moves nothing.
    """

    reservation_id: str
    movement: Movement

    def needs(self, work: UnitOfWork) -> Sequence[Key]:  # noqa: ARG002
        products = [product_key(line.product_id) for line in self.movement.lines]
        return [reservation_key(self.reservation_id), *products]

    def decide(self, work: UnitOfWork) -> tuple[Reservation, bool]:
        found = work.reservation(self.reservation_id)
        if found is None:
            raise UnknownReservationError(self.reservation_id)
        if found.has_applied(self.movement):
            return found, False
        moved = found.apply(self.movement)
        _move_products(self.movement.lines, self.movement.kind, work)
        work.put(moved)
        return moved, True


def _needs_of_held(reservation_id: str, work: UnitOfWork) -> Sequence[Key]:
    """The reservation; when it has been read, also the products whose units it holds."""
    products = [product_key(line.product_id) for line in work.held_lines(reservation_id)]
    return [reservation_key(reservation_id), *products]


def _move_rest(found: Reservation, kind: MovementKind, work: UnitOfWork) -> Reservation:
    """Move all units that are still reserved: all lines or none."""
    if not found.status.live:
        return found
    _move_products(found.held_lines, kind, work)
    settled = found.move_rest(kind)
    work.put(settled)
    return settled


def _move_products(lines: Iterable[Line], kind: MovementKind, work: UnitOfWork) -> None:
    """Raises UnknownProductsError, and changes nothing, if a product is missing."""
    moved: dict[str, Product] = {}
    for line in lines:
        product = moved.get(line.product_id) or work.known_product(line.product_id)
        moved[line.product_id] = product.move(kind, line.quantity)
    for product in moved.values():
        work.put(product)


@dataclass(frozen=True, slots=True)
class Adjust:
    """Add units to available stock or remove some, once for each adjustment id.

    The result is the adjustment, and whether this request made it.
    """

    product_id: str
    adjustment_id: str
    delta: int
    reason: str
    reference: str | None
    actor: str
    now: datetime
    nonce: str

    def needs(self, work: UnitOfWork) -> Sequence[Key]:  # noqa: ARG002
        adjustment = adjustment_key(self.product_id, self.adjustment_id)
        return [product_key(self.product_id), adjustment]

    def decide(self, work: UnitOfWork) -> tuple[Adjustment, bool]:
        if found := work.adjustment(self.product_id, self.adjustment_id):
            if not found.same_request(self._adjustment(found.available)):
                raise IdempotencyKeyReusedError
            return found, found.nonce == self.nonce
        product = work.known_product(self.product_id).adjust(self.delta)
        adjustment = self._adjustment(product.available)
        work.put(product)
        work.put(adjustment)
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
