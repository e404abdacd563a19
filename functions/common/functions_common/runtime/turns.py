"""Lists take turns: a few are read concurrently, and the others wait in order of arrival.

A page of 200 documents takes as much processor time as dozens of orders. Without turns, two dozen
readers share the processor so evenly that none finishes before its deadline, and every order waits
for all of them. Requests that write take no turn.
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

AT_ONCE, MOST_WAITING = 2, 16
REST = 2
"""How long a turn is unavailable after use, as a multiple of the time that it was used."""
LONGEST_REST = 0.5
"""Seconds."""
PATIENCE = 0.8
"""The part of the time left that a request may wait for its turn; the list needs the rest."""


class TooManyListsError(Exception):
    """The request got no turn, and nothing was read. The text is for the client."""


@dataclass(slots=True)
class _Turn:
    begins: float = 0.0
    """On the monotonic clock; valid once ``came`` is set."""
    came: threading.Event = field(default_factory=threading.Event)


class Turns:
    """First come, first served.

    After use, a turn is unavailable for as long as it was used times REST, but no longer than
    LONGEST_REST. So lists that follow each other without a pause leave most of the time to orders,
    at any speed of the database; benchmarks/readers measures it.
    """

    def __init__(
        self, most_waiting: int = MOST_WAITING, at_once: int = AT_ONCE, *, rests: bool = True
    ) -> None:
        self._most_waiting = most_waiting
        self._rests = rests
        self._lock = threading.Lock()
        self._free = [0.0] * at_once
        """When each may begin; a heap."""
        self._waiting: deque[_Turn] = deque()

    @contextmanager
    def take(self, deadline: Deadline) -> Iterator[None]:
        """Wait for a turn and hold it for the block. Raises TooManyListsError if there is none."""
        self._wait(self._line_up(), deadline.share(PATIENCE))
        began = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            rest = min(REST * (now - began), LONGEST_REST) if self._rests else 0.0
            with self._lock:
                self._pass_on(now + rest)

    def _line_up(self) -> _Turn:
        turn = _Turn()
        with self._lock:
            if self._free:
                turn.begins = heapq.heappop(self._free)
                turn.came.set()
            elif len(self._waiting) < self._most_waiting:
                self._waiting.append(turn)
            else:
                waiting = f"{len(self._waiting)} wait for a turn already"
                raise TooManyListsError(f"Too many list requests at once: {waiting}")
        return turn

    def _wait(self, turn: _Turn, until: Deadline) -> None:
        began = time.monotonic()
        if turn.came.is_set() and turn.begins <= began:
            return
        with activity.part("queue"):
            if turn.came.wait(until.remaining):
                pause = max(0.0, turn.begins - time.monotonic())
                time.sleep(min(pause, until.remaining))
            if time.monotonic() >= turn.begins and turn.came.is_set():
                return
        self._give_up(turn)
        waited = f"waited {time.monotonic() - began:.1f} s for a turn"
        raise TooManyListsError(f"Too many list requests at once: {waited}")

    def _give_up(self, turn: _Turn) -> None:
        with self._lock:
            if turn.came.is_set():
                self._pass_on(turn.begins)
            else:
                self._waiting.remove(turn)

    def _pass_on(self, begins: float) -> None:
        if self._waiting:
            turn = self._waiting.popleft()
            turn.begins = begins
            turn.came.set()
        else:
            heapq.heappush(self._free, begins)


def of_server(concurrency: int) -> Turns:
    """For lists that this process reads. Most of the server's threads stay free for orders."""
    return Turns(max(1, concurrency // 4))


def of_calls(concurrency: int) -> Turns:
    """For lists that another function reads; they take turns there."""
    few = max(1, concurrency // 8)
    return Turns(few, few, rests=False)
