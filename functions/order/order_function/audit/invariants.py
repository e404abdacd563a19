"""What must hold between orders, reservations and stock, at every moment of the database's life.

Orders and reservations come as two streams in the order of their ids. A reservation's id begins
with its order's, so the two are merged as they pass and never held; a row of sums for each product
is kept.

A damaged document is a finding of its own, and nothing is concluded from it. Nor is anything from
a status that only a newer revision knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from order_function.domain import Item, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from order_function.domain import Order, ReservationName


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. Equal ones at two moments are not a passing sight."""

    invariant: str
    subject: str
    """Path of the document."""
    detail: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """A damaged document, in the place of an order or a product; it was reported already."""

    id: str


@dataclass(frozen=True, slots=True)
class AuditedProduct:
    product_id: str
    available: int
    reserved: int
    shipped: int


@dataclass(frozen=True, slots=True)
class AuditedReservation:
    reservation_id: str
    name: ReservationName | None
    status: str
    """May be one of a newer revision; empty if the document is damaged."""
    currency: str
    items: tuple[Item, ...]
    age: timedelta

    @property
    def path(self) -> str:
        return f"reservations/{self.reservation_id}"

    @property
    def judged(self) -> bool:
        return self.status in KNOWN

    @property
    def live(self) -> bool:
        return self.status in LIVE

    def is_priced_as(self, order: Order) -> bool:
        return (self.items, self.currency) == (order.items, order.currency)


@dataclass(frozen=True, slots=True)
class AuditedOrder:
    order: Order
    age: timedelta
    """Since it last changed."""

    @property
    def id(self) -> str:
        return self.order.order_id

    @property
    def path(self) -> str:
        return f"orders/{self.order.order_id}"


HELD, CONFIRMED, RELEASED, CONSUMED = "held", "confirmed", "released", "consumed"
KNOWN = frozenset((HELD, CONFIRMED, RELEASED, CONSUMED))
LIVE = frozenset((HELD, CONFIRMED))
"""Reservations whose units are counted as reserved."""

OWN_RESERVATION: dict[str, frozenset[str | None]] = {
    Status.PENDING: frozenset((None, HELD)),
    Status.CONFIRMED: LIVE,
    Status.CANCELLING: frozenset((None, HELD, CONFIRMED, RELEASED)),
    Status.CANCELLED: frozenset((RELEASED,)),
    Status.FULFILLING: frozenset((HELD, CONFIRMED, CONSUMED)),
    Status.FULFILLED: frozenset((CONSUMED,)),
    Status.REJECTED: frozenset((None, HELD, RELEASED)),
    Status.ABANDONED: frozenset((None, HELD, RELEASED)),
}
"""What the reservation of an order may be; None: not there."""

HALF_DONE = frozenset((Status.PENDING, Status.CANCELLING, Status.FULFILLING))
PRICED = frozenset((Status.CONFIRMED, Status.FULFILLING, Status.FULFILLED))
KEEPS_STOCK = frozenset((Status.PENDING, Status.CONFIRMED, Status.CANCELLING, Status.FULFILLING))


@dataclass(slots=True)
class _Sums:
    """Of one product, from the documents that move its stock."""

    adjusted: int = 0
    reserved: int = 0
    shipped: int = 0
    first: str = field(default="", compare=False)
    """Path of the first live reservation."""
    all_adjustments: bool = field(default=True, compare=False)
    """False if one of them is unusable: the sum is not known then."""
    all_reservations: bool = field(default=True, compare=False)


