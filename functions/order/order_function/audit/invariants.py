"""The invariants between orders, reservations and stock. They hold at every moment.

Orders and reservations are read as two streams, sorted by id. A reservation's id begins with the id
of its order, so the two streams are merged without holding them in memory. Only the totals of each
product are kept.

A damaged document is a finding of its own, and is left out of the other checks. A document with a
status that only a newer revision knows is left out as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from order_function.domain import MOVING_STATUSES, PricedLine, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import timedelta

    from order_function.domain import Order, ReservationName


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation of an invariant. ``audit`` reports it if two snapshots show it."""

    invariant: str
    subject: str
    """The path of the document."""
    detail: str


@dataclass(frozen=True, slots=True)
class DamagedDocument:
    """Takes the place of an order or a product. The damage is reported already."""

    id: str


@dataclass(frozen=True, slots=True)
class AuditedProduct:
    product_id: str
    available: int
    reserved: int
    shipped: int


@dataclass(frozen=True, slots=True)
class MovedUnits:
    """The units of one line of a reservation that have moved."""

    released: int = 0
    consumed: int = 0
    returned: int = 0
    """Consumed units that came back."""

    @property
    def shipped(self) -> int:
        return self.consumed - self.returned

    def fits(self, quantity: int) -> bool:
        """Whether a line of this quantity can have these counts."""
        rest = quantity - self.released - self.consumed
        return min(self.released, self.consumed, self.returned, self.shipped, rest) >= 0


@dataclass(frozen=True, slots=True)
class AuditedReservation:
    reservation_id: str
    name: ReservationName | None
    status: str
    """Possibly a status of a newer revision; empty if the document is damaged."""
    currency: str
    items: tuple[PricedLine, ...]
    age: timedelta
    counts: Mapping[str, MovedUnits] = field(default_factory=dict)
    """By product, as stored: ``moved`` completes them."""

    @property
    def path(self) -> str:
        return f"reservations/{self.reservation_id}"

    @property
    def has_known_status(self) -> bool:
        return self.status in KNOWN

    @property
    def live(self) -> bool:
        return self.status in LIVE

    def moved(self, item: PricedLine) -> MovedUnits:
        """The units of this line that have moved.

        A reservation that was released or consumed as a whole has no counts, and neither has one of
        an older revision. Its status then applies to all units without a count.
        """
        stored = self.counts.get(item.product_id, MovedUnits())
        rest = item.quantity - stored.released - stored.consumed
        if self.status == RELEASED:
            return replace(stored, released=stored.released + rest)
        if self.status == CONSUMED:
            return replace(stored, consumed=stored.consumed + rest)
        return stored

    def reserved_units(self, item: PricedLine) -> int:
        """The units of this line that count as reserved."""
        moved = self.moved(item)
        return item.quantity - moved.released - moved.consumed

    def is_priced_as(self, order: Order) -> bool:
        items = tuple(sorted(order.items, key=lambda item: item.product_id))
        return (self.items, self.currency) == (items, order.currency)

    def is_counted_as(self, order: Order) -> bool:
        moved = {item.product_id: self.moved(item) for item in self.items}
        return all(
            moved.get(line.product_id) == MovedUnits(line.cancelled, line.fulfilled, line.returned)
            for line in order.lines
        )


@dataclass(frozen=True, slots=True)
class AuditedOrder:
    order: Order
    age: timedelta
    """Since its last change."""

    @property
    def id(self) -> str:
        return self.order.order_id

    @property
    def path(self) -> str:
        return f"orders/{self.order.order_id}"


HELD, CONFIRMED, PARTIAL = "held", "confirmed", "partial"
RELEASED, CONSUMED = "released", "consumed"
KNOWN = frozenset((HELD, CONFIRMED, PARTIAL, RELEASED, CONSUMED))
LIVE = frozenset((HELD, CONFIRMED, PARTIAL))
"""Reservations with units that are counted as reserved."""

