"""The CloudEvent of an event of an order.

All data comes from the event itself, and from the order's facts that never change. So a repeated
delivery is the same as the first. The exception is an erased customer: an event that is sent after
the erasure has no personal data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from functions_common.events import cloud_event
from functions_common.events.cloud_event import Attributes
from functions_common.ids import timestamp

if TYPE_CHECKING:
    from functions_common.events.cloud_event import EventRequest
    from order_function.domain import Event, Order

SOURCE = "/orders"
TYPE_PREFIX = "order."


class _Item(msgspec.Struct, frozen=True):
    line_id: str
    product_id: str
    quantity: int


class _Data(msgspec.Struct, frozen=True, omit_defaults=True):
    order_id: str
    customer_id: str
    seq: int
    type: str
    at: str
    actor: str
    items: list[_Item]
    reason: str | None = None
    reference: str | None = None


def to_request(order: Order, seq: int) -> EventRequest:
    """``seq``: the place of the event in the order's history, counted from 1."""
    event = order.history[seq - 1]
    event_id = f"{order.order_id}.{seq}"
    data = _Data(
        order.order_id,
        order.customer_id,
        seq,
        str(event.type),
        timestamp(event.at),
        event.actor,
        _items(order, event),
        event.reason,
        order.details.reference,
    )
    attributes = Attributes(
        event_id, SOURCE, f"{TYPE_PREFIX}{event.type}", order.order_id, event.at
    )
    return cloud_event.to_request(attributes, data, sequence=seq)


def _items(order: Order, event: Event) -> list[_Item]:
    """The units that the event is about: all that were ordered, if it names none."""
    quantities = {line.product_id: line.quantity for line in event.lines or order.lines}
    return [
        _Item(line_id, line.product_id, quantities[line.product_id])
        for line_id, line in order.lines_by_id()
        if line.product_id in quantities
    ]
