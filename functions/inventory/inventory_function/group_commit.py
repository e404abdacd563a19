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
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from functions_common import logs
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
"""Requests in one commit; a bound on its size, well under Firestore's 10 MiB a request."""

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds, before the next try after a conflict with another process."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A request in the queue. Its own thread waits for ``woken``: by its answer, or to lead."""

    operation: Operation[Any]
    deadline: Deadline
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    answer: Any = None
    error: Exception | None = field(default_factory=lambda: OutcomeUnknownError("not answered"))

    def result(self) -> Any:  # noqa: ANN401 - of the operation's own type
        if self.error is not None:
            raise self.error
        return self.answer


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
            self._lead()
        return entry.result()  # type: ignore[no-any-return]

    def _lead_or_queue(self, entry: _Entry) -> bool:
        with self._lock:
            self._waiting.append(entry)
            entry.leads = not self._under_way
            self._under_way = True
            return entry.leads

    def _await_turn(self, entry: _Entry) -> None:
        if entry.woken.wait(entry.deadline.remaining):
            return
        with self._lock:
            if entry.woken.is_set():
                return
            if entry in self._waiting:
                self._waiting.remove(entry)
                raise StoreUnavailableError("still queued at the deadline")
        raise OutcomeUnknownError("under way at the deadline")

    def _lead(self) -> None:
        with self._lock:
            group = list(islice(self._waiting, MAX_GROUP))
            for _ in group:
                self._waiting.popleft()
        try:
            self._carry_out(group)
        finally:
            self._hand_over()
            for entry in group:
                entry.woken.set()

    def _hand_over(self) -> None:
        with self._lock:
            if not self._waiting:
                self._under_way = False
                return
            following = self._waiting[0]
            following.leads = True
            following.woken.set()

    def _carry_out(self, group: list[_Entry]) -> None:
        try:
            self._transact(group)
        except Exception as error:  # noqa: BLE001 - every request of the group gets it, and raises it
            for entry in group:
                entry.error = error

    def _transact(self, group: list[_Entry]) -> None:
        """Read, decide and commit until the outcome is known, or the group's deadline passes."""
        deadline = max((entry.deadline for entry in group), key=lambda d: d.moment)
        failure: StoreError = StoreUnavailableError("no time left to begin")
        unknown = False
        for _ in deadline.tries(FIRST_PAUSE, LONGEST_PAUSE):
            try:
                stock = self._read(group, deadline)
                _decide(group, stock)
                changes = list(stock.changes())
                if changes:
                    self._store.commit(changes, deadline)
            except DeadlineExceededError:
                break
            except (ConflictError, StoreUnavailableError) as error:
                failure = error
            except OutcomeUnknownError as error:
                failure, unknown = error, True
            else:
                return
        logs.event("Group commit failed", requests=len(group), error=str(failure)[:300])
        raise OutcomeUnknownError(str(failure)) if unknown else failure

    def _read(self, group: list[_Entry], deadline: Deadline) -> Stock:
        """What the group needs, and then what it turns out to need besides."""
        stock = Stock()
        while missing := {
            key for entry in group for key in entry.operation.needs(stock) if key not in stock
        }:
            for found in self._store.read(missing, deadline):
                stock.add(*found)
        return stock


def _decide(group: list[_Entry], stock: Stock) -> None:
    for entry in group:
        entry.answer = entry.error = None
        try:
            entry.answer = entry.operation.decide(stock)
        except StockError as refusal:
            entry.error = refusal
