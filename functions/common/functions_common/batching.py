"""Batches concurrent calls: items submitted while a batch is in flight share the next batch.

A thread that finds no batch in flight becomes the leader. It starts its batch without delay, so a
single caller never waits. The batcher has no thread of its own: the leader processes the batch in
its own thread. When the batch ends, the leader hands over to the first waiter in the queue, which
leads the next batch. A leader processes one batch only, unless its own item is still unfinished.

Example: the threads A, B and C submit the items a, b and c.

    A submits a      No batch is in flight: A leads, and processes [a].
    B submits b      A batch is in flight: b is queued, and B sleeps.
    C submits c      c is queued behind b, and C sleeps.
    [a] ends         A wakes B, the first in the queue, and returns the result of a.
    B wakes          B leads: it takes b and c out of the queue, and processes [b, c].
    [b, c] ends      The queue is empty, so there is no next leader. B wakes C.
                     B returns the result of b, and C that of c.

If c does not fit into the batch of b, B processes [b] and then wakes C, which processes [c].

The queue is first in, first out. One exception: an item with the result ``RETRY`` goes back to the
front.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from functions_common.runtime.deadlines import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")
R = TypeVar("R")


class QueueFullError(Exception):
    """The queue holds as many items as it may. The item was not queued."""

    def __init__(self, queued: int) -> None:
        """``queued``: the size of all items in the queue."""
        super().__init__(f"the queue is full: {queued} are queued")
        self.queued = queued


class UnknownResultError(Exception):
    """The item was in a batch, and its result is unknown.

    The item may have been processed, or may still be.
    """


class Retry(Enum):
    RETRY = "retry"


RETRY: Final = Retry.RETRY
"""``process_batch`` returns this for an unfinished item that another batch can finish."""


class _State(Enum):
    QUEUED = "queued"
    IN_BATCH = "in batch"
    DONE = "done"


class _Failure(NamedTuple):
    error: Exception


class _Wakeup:
    """Wakes one sleeping thread.

    It uses a bare lock, because a threading.Event would create two more locks for each item.

    A wake-up is a hint. The thread that wakes must check the state of its entry.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def sleep(self, seconds: float) -> bool:
        """Return False if the time passed without a wake-up."""
        return self._lock.acquire(timeout=seconds)

    def wake(self) -> None:
        """End the sleep of the thread; if it does not sleep, its next sleep ends at once.

        Two threads must not call this at the same time. ``Batcher`` ensures that: it calls this
        under its lock, or after it has finished the entry, when no other thread calls this.
        """
        if self._lock.locked():
            self._lock.release()


@dataclass(slots=True, eq=False)
class _Entry(Generic[T, R]):
    """A submitted item and its state. Only ``Batcher`` changes it, under its lock."""

    item: T
    deadline: Deadline
    weight: int = 0
    size: int = 0
    """Weight and size are set when the entry is queued; otherwise the entry needs neither."""
    state: _State = _State.QUEUED
    outcome: R | _Failure | None = None
    wakeup: _Wakeup = field(default_factory=_Wakeup)

    def is_done(self) -> bool:
        return self.state is _State.DONE

    def finish(self, outcome: R | _Failure) -> None:
        self.outcome = outcome
        self.state = _State.DONE


