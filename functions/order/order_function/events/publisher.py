"""Publishes the events of orders: an outbox in each order's document (docs/adr/0028).

The write that changes an order also appends its events to the order's history, and marks the order.
A publisher sends the unsent events in their sequence, and then records in the document how many
were sent. If the sink rejects an event, only the later events of the same order wait. If it is
unavailable, the publisher stops, see ``send_each``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from functions_common.events.sending import (
    CALL_SECONDS,
    Published,
    SinkError,
    record_sent,
    send_each,
    try_to_send,
)
from functions_common.runtime.deadlines import Deadline
from order_function.events.cloud_event import to_request
from order_function.ports import SentEvents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from functions_common.events.sink import Sink
    from order_function.domain import Order
    from order_function.ports import Outbox, VersionedOrder


def publish_by_id(outbox: Outbox, sink: Sink, order_ids: Collection[str]) -> Published:
    """Read these orders, and publish their unsent events."""
    return publish(outbox, sink, outbox.read(order_ids, Deadline.after(CALL_SECONDS)))


def publish(outbox: Outbox, sink: Sink, orders: Iterable[VersionedOrder]) -> Published:
    """Send the unsent events of these orders, each order's in sequence, and record them."""
    sent: list[SentEvents] = []

    def send(found: VersionedOrder) -> SinkError | None:
        events_sent, error = _send_unsent(found.order, sink)
        if events_sent > found.order.events_sent or error is None:
            sent.append(SentEvents(found, events_sent))
        return error

    failures, unavailable = send_each(orders, send)
    recorded = record_sent(sent, outbox.record_sent, failures)
    accepted = sum(each.events_sent - each.found.order.events_sent for each in sent)
    return Published(accepted, recorded, failures, unavailable)


def _send_unsent(order: Order, sink: Sink) -> tuple[int, SinkError | None]:
    """How many events of the history are sent now, and why the next one is not."""
    for seq in range(order.events_sent + 1, len(order.history) + 1):
        event = f"{order.order_id}.{seq}"
        error = try_to_send(event, sink.send, partial(to_request, order, seq))
        if error is not None:
            return seq - 1, error
    return len(order.history), None
