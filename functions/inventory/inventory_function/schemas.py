"""The shapes of inventory's requests and answers (docs/api.md).

A request body's type says its names and JSON types; its values are checked by ``checked``. What
``Annotated`` adds to a type is for openapi.json.
"""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
from msgspec import UNSET, UnsetType

from functions_common import money
from functions_common.http import problems
from functions_common.http.parsing import Checks, Number
from functions_common.http.schema import (
    Currency,
    Moment,
    Money,
    NextCursor,
    OnSale,
    Units,
    amount,
    entries,
    example,
    identifier,
    text,
    whole,
)
from functions_common.ids import timestamp
from inventory_function.domain import (
    MAX_CONFIRMED,
    MAX_IDS,
    MAX_LINES,
    MAX_PRICE,
    MAX_QUANTITY,
    Adjustment,
    Line,
    Movement,
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    merge,
)

MAX_NAME = 200

ProductId = Annotated[str, identifier("P001")]
ReservationId = Annotated[
    str, identifier("ORDDESCKHDGSADGKKJWAA664EK133.0.B7QD5B2Y3FZV9X1C6M8N4K0TRA")
]
Quantity = Annotated[int, example(2, minimum=1)]
Name = Annotated[str, example("Laptop")]
Reason = Annotated[str, example("delivery")]
Reference = Annotated[str, example("D-17")]
Actor = Annotated[str, example("operator")]
Change = Annotated[int, example(5)]
"""Of one of the three places that a unit can be in."""


class ProductBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, text(MAX_NAME, "Laptop")]
    price: Annotated[Number, amount(MAX_PRICE, 999.99)]
    active: bool | None = None

    def checked(self, currency: str) -> tuple[str, int]:
        """Name, and price in minor units."""
        checks = Checks()
        checks.text(self.name, MAX_NAME, pointer="#/name")
        price = checks.money(self.price, MAX_PRICE, currency, pointer="#/price")
        checks.done()
        return self.name, price


class AdjustmentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    delta: Annotated[
        Number, whole(-MAX_QUANTITY, MAX_QUANTITY, examples=[5], **{"not": {"const": 0}})
    ]
    reason: Annotated[str, text(MAX_NAME, "delivery")]
    reference: Annotated[str, text(MAX_NAME, "D-17")] | None = None
    actor: Annotated[str, text(MAX_NAME, "operator")] | None = None

    def checked(self) -> int:
        """The delta."""
        checks = Checks()
        delta = checks.integer(self.delta, -MAX_QUANTITY, MAX_QUANTITY, pointer="#/delta")
        checks.require(delta, "must not be 0", pointer="#/delta")
        checks.text(self.reason, MAX_NAME, pointer="#/reason")
        if self.reference is not None:
            checks.text(self.reference, MAX_NAME, pointer="#/reference")
        if self.actor is not None:
            checks.text(self.actor, MAX_NAME, pointer="#/actor")
        checks.done()
        return delta


class ReservationLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    product_id: ProductId
    quantity: Annotated[Number, whole(1, MAX_QUANTITY, examples=[2])]


class ReservationBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    items: Annotated[list[ReservationLine], entries(1, MAX_LINES)]

    def checked(self) -> tuple[Line, ...]:
        """The lines, one a product."""
        checks = Checks()
        lines = _lines(self.items, checks, "#/items")
        checks.done()
        return lines


class NamedReservation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    reservation_id: ReservationId
    items: Annotated[list[ReservationLine], entries(1, MAX_LINES)]


class ReserveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    reservations: Annotated[list[NamedReservation], entries(1, MAX_LINES)]

    def checked(self) -> list[tuple[str, tuple[Line, ...]]]:
        """Ids and lines, in the order given."""
        checks = Checks()
        count = f"must have 1 to {MAX_LINES} reservations"
        checks.require(1 <= len(self.reservations) <= MAX_LINES, count, pointer="#/reservations")
        items = sum(len(each.items) for each in self.reservations)
        detail = f"must have at most {MAX_LINES} items in all"
        checks.require(items <= MAX_LINES, detail, pointer="#/reservations")
        checks.done()
        found = []
        for n, each in enumerate(self.reservations):
            place = f"#/reservations/{n}"
            checks.identifier(each.reservation_id, pointer=f"{place}/reservation_id")
            found.append((each.reservation_id, _lines(each.items, checks, f"{place}/items")))
        checks.done()
        return found


class IdsBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    ids: Annotated[list[ReservationId], entries(1, MAX_IDS)]

    def checked(self) -> tuple[str, ...]:
        """The ids, each once."""
        return _ids(self.ids, MAX_IDS)


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    ids: Annotated[list[ReservationId], entries(1, MAX_CONFIRMED)]

    def checked(self) -> tuple[str, ...]:
        """The ids, each once."""
        return _ids(self.ids, MAX_CONFIRMED)


def _ids(ids: list[str], most: int) -> tuple[str, ...]:
    checks = Checks()
    checks.require(1 <= len(ids) <= most, f"must have 1 to {most} ids", pointer="#/ids")
    checks.done()
    for n, reservation_id in enumerate(ids):
        checks.identifier(reservation_id, pointer=f"#/ids/{n}")
    checks.done()
    return tuple(dict.fromkeys(ids))


