"""The shapes of inventory's requests and answers (docs/api.md).

A request body's type says its names and JSON types; its values are checked by ``checked``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from functions_common import money
from functions_common.encoding import timestamp
from functions_common.parsing import Checks, Number
from inventory_function.domain import (
    MAX_IDS,
    MAX_LINES,
    MAX_PRICE,
    MAX_QUANTITY,
    Adjustment,
    Line,
    Movement,
    Product,
    Reservation,
    merge,
)

if TYPE_CHECKING:
    from decimal import Decimal

MAX_NAME = 200


class ProductBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    price: Number
    active: bool | None = None

    def checked(self, currency: str) -> tuple[str, int]:
        """Name, and price in minor units."""
        checks = Checks()
        checks.text(self.name, MAX_NAME, pointer="#/name")
        price = checks.money(self.price, MAX_PRICE, currency, pointer="#/price")
        checks.done()
        return self.name, price


class AdjustmentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    delta: Number
    reason: str
    reference: str | None = None
    actor: str | None = None

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
    product_id: str
    quantity: Number


class ReservationBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    items: list[ReservationLine]

    def checked(self) -> tuple[Line, ...]:
        """The lines, one a product."""
        checks = Checks()
        count = f"must have 1 to {MAX_LINES} items"
        checks.require(1 <= len(self.items) <= MAX_LINES, count, pointer="#/items")
        checks.done()
        lines = []
        for n, item in enumerate(self.items):
            checks.identifier(item.product_id, pointer=f"#/items/{n}/product_id")
            place = f"#/items/{n}/quantity"
            quantity = checks.integer(item.quantity, 1, MAX_QUANTITY, pointer=place)
            lines.append(Line(item.product_id, quantity))
        merged = merge(lines)
        for line in merged:
            fits = line.quantity <= MAX_QUANTITY
            detail = f"{line.product_id} must not be more than {MAX_QUANTITY:,} in all"
            checks.require(fits, detail, pointer="#/items")
        checks.done()
        return merged


class IdsBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    ids: list[str]

    def checked(self) -> tuple[str, ...]:
        """The ids, each once."""
        checks = Checks()
        count = f"must have 1 to {MAX_IDS} ids"
        checks.require(1 <= len(self.ids) <= MAX_IDS, count, pointer="#/ids")
        checks.done()
        for n, reservation_id in enumerate(self.ids):
            checks.identifier(reservation_id, pointer=f"#/ids/{n}")
        checks.done()
        return tuple(dict.fromkeys(self.ids))


def product_answer(product: Product) -> dict[str, Any]:
    return {
        "product_id": product.product_id,
        "name": product.name,
        "price": _amount(product.price, product.currency),
        "currency": product.currency,
        "active": product.active,
        "available_quantity": product.available,
        "reserved_quantity": product.reserved,
        "last_updated": timestamp(product.updated_at) if product.updated_at else None,
    }


def reservation_answer(reservation: Reservation) -> dict[str, Any]:
    return {
        "reservation_id": reservation.reservation_id,
        "status": reservation.status,
        "currency": reservation.currency,
        "items": [
            {
                "product_id": line.product_id,
                "quantity": line.quantity,
                "unit_price": _amount(line.unit_price, reservation.currency),
                "name": line.name,
            }
            for line in reservation.lines
        ],
    }


def adjustment_answer(adjustment: Adjustment) -> dict[str, Any]:
    return {
        "adjustment_id": adjustment.adjustment_id,
        "product_id": adjustment.product_id,
        "delta": adjustment.delta,
        "reason": adjustment.reason,
        "reference": adjustment.reference,
        "actor": adjustment.actor,
        "available_quantity": adjustment.available,
        "created_at": timestamp(adjustment.created_at),
    }


def movement_answer(movement: Movement) -> dict[str, Any]:
    """Changes of the three places that a unit can be in; together they are what is there now."""
    return {
        "kind": movement.kind,
        "at": timestamp(movement.at),
        "actor": movement.actor,
        "reason": movement.reason,
        "reference": movement.reference,
        "available_change": movement.available,
        "reserved_change": movement.reserved,
        "shipped_change": movement.shipped,
    }


def _amount(minor: int, currency: str) -> Decimal:
    return money.to_wire(minor, currency)
