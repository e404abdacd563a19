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
from functions_common.deadlines import Deadline, DeadlineExceededError
from functions_common.store_errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from inventory_function.domain import StockError
from inventory_function.operations import Stock

if TYPE_CHECKING:
    from inventory_function.operations import Operation
    from inventory_function.ports import StockStore

T = TypeVar("T")

MAX_GROUP = 100
"""Requests in one commit."""
MAX_DOCUMENTS = 500
"""Documents that a group names before it reads; one request alone may name more. Together they
keep a commit well under Firestore's 10 MiB."""

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds, before the next try after a conflict with another process."""

_NOTHING_READ = Stock()


@dataclass(slots=True, eq=False)
class _Entry:
    """A request in the queue. Its own thread waits for ``woken``: by its answer, or to lead."""

    operation: Operation[Any]
    deadline: Deadline
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    unknown: bool = False
    """A commit that held it may have been carried out, or may yet be."""
    given_up: bool = False
    """Its thread has left; nobody would lead for it or read its answer."""
    answer: Any = None
    error: Exception | None = field(default_factory=lambda: OutcomeUnknownError("not answered"))

    def result(self) -> Any:  # noqa: ANN401 - of the operation's own type
        if self.error is not None:
            raise self.error
        return self.answer

    def out_of_time(self, reason: str) -> StoreError:
        return OutcomeUnknownError(reason) if self.unknown else StoreUnavailableError(reason)


class GroupCommit:
    def __init__(self, store: StockStore) -> None:
        self._store = store
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
        with self._lock:
            self._waiting.append(entry)
            entry.leads = not self._under_way
            self._under_way = True
            return entry.leads

    def _await_turn(self, entry: _Entry) -> None:
        with activity.part("queue"):
            woken = entry.woken.wait(entry.deadline.remaining)
        if woken:
            return
        with self._lock:
            if entry.woken.is_set():
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
                if entry not in left_over:
                    entry.woken.set()

    def _take(self) -> list[_Entry]:
        """As many of those that wait as fit into one commit, and at least the first."""
        group: list[_Entry] = []
        documents = 0
        while self._waiting and len(group) < MAX_GROUP:
            documents += sum(1 for _ in self._waiting[0].operation.needs(_NOTHING_READ))
            if group and documents > MAX_DOCUMENTS:
                break
            group.append(self._waiting.popleft())
        return group

    def _hand_over(self, left_over: list[_Entry]) -> None:
        with self._lock:
            self._waiting.extendleft(e for e in reversed(left_over) if not e.given_up)
            if not self._waiting:
                self._under_way = False
                return
            following = self._waiting[0]
            following.leads = True
            following.woken.set()

    def _carry_out(self, group: list[_Entry], leader: _Entry) -> list[_Entry]:
        """Answer the requests; those left over have time for another leader to try."""
        try:
            self._transact(group, leader.deadline)
        except StoreError as error:
            logs.event("Group commit failed", requests=len(group), error=str(error)[:300])
            return _give_up(group, leader, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it reaches whom it concerns
            if len(group) > 1:  # one of them is to blame, and the others need not suffer
                return [left for entry in group for left in self._carry_out([entry], leader)]
            group[0].error = error
        return []

    def _transact(self, group: list[_Entry], deadline: Deadline) -> None:
        """Read, decide and commit, until the outcome is known or the deadline passes.

        No answer is told before the commit that it rests on is known to be carried out.
        """
        failure: StoreError = StoreUnavailableError("no time left to begin")
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            try:
                stock = self._read(group, deadline)
                outcomes = [_decide(entry, stock) for entry in group]
                changes = list(stock.changes())
                if changes:
                    self._store.commit(changes, deadline)
            except DeadlineExceededError:
                break
            except (ConflictError, StoreUnavailableError) as error:
                failure = error
            except OutcomeUnknownError as error:
                failure = error
                for entry in group:
                    entry.unknown = True
            else:
                for entry, outcome in zip(group, outcomes, strict=True):
                    entry.answer, entry.error = outcome
                return
        raise failure

    def _read(self, group: list[_Entry], deadline: Deadline) -> Stock:
        """What the group needs, and then what it turns out to need besides."""
        stock = Stock()
        while missing := {
            key for entry in group for key in entry.operation.needs(stock) if key not in stock
        }:
            for found in self._store.read(missing, deadline):
                stock.add(*found)
        return stock


def _decide(entry: _Entry, stock: Stock) -> tuple[Any, StockError | None]:
    """The request's answer or refusal, if the stock is committed as it is now."""
    try:
        return entry.operation.decide(stock), None
    except StockError as refusal:
        return None, refusal


def _give_up(group: list[_Entry], leader: _Entry, reason: str) -> list[_Entry]:
    """The leader's time is over; whoever came later may have some left."""
    left_over = []
    for entry in group:
        if entry is leader or entry.deadline.passed:
            entry.error = entry.out_of_time(reason)
        else:
            left_over.append(entry)
    return left_over
