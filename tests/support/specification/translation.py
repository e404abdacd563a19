"""The documents of the specification, as the code has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from specification.documents import Attempt, Body, EventType, OrderStatus, Status

from functions_common.ids import digest_id
from order_function import domain as order
from support.stores.builders import BY

if TYPE_CHECKING:
    from specification import documents as spec

NOW = datetime(2020, 1, 1, tzinfo=UTC)
"""When every order was placed: each payment is overdue."""
HOLD_SECONDS = 60
LINE_CHANGES = (EventType.LINE_CANCELLED, EventType.LINE_FULFILLED, EventType.LINE_RETURNED)
REJECTIONS = {
    "insufficient-stock": Status.SHORT,
    "reservation-released": Status.SHORT,
    order.order.PRICE_CHANGED: Status.PRICE_CHANGED,
}
"""The status of each kind of rejection."""


@cache
def real_attempt(attempt: Attempt) -> order.Attempt:
    """Bodies differ in their note: the model has only one product."""
    body = attempt.body
    begun = order.Attempt.begin(
        "C1",
        [order.Line("P001", body.units)],
        attempt.key,
        body.expected_total or None,
        HOLD_SECONDS if body.hold else None,
        order.Details(note=body.name),
    )
    return replace(begun, number=attempt.number, keyed=attempt.keyed)


@cache
def order_id(key: str) -> str:
    return real_attempt(Attempt(key, 0, Body("x"))).order_id


@cache
def real_order(found: spec.Order) -> order.Order:
    attempt = real_attempt(found.attempt)
    if found.status is OrderStatus.ABANDONED:
        name = order.ReservationName.parse(attempt.reservation_id)
        assert name is not None
        return order.Order.new_abandoned_mark(name, NOW)
    line = order.Line("P001", found.attempt.body.units, *found.moved)
    item = order.PricedLine("P001", found.attempt.body.units, found.price, "Laptop")
    return replace(
        order.Order.new_pending(attempt, NOW),
        status=order.Status(found.status),
        lines=(line,),
        items=(item,) if found.price else (),
        currency="USD" if found.price else None,
        rejection=real_rejection(found.rejection),
        expired=found.expired,
        movement=real_movement(found),
        last_movement=found.last_movement,
        history=tuple(real_event(found, event) for event in found.history),
        events_sent=found.events_sent,
    )


def real_rejection(status: Status | None) -> order.Rejection | None:
    if status is None:
        return None
    kind = next(kind for kind, rejection in REJECTIONS.items() if rejection is status)
    extensions = {"total_price": 2, "currency": "USD"} if status is Status.PRICE_CHANGED else {}
    return order.Rejection(kind, "Short", extensions)


def real_movement(found: spec.Order) -> order.Movement | None:
    """The code also stores who begins a movement of all units. The model needs no such thing."""
    if found.movement is None:
        return None
    seq, change = found.movement
    lines = (order.Line("P001", change.units),)
    key = key_digest(found, change.request)
    return order.Movement(order.MovementKind(change.kind), *BY, seq, lines, key)


def real_event(found: spec.Order, event: spec.Event) -> order.Event:
    lines = (order.Line("P001", sum(event.moved)),) if event.type in LINE_CHANGES else ()
    key = key_digest(found, event.request) if event.request else None
    return order.Event(order.EventType(event.type), NOW, *BY, lines=lines, key=key)


def key_digest(found: spec.Order, request: str) -> str:
    return digest_id(order_id(found.attempt.key), request)


def described(found: order.Order) -> dict[str, Any]:
    """The parts of an order that the specification has as well."""
    open_movement = found.movement if found.movement and found.movement.number else None
    return {
        "reservation": found.reservation_id,
        "status": str(found.status),
        "rejection": found.rejection and REJECTIONS[found.rejection.kind],
        "counts": [(line.cancelled, line.fulfilled, line.returned) for line in found.lines],
        "movement": open_movement
        and (open_movement.number, open_movement.kind, open_movement.lines, open_movement.key),
        "last_movement": found.last_movement,
        "expired": found.expired,
        "history": [(str(event.type), event.lines, event.key) for event in found.history],
        "price": [item.unit_price for item in found.items],
        "events_sent": found.events_sent,
    }
