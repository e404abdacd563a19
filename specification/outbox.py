"""The outbox: each order document contains the events that other systems receive.

The write that makes a transition also appends its event to the order's history. A publisher sends
the events in the order of the history, and then records in the document how far it came. Several
publishers may run at the same time, and each one may crash, so the sink may receive an event
several times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.documents import Delivery
from specification.processes import Call, Process, call
from specification.store import deliver, read, write

if TYPE_CHECKING:
    from collections.abc import Generator

    from specification.documents import Order
    from specification.processes import Program


class Outbox:
    def save(self, order: Order) -> Generator[Call, bool, bool]:
        """Write the order with the events of its transition: no crash can separate them."""
        return (yield from call(write, order))

    def publish(self, key: str) -> Program:
        """Send the unsent events of an order, then record them as sent.

        If the sink fails, the publisher stops: a later event must not come first. ``reconcile``
        publishes the rest.
        """
        found = yield from call(read, key)
        if not found or not found.unsent_events:
            return None
        if (yield from self.send_unsent(found)) and not (yield from self.record_sent(found)):
            return Process.of(self.publish, key)
        return None

    def send_unsent(self, found: Order) -> Generator[Call, bool, bool]:
        """Send each event, until one fails. False: one has failed."""
        for seq, event in enumerate(found.history, 1):
            delivery = Delivery(found.attempt.key, seq, event)
            if seq > found.events_sent and not (yield Call(deliver, (delivery,), best_effort=True)):
                return False
        return True

    def record_sent(self, found: Order) -> Generator[Call, bool, bool]:
        """Remove the mark, under the version that was read: another event may have come since."""
        return (yield from call(write, found._replace(events_sent=len(found.history))))