class Batcher(Generic[T, R]):
    """Joins the items of concurrent callers into batches, as the example above shows."""

    def __init__(  # noqa: PLR0913 - each user of the class has its own limits
        self,
        process_batch: Callable[[Sequence[T], Deadline], Sequence[R | Retry]],
        weight: Callable[[T], int],
        max_weight: int,
        *,
        size: Callable[[T], int] = lambda _: 1,
        max_queued: float = math.inf,
        min_left: float = 0.0,
        min_left_to_share: float = 0.0,
        overtake_after: float = math.inf,
        while_waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Set the function that processes a batch, and the limits of batches and queue.

        ``process_batch`` gets the items, the leader's first, and the leader's deadline. It returns
        for each item, in order, its result or ``RETRY``. If it raises an exception, every caller of
        the batch gets that exception. It raises DeadlineExceededError only if it has sent nothing:
        then the leader alone gets the exception, and the other items are retried.

        ``weight`` and ``max_weight`` limit a batch: the sum of its weights, unless a single item
        weighs more. ``size`` and ``max_queued`` limit the queue in the same manner. The batcher
        calls both functions under its lock.

        Times are in seconds. An item with ``min_left`` or less before its deadline enters no
        batch. A leader with ``min_left_to_share`` or less processes its own item only. A waiter
        that has been queued for ``overtake_after`` leads a batch beside the one that is in flight;
        by default, batches never overlap. The attribute ``overtake_after`` can be changed later.

        ``while_waiting`` gives a context that surrounds the wait of a queued caller.
        """
        self._process_batch = process_batch
        self._weight = weight
        self._max_weight = max_weight
        self._size = size
        self._max_queued = max_queued
        self._min_left = min_left
        self._min_left_to_share = min_left_to_share
        self.overtake_after = overtake_after
        self._while_waiting = while_waiting
        self._lock = threading.Lock()
        self._queue: deque[_Entry[T, R]] = deque()
        self._queued = 0
        """The size of all items in the queue."""
        self._leader: _Entry[T, R] | None = None
        """The entry that leads: its thread processes a batch, or is about to wake up for that.

        None if no thread leads; then the queue is empty. If a waiter overtakes a leader, the
        waiter is the leader from then on, although both batches are in flight.
        """

    @property
    def waiting(self) -> int:
        """The number of items in the queue."""
        return len(self._queue)

    def submit(self, item: T, deadline: Deadline) -> R:
        """Return the item's result.

        Raises:
        - the exception of ``process_batch``
        - QueueFullError: the item was not queued
        - DeadlineExceededError: the item was in no batch by its deadline
        - UnknownResultError: the item's batch has not ended by the deadline, or its leader's thread
          was ended

        """
        entry: _Entry[T, R] = _Entry(item, deadline)
        batch = self._start_or_queue(entry)
        if not batch:
            with self._while_waiting():
                batch = self._await_turn(entry)
        while batch:
            self._lead(batch)
            batch = self._await_turn(entry) if entry.state is not _State.DONE else []
        if isinstance(entry.outcome, _Failure):
            raise entry.outcome.error
        return entry.outcome  # type: ignore[return-value]  # an R, since the entry is done

    def _start_or_queue(self, entry: _Entry[T, R]) -> list[_Entry[T, R]]:
        """Return the batch that the entry leads. It is empty if another batch is in flight."""
        if self._is_late(entry):
            raise DeadlineExceededError("no time left to begin")
        with self._lock:
            if self._leader is None:
                self._leader = entry
                entry.state = _State.IN_BATCH
                return [entry]
            self._measure(entry)
            if self._queue and self._queued + entry.size > self._max_queued:
                raise QueueFullError(self._queued)
            self._queue.append(entry)
            self._queued += entry.size
            return []

    def _await_turn(self, entry: _Entry[T, R]) -> list[_Entry[T, R]]:
        """Sleep until the entry leads or is done. Return the batch to lead; empty if it is done."""
        overtake_after = self.overtake_after
        while True:
            woken = entry.wakeup.sleep(min(overtake_after, entry.deadline.remaining))
            if entry.is_done():  # it remains so: no lock is needed
                return []
            with self._lock:
                if entry.is_done():
                    return []
                if entry.state is _State.IN_BATCH:
                    if entry.deadline.passed:
                        entry.finish(_Failure(UnknownResultError("in flight at the deadline")))
                        return []
                    overtake_after = math.inf  # an item in flight cannot overtake
                elif self._is_late(entry):
                    self._withdraw(entry)
                    return []
                elif self._leader is entry or (not woken and overtake_after < math.inf):
                    return self._take_batch(entry)
                else:  # a batch that did not finish the item has put it back
                    overtake_after = self.overtake_after

    def _withdraw(self, entry: _Entry[T, R]) -> None:
        self._queue.remove(entry)
        self._queued -= entry.size
        entry.finish(_Failure(DeadlineExceededError("still queued at the deadline")))
        if self._leader is entry:
            self._hand_over()

    def _take_batch(self, leader: _Entry[T, R]) -> list[_Entry[T, R]]:
        """Take the leader out of the queue, and the first entries that fit into its batch."""
        self._leader = leader
        self._queue.remove(leader)
        self._queued -= leader.size
        batch, weight = [leader], leader.weight
        if leader.deadline.remaining > self._min_left_to_share:
            while self._queue and weight + self._queue[0].weight <= self._max_weight:
                entry = self._dequeue()
                if self._is_late(entry):
                    self._expire(entry)
                else:
                    weight += entry.weight
                    batch.append(entry)
        for entry in batch:
            entry.state = _State.IN_BATCH
        return batch

    def _lead(self, batch: list[_Entry[T, R]]) -> None:
        """Process the batch and finish its entries, also if the thread is ended (SystemExit)."""
        no_result = _Failure(UnknownResultError("the leader's thread ended without a result"))
        outcomes: Sequence[R | Retry | _Failure] = [no_result] * len(batch)
        try:
            results = self._process_batch([entry.item for entry in batch], batch[0].deadline)
            outcomes = [result for _, result in zip(batch, results, strict=True)]
        except DeadlineExceededError as error:
            outcomes = [_Failure(error), *[RETRY] * (len(batch) - 1)]
        except Exception as error:  # noqa: BLE001 - every caller of the batch raises it
            outcomes = [_Failure(error)] * len(batch)
        finally:
            self._finish_batch(batch, outcomes)

    def _finish_batch(
        self, batch: list[_Entry[T, R]], outcomes: Iterable[R | Retry | _Failure]
    ) -> None:
        """Store the outcomes, wake the next leader, then wake the callers of the finished items.

        The next leader comes first, so that its batch starts without delay.
        """
        unfinished, finished = [], []
        with self._lock:
            for entry, outcome in zip(batch, outcomes, strict=True):
                if entry.state is _State.DONE:
                    continue  # its thread left at its deadline
                if isinstance(outcome, Retry):
                    unfinished.append(entry)
                else:
                    entry.finish(outcome)
                    finished.append(entry)
            for entry in reversed(unfinished):
                self._put_back(entry)
            if self._leader is batch[0] or self._leader is None:
                self._hand_over()
        for entry in finished:
            if entry is not batch[0]:  # the leader's thread is this one
                entry.wakeup.wake()

    def _put_back(self, entry: _Entry[T, R]) -> None:
        self._measure(entry)
        entry.state = _State.QUEUED
        self._queue.appendleft(entry)
        self._queued += entry.size
        entry.wakeup.wake()  # so that ``overtake_after`` counts from now

    def _hand_over(self) -> None:
        """Make the first entry that has time left the leader."""
        self._leader = None
        while self._queue and self._leader is None:
            if self._is_late(self._queue[0]):
                self._expire(self._dequeue())
            else:
                self._leader = self._queue[0]
                self._leader.wakeup.wake()

    def _measure(self, entry: _Entry[T, R]) -> None:
        entry.weight, entry.size = self._weight(entry.item), self._size(entry.item)

    def _dequeue(self) -> _Entry[T, R]:
        entry = self._queue.popleft()
        self._queued -= entry.size
        return entry

    def _is_late(self, entry: _Entry[T, R]) -> bool:
        return entry.deadline.remaining <= self._min_left

    def _expire(self, entry: _Entry[T, R]) -> None:
        entry.finish(_Failure(DeadlineExceededError("too long in the queue")))
        entry.wakeup.wake()
