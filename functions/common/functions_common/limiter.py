"""A concurrency limiter with a fair queue, for requests that list documents.

A page of 200 documents takes as much processor time as dozens of orders. Without a limit, two dozen
list requests share the processor so evenly that none finishes before its deadline, and every order
waits for all of them. Requests that write data do not use the limiter.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from functions_common.observability import activity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions_common.runtime.deadlines import Deadline

MAX_CONCURRENT, MAX_WAITING = 2, 16
COOLDOWN_FACTOR = 2
"""A slot stays unused after each use, for this multiple of the time that it was in use."""
MAX_COOLDOWN_SECONDS = 0.5
MAX_WAIT_FRACTION = 0.8
"""A request waits for a slot for at most this part of its remaining time, since the list itself
needs the rest."""


class TooManyListRequestsError(Exception):
    """The request got no slot, and nothing was read. Clients see the message."""


@dataclass(slots=True)
class _Slot:
    """A slot, or a place in the queue for one."""

    usable_at: float = 0.0
    """On the monotonic clock. Valid once ``granted`` is set."""
    granted: threading.Event = field(default_factory=threading.Event)


class ConcurrencyLimiter:
    """Grants a limited number of slots, in order of arrival.

    A slot has a cooldown after each use: COOLDOWN_FACTOR times the time in use, at most
    MAX_COOLDOWN_SECONDS. So a continuous series of list requests leaves most of the time to orders,
    however fast the database is. benchmarks/readers measures this.
    """

    def __init__(
        self,
        max_waiting: int = MAX_WAITING,
        max_concurrent: int = MAX_CONCURRENT,
        *,
        cooldown: bool = True,
    ) -> None:
        self._max_concurrent = max_concurrent
        self._max_waiting = max_waiting
        self._cooldown = cooldown
        self._lock = threading.Lock()
        self._free = [0.0] * max_concurrent
        """A heap: for each free slot, the time from which it is usable."""
        self._waiting: deque[_Slot] = deque()

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a slot."""
        return len(self._waiting)

    @property
    def max_threads(self) -> int:
        """The most threads that hold a slot or wait for one."""
        return self._max_concurrent + self._max_waiting

    @contextmanager
    def slot(self, deadline: Deadline) -> Iterator[None]:
        """Wait for a slot and hold it for the block. Raises TooManyListRequestsError."""
        self._wait(self._enqueue(), deadline.fraction(MAX_WAIT_FRACTION))
        acquired_at = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            seconds = min(COOLDOWN_FACTOR * (now - acquired_at), MAX_COOLDOWN_SECONDS)
            with self._lock:
                self._release(now + seconds if self._cooldown else now)

    def _enqueue(self) -> _Slot:
        slot = _Slot()
        with self._lock:
            if self._free:
                slot.usable_at = heapq.heappop(self._free)
                slot.granted.set()
            elif len(self._waiting) < self._max_waiting:
                self._waiting.append(slot)
            else:
                waiting = f"{len(self._waiting)} are waiting already"
                raise TooManyListRequestsError(f"Too many concurrent list requests: {waiting}")
        return slot

    def _wait(self, slot: _Slot, until: Deadline) -> None:
        began = time.monotonic()
        if slot.granted.is_set() and slot.usable_at <= began:
            return
        with activity.part("queue"):
            if slot.granted.wait(until.remaining):
                pause = max(0.0, slot.usable_at - time.monotonic())
                time.sleep(min(pause, until.remaining))
            if slot.granted.is_set() and time.monotonic() >= slot.usable_at:
                return
        self._give_up(slot)
        waited = f"this one waited {time.monotonic() - began:.1f} s"
        raise TooManyListRequestsError(f"Too many concurrent list requests: {waited}")

    def _give_up(self, slot: _Slot) -> None:
        with self._lock:
            if slot.granted.is_set():
                self._release(slot.usable_at)
            else:
                self._waiting.remove(slot)

    def _release(self, usable_at: float) -> None:
        """Grant the slot to the request that has waited longest, if one waits."""
        if self._waiting:
            slot = self._waiting.popleft()
            slot.usable_at = usable_at
            slot.granted.set()
        else:
            heapq.heappush(self._free, usable_at)


def firestore_list_limiter(concurrency: int) -> ConcurrencyLimiter:
    """The limiter of lists that this process reads from Firestore.

    The limit leaves most of the server's ``concurrency`` threads free for orders.
    """
    return ConcurrencyLimiter(max(1, concurrency // 4))


def forwarded_list_limiter(concurrency: int) -> ConcurrencyLimiter:
    """The limiter of lists that this process requests from another function.

    It has no cooldown, because the other function's limiter has one.
    """
    few = max(1, concurrency // 8)
    return ConcurrencyLimiter(few, few, cooldown=False)
