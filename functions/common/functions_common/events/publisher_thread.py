"""Publishes events that are stored in the database, beside the requests of a process.

The write that makes a change also stores its event. A publisher sends the event, and then records
that it was sent. So a crash between the two repeats the event, with the same id, and loses none.

- In a process of a function, a thread publishes the events that the process has just written.
- ``reconcile`` publishes what is left: after a crash, or when the sink was unavailable.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from flask import g

from functions_common.events.sending import BATCH
from functions_common.firestore.errors import StoreError
from functions_common.observability import logs
from functions_common.runtime.deadlines import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from flask import Flask

    from functions_common.events.sending import Published

H = TypeVar("H", bound="Hashable")

BUSY_BATCH = 5
"""Takes the place of ``BATCH`` while requests are in progress, so that they wait less."""
MAX_QUEUED_ITEMS = 10_000
"""The most documents in the queue. Further ones are dropped, and ``reconcile`` publishes their
events."""
PUBLISHING_SHARE = 0.03
"""While requests are in progress, the thread works for this share of the time. So a process that is
always busy sends its events late."""
MAX_PAUSE_SECONDS = 5.0
STOP_SECONDS = 3.0
"""How long a process that ends goes on publishing."""


class PublisherThread(Generic[H]):
    """Publishes the events that this process has written."""

    def __init__(self, publish: Callable[[Sequence[H]], Published]) -> None:
        """``publish``: publishes the events of items that were added, as ``add`` got them."""
        self._publish = publish
        self.requests_in_progress = 0
        """Requests that the process is working on. The thread gives way to them."""
        self._queue: deque[H] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def add(self, item: H) -> None:
        """Publish the events of this item soon. Never blocks, and never fails."""
        with self._changed:
            if self._stopping or len(self._queue) >= MAX_QUEUED_ITEMS:
                return
            self._queue.append(item)
            if self._thread is None:
                self._start()
            self._changed.notify()

    def _start(self) -> None:
        """Start the thread. If the system has no room for one, the next ``add`` tries again."""
        thread = threading.Thread(target=self._run, name="events", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            _log_failure(str(error))
        else:
            self._thread = thread

    def attach(self, app: Flask) -> None:
        """Give way to the requests of this application, and stop when the process ends."""

        def begin() -> None:
            self.request_begins()
            g.publisher_gives_way = True

        def end(_error: BaseException | None) -> None:
            # Flask calls this too for a request that was rejected before ``begin``.
            if g.pop("publisher_gives_way", False):
                self.request_ends()

        app.before_request(begin)
        app.teardown_request(end)
        atexit.register(self.stop)

    def request_begins(self) -> None:
        with self._changed:
            self.requests_in_progress += 1

    def request_ends(self) -> None:
        with self._changed:
            self.requests_in_progress -= 1

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
            self._publish_batch(batch)
            self._give_way(time.monotonic() - began)

    def _next_batch(self) -> list[H]:
        """The next items, each once. Empty if the process ends and none waits."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            size = BUSY_BATCH if self.requests_in_progress else BATCH
            taken = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
        return [*dict.fromkeys(taken)]

    def _publish_batch(self, batch: Sequence[H]) -> None:
        try:
            published = self._publish(batch)
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
        while self.requests_in_progress and not self._stopping:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))


def _log_failure(reason: str, failures: int = 1) -> None:
    logs.event(
        "Events not published; reconcile publishes them later",
        severity=logging.WARNING,
        reason=reason,
        failures=failures,
    )
