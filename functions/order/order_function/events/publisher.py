"""Publishes the events of orders: an outbox in each order's document (docs/adr/0028).

The write that changes an order also appends its events to the order's history, and marks the order.
A publisher sends the unsent events in their sequence, and then records in the document how far it
came. So a crash between the two repeats events, with the same ids, and loses none.

- In a process of the function, a thread publishes what the process has just written.
- ``reconcile`` publishes what is left: after a crash, or when the sink was unavailable.

A failed event stops only the events of its own order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from functions_common.firestore.errors import StoreError
from functions_common.observability import logs
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from order_function.events.cloud_event import to_request
from order_function.events.sink import SinkError
from order_function.ports import SentEvents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from order_function.domain import Order
    from order_function.events.sink import Sink
    from order_function.ports import Outbox, VersionedOrder

BATCH, BUSY_BATCH = 50, 5
"""Orders that are read, and recorded, in one request each; the second while requests are in
progress, so that they wait less."""
CALL_SECONDS = 5.0
"""For reading or recording one batch."""
MAX_WAITING = 10_000
"""Orders whose events wait in this process. ``reconcile`` publishes those of further orders."""
MAX_FAILURES = 3
PUBLISHING_SHARE = 0.03
"""While requests are in progress, the thread works for this share of the time. A process that is
always busy sends its events late; ``reconcile`` sends those for which there is no room."""
MAX_PAUSE_SECONDS = 5.0
STOP_SECONDS = 3.0
"""How long a process that ends goes on publishing."""


class Published(NamedTuple):
    events: int
    """Events that the sink accepted."""
    orders: int
    """Orders of which the document now says how many events were sent."""
    failures: list[str]


def publish(orders: Iterable[VersionedOrder], outbox: Outbox, sink: Sink) -> Published:
    """Send the unsent events of these orders, each order's in sequence, and record them.

    After ``MAX_FAILURES`` failed orders in a row the sink is taken to be unavailable, and the other
    orders are left.
    """
    failures: list[str] = []
    in_a_row = 0
    sent: list[SentEvents] = []
    for found in orders:
        if in_a_row == MAX_FAILURES:
            break
        events_sent, failure = _send_unsent(found.order, sink)
        if failure is None:
            in_a_row = 0
        else:
            in_a_row += 1
            failures.append(failure)
        if events_sent > found.order.events_sent or failure is None:
            sent.append(SentEvents(found, events_sent))
    recorded = outbox.record_sent(sent, Deadline.after(CALL_SECONDS)) if sent else 0
    accepted = sum(each.events_sent - each.found.order.events_sent for each in sent)
    return Published(accepted, recorded, failures)


def _send_unsent(order: Order, sink: Sink) -> tuple[int, str | None]:
    """How many events of the history are sent now, and why the next one is not."""
    for seq in range(order.events_sent + 1, len(order.history) + 1):
        try:
            sink.send(to_request(order, seq))
        except SinkError as error:
            return seq - 1, f"{order.order_id}.{seq}: {error}"[:300]
    return len(order.history), None


class PublisherThread:
    """Publishes the events of the orders that this process has changed."""

    def __init__(self, outbox: Outbox, sink: Sink) -> None:
        self._outbox, self._sink = outbox, sink
        self._in_progress = 0
        """Requests that the process works on. The thread gives way to them."""
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def add(self, order_id: str) -> None:
        """Publish the events of this order soon. Never blocks, and never fails."""
        with self._changed:
            if self._stopping or len(self._waiting) >= MAX_WAITING:
                return
            self._waiting.append(order_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
            self._changed.notify()

    def request_begins(self) -> None:
        with self._changed:
            self._in_progress += 1

    def request_ends(self, _error: BaseException | None = None) -> None:
        with self._changed:
            self._in_progress -= 1

    def stop(self) -> None:
        """Publish what waits, for at most ``STOP_SECONDS``. ``reconcile`` publishes the rest."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while batch := self._next_batch():
            began = time.monotonic()
            self._publish(batch)
            self._give_way(time.monotonic() - began)

    def _next_batch(self) -> list[str]:
        """The next orders, each once. Empty if the process ends and none waits."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            size = BUSY_BATCH if self._in_progress else BATCH
            taken = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        return [*dict.fromkeys(taken)]

    def _publish(self, batch: Collection[str]) -> None:
        try:
            found = self._outbox.read(batch, Deadline.after(CALL_SECONDS))
            published = publish(found, self._outbox, self._sink)
        except (StoreError, DeadlineExceededError) as error:
            _log_failure(str(error))
        except Exception as error:  # noqa: BLE001 - the thread must not end
            logs.exception("Unexpected error", error)
        else:
            for failure in published.failures[:1]:
                _log_failure(failure, len(published.failures))

    def _give_way(self, worked: float) -> None:
        pause = min(worked * (1 / PUBLISHING_SHARE - 1), MAX_PAUSE_SECONDS)
        until = time.monotonic() + pause
        while self._in_progress and not self._stopping:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))


def _log_failure(reason: str, orders: int = 1) -> None:
    logs.event(
        "Events not published; reconcile publishes them later",
        severity=logging.WARNING,
        reason=reason,
        orders=orders,
    )
