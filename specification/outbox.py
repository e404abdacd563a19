"""The outbox: each order document contains the events that other systems receive.

The write that makes a transition also appends its event to the order's history. A publisher sends
the events in the order of the history, and then records in the document how far it came. Several
publishers may run at the same time, and each one may crash, so the sink may receive an event
several times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import Delivery
from specification.processes import Call, call
from specification.store import deliver, read, record_sent, write

if TYPE_CHECKING:
    from collections.abc import Generator

    from specification.documents import Order
    from specification.processes import Program


class Outbox:
    def save(self, order: Order) -> Generator[Call, bool, bool]:
        """Write the order with the events of its transition: no crash can separate them.

        False: another write came first, or the outcome is unknown. The caller then reads the
        document and decides again.
        """
        return bool((yield Call(write, (order,), best_effort=True)))

    def publish(self, key: str) -> Program:
        """Send the unsent events of an order, then record how many were sent.

        If the sink fails, the publisher stops: a later event must not come first. If the order has
        changed in between, nothing is recorded. ``reconcile`` publishes the rest.
        """
        found = yield from call(read, key)
        if not found or not found.unsent_events:
            return None
        sent = yield from self.send_unsent(found)
        if sent > found.events_sent or sent == len(found.history):
            yield from self.record_sent(found, sent)
        return None

    def send_unsent(self, found: Order) -> Generator[Call, bool, int]:
        """Send each event, until one fails. Returns how many events of the history were sent."""
        for seq, event in enumerate(found.history, 1):
            delivery = Delivery(found.attempt.key, seq, event)
            if seq > found.events_sent and not (yield Call(deliver, (delivery,), best_effort=True)):
                return seq - 1
        return len(found.history)

    def record_sent(self, found: Order, sent: int) -> Generator[Call, bool, bool]:
        """Record it under the version that was read: another event may have come since."""
        return bool((yield Call(record_sent, (found, sent), best_effort=True)))
