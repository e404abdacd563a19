"""Optimistic transactions: read without locks, decide, and commit if no document has changed."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
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
from functions_common.runtime.deadlines import DeadlineExceededError
from inventory_function.domain import StockError
from inventory_function.unit_of_work import NotReadError, UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import Key
    from inventory_function.operations import Operation
    from inventory_function.ports import StockStore

MAX_DOCUMENTS = 500
"""Documents that the operations of one commit name. A document counts once for each operation that
names it; a single operation may name more. A larger commit takes longer, and every request in it
waits."""
DOCUMENT_BYTES = 3_000
"""The most that naming a document adds to a commit. A reservation of 100 lines with the longest ids
and names takes 1,200 bytes a line, and its products take as much. So 500 documents stay within
1.5 MB, below Firestore's 10 MiB. Operations beyond them go into the next commit."""

CONFLICT_PAUSE = 0.02
"""Longest pause in seconds before the retry after a conflict. It does not grow, because the process
that lost would wait longer and longer while the winner goes on. Four processes on one product sold
439, 775, 162 and 371 in two seconds with pauses up to 0.25 s; with these 435, 459, 338 and 418."""
MIN_PAUSE, MAX_PAUSE = 0.02, 0.25
"""Longest pauses in seconds before the first and the later retries while the database is out of
reach."""

MIN_LEFT = 0.2
"""Seconds before the deadline that an attempt needs to begin: about the time of a read and a commit
on a slow day. If the deadline cuts a commit short, its outcome is unknown to every request in it. A
request that fails before its attempt is known to have changed nothing."""

VERIFY_ROUNDS = 16
"""Transactions that read every reservation first, after one in which a reservation could not be
assumed absent. Without these rounds, half of the groups fail once if one request in twenty is for a
reservation that exists. If a product is sold out, each rejection needs a second read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an operation, or the error that explains why it has none."""

    value: Any = None
    error: Exception | None = None
    """A StockError, an UnusableDocumentError, or an unexpected error."""

    def result(self) -> Any:  # noqa: ANN401 - of the operation's own type
        if self.error is not None:
            raise self.error
        return self.value


class Transactions:
    def __init__(self, store: StockStore) -> None:
        self._store = store
        self._verify_rounds = 0
        """How many of the next transactions read every reservation."""

    def execute(self, operations: Sequence[Operation[Any]], deadline: Deadline) -> list[Outcome]:
        """Decide the operations in turn, commit once, and return the outcome of each.

        Returns only when the commit is known to be carried out. There can be fewer outcomes than
        operations: the last ones were not begun, because they would make the commit too large.
        Raises OutcomeUnknownError if a commit was sent and its outcome is not known. Any other
        StoreError means that nothing was written. One of the operations causes a
        StoreRejectedError, which is not retried.
        """
        backoff = _Backoff(deadline)
        assume_absent = self._may_assume_absent()
        unknown = False
        failure: StoreError = StoreUnavailableError("no time left to begin")
        while True:
            try:
                return self._attempt(operations, UnitOfWork(assume_absent=assume_absent), deadline)
            except DeadlineExceededError:
                break
            except StoreRejectedError as error:
                failure = error
                break
            except (ConflictError, StoreUnavailableError, OutcomeUnknownError) as error:
                failure = error
            unknown |= isinstance(failure, OutcomeUnknownError)
            exists = isinstance(failure, AlreadyExistsError)
            retry_now = exists and assume_absent  # no other process is in the way: only read it
            assume_absent = assume_absent and not (exists or unknown)
            if not (retry_now or backoff.pause(failure)):
                break
        raise OutcomeUnknownError(str(failure)) if unknown else failure

    def _may_assume_absent(self) -> bool:
        if self._verify_rounds == 0:
            return True
        self._verify_rounds -= 1
        return False

    def _attempt(
        self, operations: Sequence[Operation[Any]], work: UnitOfWork, deadline: Deadline
    ) -> list[Outcome]:
        needs = self._read_needs(operations, work, deadline)
        fitting = operations[: _count_fitting(needs)]
        outcomes, unread = _decide(fitting, work)
        while unread:
            work.undo()
            self._read(unread, work, deadline)
            outcomes, unread = _decide(fitting, work)
        if changes := work.changes():
            self._store.commit(changes, deadline)
        if work.assumption_failed:
            self._verify_rounds = VERIFY_ROUNDS
        return outcomes

    def _read_needs(
        self, operations: Sequence[Operation[Any]], work: UnitOfWork, deadline: Deadline
    ) -> list[Sequence[Key]]:
        """Read the documents that the operations need, until these name no further ones.

        Returns the documents that each operation names.
        """
        while True:
            needs = [each.needs(work) for each in operations]
            missing = {key for keys in needs for key in keys if key not in work}
            if not missing:
                return needs
            self._read(missing, work, deadline)

    def _read(self, keys: Collection[Key], work: UnitOfWork, deadline: Deadline) -> None:
        for found in self._store.read(keys, deadline):
            work.add(*found)


class _Backoff:
    """Pauses between attempts, with full jitter. Only failures of the database make them grow."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._longest = MIN_PAUSE

    def pause(self, failure: StoreError) -> bool:
        """Sleep. Return False if the deadline leaves no time for another attempt."""
        if isinstance(failure, ConflictError):
            longest = CONFLICT_PAUSE
        else:
            longest, self._longest = self._longest, min(2 * self._longest, MAX_PAUSE)
        seconds = random.uniform(0, longest)  # noqa: S311 - nothing secret
        if seconds >= self._deadline.remaining - MIN_LEFT:
            return False
        time.sleep(seconds)
        return True


def _decide(
    operations: Sequence[Operation[Any]], work: UnitOfWork
) -> tuple[list[Outcome], set[Key]]:
    """Decide the operations in turn.

    Returns their outcomes, and the reservations that must be read first. If there are any, the
    outcomes must not be used.
    """
    outcomes, unread = [], set()
    for operation in operations:
        try:
            outcomes.append(Outcome(operation.decide(work)))
        except (StockError, UnusableDocumentError) as error:
            outcomes.append(Outcome(error=error))
        except NotReadError as error:
            unread.add(error.key)
    return outcomes, unread


def _count_fitting(needs: Sequence[Sequence[Key]]) -> int:
    """The number of operations in one commit: the first, and those after it that fit as well."""
    named = list(accumulate(map(len, needs)))
    return max(1, bisect_right(named, MAX_DOCUMENTS))
