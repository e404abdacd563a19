"""Group commit: concurrent requests share one transaction, so that a hot product stays fast.

Firestore limits how often one document can change. With a transaction for each request, throughput
collapses when all customers buy the same product. Here requests queue while a commit is in flight.
The next transaction takes all queued requests, decides them in turn and commits once. Each request
gets its own outcome when the commit is known to be carried out. ``Batcher`` holds the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from functions_common.batching import RETRY, Batcher, QueueFullError, Retry, UnknownResultError
from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
)
from functions_common.observability import activity, logs
from functions_common.runtime.deadlines import DeadlineExceededError
from inventory_function.transactions import MAX_DOCUMENTS, MIN_LEFT, Outcome, Transactions
from inventory_function.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions_common.events.low_stock import LowStockEvent
    from functions_common.runtime.deadlines import Deadline
    from inventory_function.operations import StockOperation
    from inventory_function.ports import StockStore

T = TypeVar("T")

MAX_WAITING = 250
"""Operations in the queue; one request can contain many. An operation with one line has two
documents, so 250 of them fill one commit (MAX_DOCUMENTS), and the last one waits for two commits:
the one in flight and its own. Operations with many lines wait for more."""

_NOTHING_READ = UnitOfWork()
"""For the documents that an operation names before any document is read."""


class TooManyWaitingError(StoreUnavailableError):
    """The queue is full. Nothing was sent to the database for this request."""


@dataclass(slots=True, eq=False)
class _Submission:
    """The operations of one caller. They can need more than one commit."""

    operations: Sequence[StockOperation[Any]]
    outcomes: list[Outcome | None]
    """One for each operation; None until it is known."""
    outcome_unknown: bool = False
    """A commit that held some of the operations may have been carried out, or may still be."""
    failure: StoreError | None = None
    """Why the last commit failed."""

    def undecided(self) -> list[int]:
        """The indexes of the operations that have no outcome."""
        return [index for index, outcome in enumerate(self.outcomes) if outcome is None]

    def count_undecided(self) -> int:
        return self.outcomes.count(None)

    def count_documents(self) -> int:
        """Documents that the undecided operations name, as far as is known before a read."""
        return sum(
            len(operation.needs(_NOTHING_READ))
            for operation, outcome in zip(self.operations, self.outcomes, strict=True)
            if outcome is None
        )

    def fail(self, error: StoreError) -> None:
        self.outcome_unknown |= isinstance(error, OutcomeUnknownError)
        self.failure = error

    def results(self) -> list[Outcome]:
        """Return an outcome for each operation. Raises the failure if none has an outcome."""
        decided = [outcome for outcome in self.outcomes if outcome is not None]
        if len(decided) == len(self.operations):
            return decided
        reason = str(self.failure or "no outcome by the deadline")
        kind = OutcomeUnknownError if self.outcome_unknown else StoreUnavailableError
        error = kind(reason)
        if not decided:
            raise error
        return [outcome or Outcome(error=error) for outcome in self.outcomes]


_OperationRef = tuple[_Submission, int]
"""A submission, and the index of one of its operations."""


class GroupCommit:
    def __init__(
        self,
        store: StockStore,
        max_waiting: int = MAX_WAITING,
        on_low_stock: Callable[[LowStockEvent], None] | None = None,
    ) -> None:
        """``on_low_stock``: as for ``Transactions``."""
        self._transactions = Transactions(store, on_low_stock)
        self._batcher = Batcher(
            self._process_batch,
            _Submission.count_documents,
            MAX_DOCUMENTS,
            size=_Submission.count_undecided,
            max_queued=max_waiting,
            min_left=MIN_LEFT,
            while_waiting=partial(activity.part, "queue"),
        )

    @property
    def waiting(self) -> int:
        """The number of submissions that wait for a commit."""
        return self._batcher.waiting

    def run(self, operation: StockOperation[T], deadline: Deadline) -> T:
        """Carry out one operation in a shared commit, and return its result.

        Raises the operation's ``StockError``, or a ``StoreError`` by the deadline.
        OutcomeUnknownError means that the operation may have been carried out, or may still be.
        """
        (outcome,) = self.run_all([operation], deadline)
        return outcome.result()  # type: ignore[no-any-return]

    def run_all(
        self, operations: Sequence[StockOperation[Any]], deadline: Deadline
    ) -> list[Outcome]:
        """Carry out several operations in order, each as if it had been requested alone.

        Raises a ``StoreError`` if it applies to all of them.
        """
        submission = _Submission(operations, [None] * len(operations))
        try:
            self._batcher.submit(submission, deadline)
        except QueueFullError as error:
            raise TooManyWaitingError(
                f"{error.queued} operations are queued already; try again."
            ) from None
        except DeadlineExceededError as error:
            if submission.failure is not None:
                logs.event("No commit by the deadline", error=str(submission.failure)[:300])
            submission.fail(submission.failure or StoreUnavailableError(str(error)))
        except UnknownResultError as error:
            submission.fail(OutcomeUnknownError(str(error)))
        return submission.results()

    def _process_batch(
        self, submissions: Sequence[_Submission], deadline: Deadline
    ) -> list[Retry | None]:
        """Commit the operations. A submission is retried while it has undecided operations.

        After a conflict the next batch also takes what is queued by then: a process that loses to
        others writes more with its next commit. If the commit fails otherwise, the leader's
        submission is not retried: the transactions have used all of its time. The submissions after
        it may have time left.
        """
        refs = [
            (submission, index) for submission in submissions for index in submission.undecided()
        ]
        try:
            self._commit(refs, deadline)
        except ConflictError as error:
            for submission in submissions:
                submission.fail(error)
        except StoreError as error:
            logs.event("Group commit failed", operations=len(refs), error=str(error)[:300])
            for submission in submissions:
                submission.fail(error)
            return [None, *map(_retry_if_undecided, submissions[1:])]
        return [*map(_retry_if_undecided, submissions)]

    def _commit(self, refs: Sequence[_OperationRef], deadline: Deadline) -> None:
        """Commit the operations and store their outcomes. Some may stay without an outcome.

        If one operation makes the common commit fail, the operations are committed in smaller
        groups. Raises the StoreErrors that no single operation causes. Operations without an
        outcome can be retried.
        """
        operations = [submission.operations[index] for submission, index in refs]
        try:
            maybe_committed = [
                submission.operations[index]
                for submission, index in refs
                if submission.outcome_unknown
            ]
            outcomes = self._transactions.execute(operations, deadline, maybe_committed)
        except StoreRejectedError as error:
            self._isolate(refs, error, deadline)
            return
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - it must fail its own request, and no other
            self._isolate(refs, error, deadline)
            return
        # A commit takes the first operations that fit: there can be fewer outcomes than operations.
        for (submission, index), outcome in zip(refs, outcomes, strict=False):
            submission.outcomes[index] = outcome

    def _isolate(self, refs: Sequence[_OperationRef], error: Exception, deadline: Deadline) -> None:
        """One operation causes the error: halve the batch until that operation fails alone.

        This takes up to 2n - 2 further commits for n operations.
        """
        if len(refs) > 1:
            half = len(refs) // 2
            self._commit(refs[:half], deadline)
            self._commit(refs[half:], deadline)
            return
        ((submission, index),) = refs
        if submission.outcome_unknown:
            error = OutcomeUnknownError(str(error))
        submission.outcomes[index] = Outcome(error=error)


def _retry_if_undecided(submission: _Submission) -> Retry | None:
    return RETRY if None in submission.outcomes else None