OWN_RESERVATION: dict[str, frozenset[str | None]] = {
    Status.PENDING: frozenset((None, HELD)),
    Status.AWAITING_PAYMENT: frozenset((HELD, CONFIRMED)),
    Status.CONFIRMED: LIVE,
    Status.CHANGING: frozenset((HELD, CONFIRMED, PARTIAL, RELEASED, CONSUMED)),
    Status.PARTIALLY_FULFILLED: frozenset((PARTIAL,)),
    Status.CANCELLING: frozenset((None, HELD, CONFIRMED, PARTIAL, RELEASED)),
    Status.CANCELLED: frozenset((RELEASED,)),
    Status.FULFILLING: frozenset((HELD, CONFIRMED, PARTIAL, CONSUMED)),
    Status.FULFILLED: frozenset((CONSUMED,)),
    Status.REJECTED: frozenset((None, HELD, RELEASED)),
    Status.ABANDONED: frozenset((None, HELD, RELEASED)),
}
"""The allowed statuses of an order's own reservation. None: there is no reservation."""

UNFINISHED = frozenset((Status.PENDING, *MOVING_STATUSES))
COUNTED = frozenset(
    (Status.CONFIRMED, Status.PARTIALLY_FULFILLED, Status.FULFILLED, Status.CANCELLED)
)
"""Statuses in which the counts of an order's lines are those of its reservation."""
PRICED = frozenset(
    (
        Status.AWAITING_PAYMENT,
        Status.CONFIRMED,
        Status.CHANGING,
        Status.PARTIALLY_FULFILLED,
        Status.FULFILLING,
        Status.FULFILLED,
    )
)
MAY_HAVE_STOCK = PRICED - {Status.FULFILLED} | {Status.PENDING, Status.CANCELLING}


@dataclass(slots=True)
class _ProductTotals:
    """The totals of one product, from the documents that change its stock."""

    adjusted: int = 0
    reserved: int = 0
    shipped: int = 0
    first_reservation_path: str = field(default="", compare=False)
    """The path of the first live reservation."""
    all_adjustments: bool = field(default=True, compare=False)
    """False if an adjustment is damaged: the total is then unknown."""
    all_reservations: bool = field(default=True, compare=False)


class StockTotals:
    """Adds up the reservations and adjustments of each product."""

    def __init__(self) -> None:
        self._sums: dict[str, _ProductTotals] = {}

    def add_adjustment(self, product_id: str, delta: int | None) -> None:
        """``delta``: None if the adjustment is damaged."""
        sums = self._of(product_id)
        if delta is None:
            sums.all_adjustments = False
        else:
            sums.adjusted += delta

    def add_reservation(self, reservation: AuditedReservation) -> None:
        for item in reservation.items:
            sums = self._of(item.product_id)
            if not reservation.has_known_status:
                sums.all_reservations = False
                continue
            sums.shipped += reservation.moved(item).shipped
            if held := reservation.reserved_units(item):
                sums.reserved += held
                sums.first_reservation_path = sums.first_reservation_path or reservation.path

    def check_products(
        self, products: Iterable[AuditedProduct | DamagedDocument]
    ) -> Iterator[Finding]:
        """Compare every product with its totals. Then report totals of missing products."""
        for product in products:
            if isinstance(product, DamagedDocument):
                self._sums.pop(product.id, None)
            else:
                yield from _check_product(
                    product, self._sums.pop(product.product_id, _ProductTotals())
                )
        for product_id, sums in self._sums.items():
            if sums != _ProductTotals():
                detail = (
                    f"does not exist: adjusted = {sums.adjusted}, reserved = {sums.reserved} (first"
                    f" by {sums.first_reservation_path or 'nothing'}), shipped = {sums.shipped}"
                )
                yield Finding("product-exists", f"products/{product_id}", detail)

    def _of(self, product_id: str) -> _ProductTotals:
        return self._sums.setdefault(product_id, _ProductTotals())


