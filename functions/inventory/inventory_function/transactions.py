"""Transactions in their optimistic form: read without locks, decide, commit if nothing changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any

from functions_common.firestore.errors import (
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
    UnusableDocumentError,
)
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from inventory_function.domain import StockError
from inventory_function.operations import NotReadError, Stock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from inventory_function.domain import Key
    from inventory_function.operations import Operation
    from inventory_function.ports import StockStore

MAX_DOCUMENTS = 500
"""Documents that the operations of one commit name, counted again for each that names them; a
single operation may name more. A commit takes the longer the more it holds, and all in it wait."""
DOCUMENT_BYTES = 3_000
"""The most that naming a document adds to a commit: 100 lines with the longest ids and names make
a reservation of 1,200 bytes a line, and as much for its product. So 500 are within 1.5 MB, below
Firestore's 10 MiB. Operations beyond them go into the next commit."""

CONFLICT_PAUSE = 0.02
"""Seconds at most, before the next try after another process came first. It does not grow: whoever
lost would wait longer and longer while the winner goes on. Four processes on one product sold 439,
775, 162 and 371 in two seconds with pauses up to 0.25 s; with these 435, 459, 338 and 418."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds, before the next try after the database was out of reach."""

LEAST_LEFT = 0.2
"""Seconds that must be left to begin a try: about what a read and a commit take on a slow day. A
commit that the deadline cuts short leaves everybody in it without knowing whether it was carried
out; a request that is refused in time knows that it was not."""


CAREFUL = 16
"""Transactions that read every reservation first, after one in which hope was or would have been in
vain. One request in twenty for a reservation that is there already would else fail half of the
groups once; and where a product is sold out, each refusal would be read for twice."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An operation's answer, or why there is none."""

    answer: Any = None
    refusal: Exception | None = None
    """A StockError, an UnusableDocumentError, or an error that was not expected."""

    def result(self) -> Any:  # noqa: ANN401 - of the operation's own type
        if self.refusal is not None:
            raise self.refusal
        return self.answer


class Transactions:
    def __init__(self, store: StockStore) -> None:
        self._store = store
        self._careful = 0
        """How many of the next transactions do without hope."""

    def carry_out(self, operations: Sequence[Operation[Any]], deadline: Deadline) -> list[Outcome]:
        """Decide the operations in turn, commit once, and return the outcome of each.

        Returns only once the commit is known to be carried out. There may be fewer outcomes than
        operations: the last ones were not begun, because they would make the commit too large.
        Raises OutcomeUnknownError if a commit was sent and its outcome is not known; any other
        StoreError means that nothing was written. StoreRejectedError is the fault of one of the
        operations, and is not retried.
        """
        failure: StoreError = StoreUnavailableError("no time left to begin")
        unknown = False
        hopeful = self._hopes()
        for _ in _last_moment(deadline).attempts(FIRST_PAUSE, LONGEST_PAUSE):
            try:
                return self._until_nobody_comes_first(operations, deadline, hopeful=hopeful)
            except DeadlineExceededError:
                break
            except ConflictError as error:
                failure = error
                break
            except StoreUnavailableError as error:
                failure = error
            except OutcomeUnknownError as error:
                failure, unknown, hopeful = error, True, False
            except StoreRejectedError as error:
                failure = error
                break
        raise OutcomeUnknownError(str(failure)) if unknown else failure

    def _until_nobody_comes_first(
        self, operations: Sequence[Operation[Any]], deadline: Deadline, *, hopeful: bool
    ) -> list[Outcome]:
        conflict = ConflictError("no time left to begin")
        for _ in _last_moment(deadline).attempts(CONFLICT_PAUSE, CONFLICT_PAUSE):
            try:
                if hopeful:
                    with suppress(AlreadyExistsError):
                        return self._try(operations, Stock(hopeful=True), deadline)
                    hopeful = False  # there is nothing to wait for, only to read
                return self._try(operations, Stock(), deadline)
            except ConflictError as error:
                conflict = error
        raise conflict

    def _hopes(self) -> bool:
        if self._careful == 0:
            return True
        self._careful -= 1
        return False

    def _try(
        self, operations: Sequence[Operation[Any]], stock: Stock, deadline: Deadline
    ) -> list[Outcome]:
        self._read_needs(operations, stock, deadline)
        outcomes = self._decide(_fitting(operations, stock), stock, deadline)
        if changes := list(stock.changes()):
            self._store.commit(changes, deadline)
        if stock.disappointed:
            self._careful = CAREFUL
        return outcomes

    def _read_needs(
        self, operations: Sequence[Operation[Any]], stock: Stock, deadline: Deadline
    ) -> None:
        """What the operations need, and then what they turn out to need besides."""
        while missing := {
            key for each in operations for key in each.needs(stock) if key not in stock
        }:
            self._read(missing, stock, deadline)

    def _decide(
        self, operations: Sequence[Operation[Any]], stock: Stock, deadline: Deadline
    ) -> list[Outcome]:
        """In turn; and once more from the beginning, where some of it must not rest on hope."""
        missing: set[Key] = set()
        outcomes = []
        for operation in operations:
            try:
                outcomes.append(Outcome(operation.decide(stock)))
            except (StockError, UnusableDocumentError) as refusal:
                outcomes.append(Outcome(refusal=refusal))
            except NotReadError as error:
                missing.add(error.key)
        if not missing:
            return outcomes
        stock.undo()
        self._read(missing, stock, deadline)
        return self._decide(operations, stock, deadline)

    def _read(self, keys: Collection[Key], stock: Stock, deadline: Deadline) -> None:
        for found in self._store.read(keys, deadline):
            stock.add(*found)


def _last_moment(deadline: Deadline) -> Deadline:
    """To begin another try."""
    return Deadline(deadline.expires_at - LEAST_LEFT)


def _fitting(operations: Sequence[Operation[Any]], stock: Stock) -> Sequence[Operation[Any]]:
    """The first, and those after it that fit into the same commit."""
    named = accumulate(sum(1 for _ in each.needs(stock)) for each in operations)
    fitting = sum(1 for _ in takewhile(lambda documents: documents <= MAX_DOCUMENTS, named))
    return operations[: max(1, fitting)]
