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

from functions_common.firestore.errors import (
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.observability import activity, logs
from inventory_function.operations import Stock
from inventory_function.transactions import LEAST_LEFT, MAX_DOCUMENTS, Outcome, Transactions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.operations import Operation
    from inventory_function.ports import StockStore

T = TypeVar("T")

MAX_WAITING = 250
"""Operations in the queue; a request can be for many. With one line each they fill the next commit
(see MAX_DOCUMENTS), so whoever gets in waits for two at most: the one under way, and its own."""

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
        if not self.over:
            self.over = True
            self._lock.release()

    def until_woken(self, seconds: float) -> bool:
        """False where the time was over first."""
        return self._lock.acquire(timeout=seconds)


@dataclass(slots=True, eq=False)
class _Entry:
    """A request in the queue. Its own thread sleeps until it is answered, or has to lead."""

    operations: Sequence[Operation[Any]]
    deadline: Deadline
    outcomes: list[Outcome | None] = field(init=False)
    """Of each operation, once it is known; a request of many can be in more than one commit."""
    sleep: _Sleep = field(default_factory=_Sleep)
    leads: bool = False
    unknown: bool = False
    """A commit that held some of it may have been carried out, or may yet be."""
    given_up: bool = False
    """Its thread has left; nobody would lead for it or read its answer."""
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.operations)

    @property
    def left(self) -> list[int]:
        """The operations that have no outcome, by their places."""
        return [place for place, outcome in enumerate(self.outcomes) if outcome is None]

    @property
    def names(self) -> int:
        """Documents, as far as is known before any is read."""
        return sum(1 for place in self.left for _ in self.operations[place].needs(_NOTHING_READ))

    @property
    def too_old(self) -> bool:
        return self.deadline.remaining < LEAST_LEFT

    def result(self) -> list[Outcome]:
        """Raises where nothing is known of any of them; where it is of some, the others say so."""
        error = self.error or OutcomeUnknownError("not answered")
        if len(self.left) == len(self.operations):
            raise error
        return [outcome or Outcome(refusal=error) for outcome in self.outcomes]

    def dismiss(self) -> None:
        """It leaves the queue: what is left of its time would not see a commit through."""
        self.error = self.out_of_time("too long in the queue")
        self.sleep.end()

    def out_of_time(self, reason: str) -> StoreError:
        return OutcomeUnknownError(reason) if self.unknown else StoreUnavailableError(reason)


_Part = tuple[_Entry, int]
"""An operation of a request, by its place in it."""


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
        (outcome,) = self.run_all([operation], deadline)
        return outcome.result()  # type: ignore[no-any-return]

    def run_all(self, operations: Sequence[Operation[Any]], deadline: Deadline) -> list[Outcome]:
        """Several, as if each had been asked for on its own, one after the other.

        Raises a ``StoreError`` where that is true of all of them.
        """
        entry = _Entry(operations, deadline)
        if not self._lead_or_queue(entry):
            self._await_turn(entry)
        while entry.leads:  # again, where it was more than one commit could hold
            entry.leads = False
            self._lead(entry)
        return entry.result()

    def _lead_or_queue(self, entry: _Entry) -> bool:
        if entry.too_old:
            raise entry.out_of_time("no time left to begin")
        with self._lock:
            waiting = sum(len(each.left) for each in self._waiting)
            if waiting and waiting + len(entry.operations) > self._max_waiting:
                raise TooManyWaitingError(f"{waiting} operations wait already; try again.")
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
        parts = [(entry, place) for entry in group for place in entry.left]
        try:
            self._try(parts, leader.deadline)
        except StoreError as error:
            logs.event("Group commit failed", operations=len(parts), error=str(error)[:300])
            return _give_up(group, leader, error)
        return [entry for entry in group if entry.left]

    def _try(self, parts: list[_Part], deadline: Deadline) -> None:
        """One commit; or several, if one of the operations makes the commit of all impossible.

        Raises a StoreError that says nothing about a single operation: then those without an
        outcome can be tried again.
        """
        operations = [entry.operations[place] for entry, place in parts]
        try:
            outcomes = self._transactions.carry_out(operations, deadline)
        except StoreRejectedError as error:
            self._try_apart(parts, error, deadline)
            return
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - it must reach its own request, and no other
            self._try_apart(parts, error, deadline)
            return
        for (entry, place), outcome in zip(parts, outcomes, strict=False):
            entry.outcomes[place] = outcome

    def _try_apart(self, parts: list[_Part], error: Exception, deadline: Deadline) -> None:
        """One operation is to blame: halve until it fails alone and the others are committed."""
        if len(parts) > 1:
            half = len(parts) // 2
            self._try(parts[:half], deadline)
            self._try(parts[half:], deadline)
            return
        ((entry, place),) = parts
        if entry.unknown:
            error = OutcomeUnknownError(str(error))
        entry.outcomes[place] = Outcome(refusal=error)


def _give_up(group: list[_Entry], leader: _Entry, error: StoreError) -> list[_Entry]:
    """The leader's time is over; whoever came later may have some left."""
    left_over = []
    for entry in filter(lambda entry: entry.left, group):
        entry.unknown |= isinstance(error, OutcomeUnknownError)
        if entry is leader or entry.too_old:
            entry.error = entry.out_of_time(str(error))
        else:
            left_over.append(entry)
    return left_over
