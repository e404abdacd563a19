"""Many requests, one transaction: how a hot product stays fast.

Firestore lets one document change only so often, so a transaction a request collapses when
everybody wants one product. Here, while one transaction is under way, requests queue; the next
one takes all that wait, decides each in turn, commits once, and answers each when the outcome
is known. A request that finds nothing under way begins at once: alone, nobody waits.

There is no thread for this. The request that finds nothing under way leads its group in its own
thread; when done it wakes the first of those that came meanwhile, to lead the next.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from functions_common import activity, logs
from functions_common.store_errors import OutcomeUnknownError, StoreError, StoreUnavailableError
from inventory_function.operations import Stock
from inventory_function.transactions import LEAST_LEFT, MAX_DOCUMENTS, Outcome, Transactions

if TYPE_CHECKING:
    from functions_common.deadlines import Deadline
    from inventory_function.operations import Operation
    from inventory_function.ports import StockStore

T = TypeVar("T")

MAX_WAITING = 250
"""Requests in the queue. With one line each they fill the next commit (see MAX_DOCUMENTS), so
whoever gets in waits for two commits at most: the one under way, and its own."""

_NOTHING_READ = Stock()


class TooManyWaitingError(StoreUnavailableError):
    """The queue is full; nothing was asked of the database for this request."""


class _Sleep:
    """Of one thread, ended once. An Event serves many, and makes two more locks for it."""

    __slots__ = ("_lock", "over")

    def __init__(self) -> None:
        self.over = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def end(self) -> None:
        self.over = True
        self._lock.release()

    def until_woken(self, seconds: float) -> bool:
        """False where the time was over first."""
        return self._lock.acquire(timeout=seconds)


@dataclass(slots=True, eq=False)
class _Entry:
    """A request in the queue. Its own thread sleeps until it is answered, or has to lead."""

    operation: Operation[Any]
    deadline: Deadline
    sleep: _Sleep = field(default_factory=_Sleep)
    leads: bool = False
    unknown: bool = False
    """A commit that held it may have been carried out, or may yet be."""
    given_up: bool = False
    """Its thread has left; nobody would lead for it or read its answer."""
    outcome: Outcome | None = None
    error: Exception | None = None

    @property
    def names(self) -> int:
        """Documents, as far as is known before any is read."""
        return sum(1 for _ in self.operation.needs(_NOTHING_READ))

    @property
    def too_old(self) -> bool:
        return self.deadline.remaining < LEAST_LEFT

    def result(self) -> Any:  # noqa: ANN401 - of the operation's own type
        if self.outcome is None:
            raise self.error or OutcomeUnknownError("not answered")
        return self.outcome.result()

    def dismiss(self) -> None:
        """It leaves the queue: what is left of its time would not see a commit through."""
        self.error = self.out_of_time("too long in the queue")
        self.sleep.end()

    def out_of_time(self, reason: str) -> StoreError:
        return OutcomeUnknownError(reason) if self.unknown else StoreUnavailableError(reason)


class GroupCommit:
    def __init__(self, store: StockStore, max_waiting: int = MAX_WAITING) -> None:
        self._transactions = Transactions(store)
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._under_way = False

    def run(self, operation: Operation[T], deadline: Deadline) -> T:
        """Carry out the operation together with others, and give its own answer.

        Raises its own ``StockError``, or a ``StoreError`` by the deadline; OutcomeUnknownError
        where it may still have been, or yet be, carried out.
        """
        entry = _Entry(operation, deadline)
        if not self._lead_or_queue(entry):
            self._await_turn(entry)
        if entry.leads:
            self._lead(entry)
        return entry.result()  # type: ignore[no-any-return]

    def _lead_or_queue(self, entry: _Entry) -> bool:
        if entry.too_old:
            raise entry.out_of_time("no time left to begin")
        with self._lock:
            if len(self._waiting) >= self._max_waiting:
                raise TooManyWaitingError(f"{len(self._waiting)} requests wait already; try again.")
            self._waiting.append(entry)
            entry.leads = not self._under_way
            self._under_way = True
            return entry.leads

    def _await_turn(self, entry: _Entry) -> None:
        with activity.part("queue"):
            woken = entry.sleep.until_woken(entry.deadline.remaining)
        if woken:
            return
        with self._lock:
            if entry.sleep.over:
                return
            entry.given_up = True
            if entry in self._waiting:
                self._waiting.remove(entry)
                raise entry.out_of_time("still queued at the deadline")
        raise OutcomeUnknownError("under way at the deadline")

    def _lead(self, leader: _Entry) -> None:
        with self._lock:
            group = self._take()
        left_over: list[_Entry] = []
        try:
            left_over = self._carry_out(group, leader)
        finally:
            self._hand_over(left_over)
            for entry in group:
                if entry is not leader and entry not in left_over:
                    entry.sleep.end()

    def _take(self) -> list[_Entry]:
        """The first of those that wait, and as many more as fit into one commit."""
        group = [self._waiting.popleft()]
        documents = group[0].names
        while self._waiting:
            documents += self._waiting[0].names
            if documents > MAX_DOCUMENTS:
                break
            entry = self._waiting.popleft()
            if entry.too_old:
                entry.dismiss()
            else:
                group.append(entry)
        return group

    def _hand_over(self, left_over: list[_Entry]) -> None:
        """To the first that waits and has time; those left over stand first in the queue."""
        with self._lock:
            self._waiting.extendleft(e for e in reversed(left_over) if not e.given_up)
            while self._waiting and self._waiting[0].too_old:
                self._waiting.popleft().dismiss()
            if not self._waiting:
                self._under_way = False
                return
            following = self._waiting[0]
            following.leads = True
            following.sleep.end()

    def _carry_out(self, group: list[_Entry], leader: _Entry) -> list[_Entry]:
        """Answer the requests; those left over have time for another leader to try."""
        try:
            operations = [entry.operation for entry in group]
            outcomes = self._transactions.carry_out(operations, leader.deadline)
        except StoreError as error:
            logs.event("Group commit failed", requests=len(group), error=str(error)[:300])
            return _give_up(group, leader, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it reaches whom it concerns
            if len(group) > 1:  # one of them is to blame, and the others need not suffer
                return [left for entry in group for left in self._carry_out([entry], leader)]
            group[0].error = error
            return []
        for entry, outcome in zip(group, outcomes, strict=False):
            entry.outcome = outcome
        return group[len(outcomes) :]


def _give_up(group: list[_Entry], leader: _Entry, error: StoreError) -> list[_Entry]:
    """The leader's time is over; whoever came later may have some left."""
    left_over = []
    for entry in group:
        entry.unknown |= isinstance(error, OutcomeUnknownError)
        if entry is leader or entry.too_old:
            entry.error = entry.out_of_time(str(error))
        else:
            left_over.append(entry)
    return left_over