def _check_product(product: AuditedProduct, sums: _ProductTotals) -> Iterator[Finding]:
    path = f"products/{product.product_id}"
    if min(product.available, product.reserved, product.shipped) < 0:
        yield Finding("stock-not-negative", path, f"{product}")
    total = product.available + product.reserved + product.shipped
    if sums.all_adjustments and total != sums.adjusted:
        detail = f"available + reserved + shipped = {total}, sum of adjustments = {sums.adjusted}"
        yield Finding("stock-adds-up", path, detail)
    if sums.all_reservations and product.reserved != sums.reserved:
        detail = f"reserved = {product.reserved}, live reservations hold {sums.reserved}"
        yield Finding("reserved-is-held", path, detail)
    if sums.all_reservations and product.shipped != sums.shipped:
        detail = f"shipped = {product.shipped}, reservations have shipped {sums.shipped}"
        yield Finding("shipped-was-consumed", path, detail)


def check_orders(
    orders: Iterator[AuditedOrder | DamagedDocument],
    reservations: Iterable[AuditedReservation],
    totals: StockTotals,
    grace: timedelta,
) -> Iterator[Finding]:
    """Check both streams, which are sorted by id.

    ``grace``: younger reservations and changes may still be in progress.
    """
    current = next(orders, None)
    own: AuditedReservation | None = None
    for reservation in reservations:
        totals.add_reservation(reservation)
        name = reservation.name
        if name is not None:
            while current is not None and current.id < name.order_id:
                yield from _check_order(current, own, grace)
                current, own = next(orders, None), None
        belongs = name is not None and current and current.id == name.order_id
        owner = current if belongs else None
        if _is_own(reservation, owner):
            own = reservation
        yield from _check_reservation(reservation, owner, grace)
    while current is not None:
        yield from _check_order(current, own, grace)
        current, own = next(orders, None), None


def _is_own(reservation: AuditedReservation, owner: AuditedOrder | DamagedDocument | None) -> bool:
    if not isinstance(owner, AuditedOrder):
        return False
    return owner.order.reservation_id == reservation.reservation_id


def _check_reservation(
    reservation: AuditedReservation, owner: AuditedOrder | DamagedDocument | None, grace: timedelta
) -> Iterator[Finding]:
    """A live reservation belongs to an order. A young held one may still become an order."""
    if isinstance(owner, DamagedDocument) or (owner and owner.order.of_newer_revision):
        return
    order = owner.order if owner else None
    own = order if order and order.reservation_id == reservation.reservation_id else None
    if own and own.status in MAY_HAVE_STOCK:
        return
    in_progress = reservation.status == HELD and reservation.age < grace
    whose = f"order is {order.status}, attempt {order.attempt_number}" if order else "no order"
    if reservation.live and not in_progress:
        yield Finding("no-stock-leaks", reservation.path, f"{reservation.status}, {whose}")
    if reservation.status == CONSUMED and own is None:
        yield Finding("shipped-for-an-order", reservation.path, whose)


def _check_order(
    audited: AuditedOrder | DamagedDocument, own: AuditedReservation | None, grace: timedelta
) -> Iterator[Finding]:
    if isinstance(audited, DamagedDocument) or audited.order.of_newer_revision:
        return
    order = audited.order
    status = own.status if own else None
    if own and not own.has_known_status:
        pass
    elif status not in _allowed_reservation(order):
        detail = f"is {order.status}, its reservation {status or 'missing'}"
        yield Finding("order-has-its-stock", audited.path, detail)
    elif own and order.status in PRICED and not own.is_priced_as(order):
        yield Finding(
            "order-is-as-reserved",
            audited.path,
            "its lines or prices differ from those of its reservation",
        )
    elif own and own.items and order.status in COUNTED and not own.is_counted_as(order):
        yield Finding(
            "order-counts-as-reserved",
            audited.path,
            "its cancelled, fulfilled or returned units differ from those of its reservation",
        )
    if order.status in UNFINISHED and audited.age >= grace:
        yield Finding("nothing-half-done", audited.path, f"{order.status} for {audited.age}")


def _allowed_reservation(order: Order) -> frozenset[str | None]:
    allowed = OWN_RESERVATION[order.status]
    if order.status is Status.CANCELLING and any(line.fulfilled for line in order.lines):
        return allowed | {CONSUMED}  # the rest of the units is cancelled
    return allowed