class Books:
    """Adds up what reservations and adjustments say of each product."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sums] = {}

    def adjust(self, product_id: str, delta: int | None) -> None:
        """``delta``: None if the adjustment is damaged."""
        sums = self._of(product_id)
        if delta is None:
            sums.all_adjustments = False
        else:
            sums.adjusted += delta

    def reserve(self, reservation: AuditedReservation) -> None:
        for item in reservation.items:
            sums = self._of(item.product_id)
            if not reservation.judged:
                sums.all_reservations = False
            elif reservation.live:
                sums.reserved += item.quantity
                sums.first = sums.first or reservation.path
            elif reservation.status == CONSUMED:
                sums.shipped += item.quantity

    def compare(self, products: Iterable[AuditedProduct | Unusable]) -> Iterator[Finding]:
        """Every product against its sums; then the sums of products that are missing."""
        for product in products:
            if isinstance(product, Unusable):
                self._sums.pop(product.id, None)
            else:
                yield from _of_product(product, self._sums.pop(product.product_id, _Sums()))
        for product_id, sums in self._sums.items():
            if sums != _Sums():
                detail = (
                    f"is not there: adjusted = {sums.adjusted}, reserved = {sums.reserved} (first"
                    f" by {sums.first or 'nothing'}), shipped = {sums.shipped}"
                )
                yield Finding("product-exists", f"products/{product_id}", detail)

    def _of(self, product_id: str) -> _Sums:
        return self._sums.setdefault(product_id, _Sums())


def _of_product(product: AuditedProduct, sums: _Sums) -> Iterator[Finding]:
    path = f"products/{product.product_id}"
    if min(product.available, product.reserved, product.shipped) < 0:
        yield Finding("stock-not-negative", path, f"{product}")
    total = product.available + product.reserved + product.shipped
    if sums.all_adjustments and total != sums.adjusted:
        detail = f"available + reserved + shipped = {total}, all adjustments {sums.adjusted}"
        yield Finding("stock-adds-up", path, detail)
    if sums.all_reservations and product.reserved != sums.reserved:
        detail = f"reserved = {product.reserved}, live reservations hold {sums.reserved}"
        yield Finding("reserved-is-held", path, detail)
    if sums.all_reservations and product.shipped != sums.shipped:
        detail = f"shipped = {product.shipped}, consumed reservations held {sums.shipped}"
        yield Finding("shipped-was-consumed", path, detail)


def of_orders(
    orders: Iterator[AuditedOrder | Unusable],
    reservations: Iterable[AuditedReservation],
    books: Books,
    grace: timedelta,
) -> Iterator[Finding]:
    """Both streams by id. ``grace``: what is younger may still be under way."""
    current = next(orders, None)
    own: AuditedReservation | None = None
    for reservation in reservations:
        books.reserve(reservation)
        name = reservation.name
        if name is not None:
            while current is not None and current.id < name.order_id:
                yield from _of_order(current, own, grace)
                current, own = next(orders, None), None
        belongs = name is not None and current and current.id == name.order_id
        owner = current if belongs else None
        if (
            isinstance(owner, AuditedOrder)
            and owner.order.reservation_id == reservation.reservation_id
        ):
            own = reservation
        yield from _of_reservation(reservation, owner, grace)
    while current is not None:
        yield from _of_order(current, own, grace)
        current, own = next(orders, None), None


def _is_own(reservation: AuditedReservation, owner: AuditedOrder | Unusable | None) -> bool:
    if not isinstance(owner, AuditedOrder):
        return False
    return owner.order.reservation_id == reservation.reservation_id


def _of_reservation(
    reservation: AuditedReservation, owner: AuditedOrder | Unusable | None, grace: timedelta
) -> Iterator[Finding]:
    """A live one belongs to an order; only a held one may be on its way there, for a while."""
    if isinstance(owner, Unusable) or (owner and owner.order.of_newer_revision):
        return
    order = owner.order if owner else None
    own = order if order and order.reservation_id == reservation.reservation_id else None
    if own and own.status in KEEPS_STOCK:
        return
    under_way = reservation.status == HELD and reservation.age < grace
    whose = f"order is {order.status}, attempt {order.attempt}" if order else "no order"
    if reservation.live and not under_way:
        yield Finding("no-stock-leaks", reservation.path, f"{reservation.status}, {whose}")
    if reservation.status == CONSUMED and own is None:
        yield Finding("shipped-for-an-order", reservation.path, whose)


def _of_order(
    audited: AuditedOrder | Unusable, own: AuditedReservation | None, grace: timedelta
) -> Iterator[Finding]:
    if isinstance(audited, Unusable) or audited.order.of_newer_revision:
        return
    order = audited.order
    status = own.status if own else None
    if own and not own.judged:
        pass
    elif status not in OWN_RESERVATION[order.status]:
        detail = f"is {order.status}, its reservation {status or 'not there'}"
        yield Finding("order-has-its-stock", audited.path, detail)
    elif own and order.status in PRICED and not own.is_priced_as(order):
        yield Finding("order-is-as-reserved", audited.path, "lines or prices differ")
    if order.status in HALF_DONE and audited.age >= grace:
        yield Finding("nothing-half-done", audited.path, f"{order.status} for {audited.age}")