def _lines(items: list[ReservationLine], checks: Checks, place: str) -> tuple[Line, ...]:
    """One a product."""
    count = f"must have 1 to {MAX_LINES} items"
    if not checks.require(1 <= len(items) <= MAX_LINES, count, pointer=place):
        return ()
    lines = []
    for n, item in enumerate(items):
        checks.identifier(item.product_id, pointer=f"{place}/{n}/product_id")
        quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=f"{place}/{n}/quantity")
        lines.append(Line(item.product_id, quantity))
    merged = merge(lines)
    for line in merged:
        fits = line.quantity <= MAX_QUANTITY
        detail = f"{line.product_id} must not be more than {MAX_QUANTITY:,} in all"
        checks.require(fits, detail, pointer=place)
    return merged


class ProductAnswer(msgspec.Struct, frozen=True, kw_only=True):
    product_id: ProductId
    name: Name
    price: Money
    currency: Currency
    active: OnSale
    available_quantity: Units
    reserved_quantity: Annotated[int, example(2, minimum=0)]
    last_updated: Moment | None

    @classmethod
    def of(cls, product: Product, currency: str) -> Self:
        """``currency``: the shop's."""
        return cls(
            product_id=product.product_id,
            name=product.name,
            price=money.to_wire(product.price, product.currency),
            currency=product.currency,
            active=product.on_sale(currency),
            available_quantity=product.available,
            reserved_quantity=product.reserved,
            last_updated=timestamp(product.updated_at) if product.updated_at else None,
        )


class ProductsAnswer(msgspec.Struct, frozen=True):
    products: list[ProductAnswer]
    next_cursor: NextCursor


class AvailabilityAnswer(msgspec.Struct, frozen=True):
    """Advice only: the next moment it may be otherwise."""

    product_id: ProductId
    requested: Quantity
    available: bool
    available_quantity: Units


class ReservedLine(msgspec.Struct, frozen=True):
    """At the name and price that it was reserved at; later changes do not touch it."""

    product_id: ProductId
    quantity: Quantity
    unit_price: Money
    name: Name


class ReservationAnswer(msgspec.Struct, frozen=True):
    reservation_id: ReservationId
    status: Annotated[str, example("held", enum=[status.value for status in ReservationStatus])]
    currency: Currency
    items: list[ReservedLine]

    @classmethod
    def of(cls, reservation: Reservation) -> Self:
        currency = reservation.currency
        lines = [
            ReservedLine(
                line.product_id,
                line.quantity,
                money.to_wire(line.unit_price, currency),
                line.name,
            )
            for line in reservation.lines
        ]
        return cls(reservation.reservation_id, reservation.status, currency, lines)


class ShortLine(msgspec.Struct, frozen=True):
    product_id: ProductId
    requested: Annotated[int, example(51, minimum=1)]
    available_quantity: Units


class ProblemAnswer(problems.ProblemAnswer, frozen=True, kw_only=True):
    __doc__ = problems.ProblemAnswer.__doc__

    lines: list[ShortLine] | UnsetType = UNSET
    product_ids: list[ProductId] | UnsetType = UNSET


class ReserveAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """As the same reservation asked for alone would have been answered."""

    reservation_id: ReservationId
    status: Annotated[int, example(201, minimum=200, maximum=599)]
    reservation: ReservationAnswer | UnsetType = UNSET
    problem: ProblemAnswer | UnsetType = UNSET


class ReserveAnswers(msgspec.Struct, frozen=True):
    answers: list[ReserveAnswer]


class NotSettled(msgspec.Struct, frozen=True):
    """A reservation that was left as it was. The others of the request are not affected."""

    reservation_id: ReservationId
    problem: ProblemAnswer


class ReservationsAnswer(msgspec.Struct, frozen=True):
    reservations: list[ReservationAnswer]
    problems: list[NotSettled] | UnsetType = UNSET
    """Absent if every reservation could be settled."""


class AdjustmentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    adjustment_id: Annotated[str, example("0C5V7D2K8Q1W3E4R5T6Y7A8B9X")]
    product_id: ProductId
    delta: Change
    reason: Reason
    reference: Reference | None
    actor: Actor
    available_quantity: Units
    """As it left it."""
    created_at: Moment

    @classmethod
    def of(cls, adjustment: Adjustment) -> Self:
        return cls(
            adjustment_id=adjustment.adjustment_id,
            product_id=adjustment.product_id,
            delta=adjustment.delta,
            reason=adjustment.reason,
            reference=adjustment.reference,
            actor=adjustment.actor,
            available_quantity=adjustment.available,
            created_at=timestamp(adjustment.created_at),
        )


class AdjustmentsAnswer(msgspec.Struct, frozen=True):
    adjustments: list[AdjustmentAnswer]
    next_cursor: NextCursor


class MovementAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of the three places that a unit can be in; together they are what is there now."""

    kind: Annotated[str, example("adjusted", enum=[kind.value for kind in MovementKind])]
    at: Moment
    actor: Actor
    reason: Reason
    reference: Reference | None
    available_change: Change
    reserved_change: Change
    shipped_change: Change

    @classmethod
    def of(cls, movement: Movement) -> Self:
        return cls(
            kind=movement.kind,
            at=timestamp(movement.at),
            actor=movement.actor,
            reason=movement.reason,
            reference=movement.reference,
            available_change=movement.available,
            reserved_change=movement.reserved,
            shipped_change=movement.shipped,
        )


class LedgerAnswer(msgspec.Struct, frozen=True):
    entries: list[MovementAnswer]
    next_cursor: NextCursor
