"""Many calls, one request: what waits while one is under way goes together in the next.

A call that finds nothing under way goes at once: alone, nobody waits. There is no thread for this:
a call is sent by its own thread, with all that go with it. When that is done it wakes the first of
those that came meanwhile, to send the next. Nobody waits longer than ``PATIENCE`` for one that is
slow: then the next goes beside it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from functions_common.runtime.deadlines import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 0.1
"""Seconds. Above what a call takes on a good day, and little beside a customer's own patience."""
LEAST_LEFT = 1.0
"""Seconds that a call must have left to send others with its own. If its deadline cuts the batch
short, the outcome of each of them is unknown."""


class UnansweredError(Exception):
    """It was sent, or may have been, and there is no answer."""


@dataclass(slots=True, eq=False)
class _Call(Generic[T, R]):
    what: T
    deadline: Deadline
    woken: threading.Event = field(default_factory=threading.Event)
    """To send, or since it is over."""
    sent: bool = False
    """It is in nobody's way any more: sent, or given up."""
    over: bool = False
    answer: list[R] = field(default_factory=list)
    error: Exception | None = None
    again: bool = False
    """Whoever was to send it had no time left to."""

    def end(self) -> None:
        self.over = True
        self.woken.set()

    def result(self) -> R:
        if self.error is not None:
            raise self.error
        if not self.answer:
            raise UnansweredError
        return self.answer[0]


class Coalesced(Generic[T, R]):
    def __init__(
        self,
        send: Callable[[Sequence[T], Deadline], Sequence[R]],
        most: int,
        weight: Callable[[T], int],
    ) -> None:
        """``send`` answers each, in order; what it raises is raised to all that it was to carry.

        Those that go together weigh ``most`` at most, in all.
        """
        self._send = send
        self._most = most
        self._weight = weight
        self._lock = threading.Lock()
        self._waiting: deque[_Call[T, R]] = deque()
        self._last: _Call[T, R] | None = None
        """Whoever sends, or is about to, and is waited for; None where nobody is."""

    def __call__(self, what: T, deadline: Deadline) -> R:
        """The answer to this one.

        Raises what ``send`` raised; DeadlineExceededError where it was not sent by the deadline;
        UnansweredError where it was, and is not answered.
        """
        while True:
            call: _Call[T, R] = _Call(what, deadline)
            if group := self._at_once(call) or self._in_turn(call):
                self._carry(group)
            if not call.again:
                return call.result()

    def _at_once(self, call: _Call[T, R]) -> list[_Call[T, R]]:
        """What it has to send: itself; or nothing, where another is under way."""
        with self._lock:
            self._waiting.append(call)
            return [] if self._last else self._take(call)

    def _in_turn(self, call: _Call[T, R]) -> list[_Call[T, R]]:
        """What it has to send, by and by: itself and others; or nothing, for it is over."""
        call.woken.wait(min(PATIENCE, call.deadline.remaining))
        call.woken.clear()
        with self._lock:
            if not call.sent:
                return self._take(call)
        while not call.over:
            if not call.woken.wait(call.deadline.remaining):
                raise UnansweredError
            call.woken.clear()
        return []

    def _take(self, leader: _Call[T, R]) -> list[_Call[T, R]]:
        """It, and as many more as may go with it; those whose time is over go nowhere."""
        self._last = leader
        self._waiting.remove(leader)
        leader.sent = True
        group, weight = [leader], self._weight(leader.what)
        while self._waiting and leader.deadline.remaining > LEAST_LEFT:
            weight += self._weight(self._waiting[0].what)
            if weight > self._most:
                break
            call = self._waiting.popleft()
            call.sent = True
            if call.deadline.passed:
                call.error = DeadlineExceededError()
                call.end()
            else:
                group.append(call)
        return group

    def _carry(self, group: list[_Call[T, R]]) -> None:
        leader, *others = group
        try:
            answers = self._send([call.what for call in group], leader.deadline)
            for call, answer in zip(group, answers, strict=True):
                call.answer = [answer]
        except DeadlineExceededError as error:
            leader.error = error
            for call in others:
                call.again = True
        except Exception as error:  # noqa: BLE001 - whatever it is, it is everybody's
            for call in group:
                call.error = error
        finally:
            self._hand_over(leader)
            for call in others:
                call.end()

    def _hand_over(self, leader: _Call[T, R]) -> None:
        """To the first that waits; not by one that was too slow, and is waited for no more."""
        with self._lock:
            if self._last is leader:
                self._last = self._waiting[0] if self._waiting else None
                if self._last:
                    self._last.woken.set()
