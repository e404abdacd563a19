"""Optimistic transactions: read without locks, decide, and commit if no document has changed."""

from __future__ import annotations

import random
import secrets
import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from functions_common.events.low_stock import LowStockEvent
from functions_common.firestore.errors import (
    AlreadyExistsError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
    UnusableDocumentError,
)
from functions_common.observability import logs
from functions_common.runtime.deadlines import DeadlineExceededError
from inventory_function.domain import StockError, crossed_low_stock
from inventory_function.unit_of_work import NotReadError, UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from functions_common.runtime.deadlines import Deadline
    from inventory_function.domain import Key, Product
    from inventory_function.operations import StockOperation
    from inventory_function.ports import StockStore

MAX_DOCUMENTS = 500
"""The most documents that the operations of one commit may read: every request of a commit waits
for the whole of it. A document counts once for each operation. An operation that needs more has a
commit of its own."""
DOCUMENT_BYTES = 3_000
"""The most bytes that a document adds to a commit; a test checks this, no code uses it. So 500
documents stay within 1.5 MB, below Firestore's 10 MiB. (The longest reservation has 100 lines of
1,200 bytes, and its 100 products take as much.)"""

CONFLICT_PAUSE_CEILING = 0.02
"""Seconds. The longest possible pause before the retry after a conflict. It does not grow. If it
did, a process that lost would wait longer each time, and the winner would go on winning. Measured
with four processes that sell one product for two seconds: with pauses up to 0.25 s they sold 439,
775, 162 and 371 units; with these 435, 459, 338 and 418."""
FIRST_PAUSE_CEILING, MAX_PAUSE_CEILING = 0.02, 0.25
"""Seconds. While the database cannot be reached, the longest possible pause before the first retry,
and before any later one. The ceiling doubles with each retry."""

MIN_LEFT = 0.2
"""Seconds. A transaction begins only if at least this time is left: a read and a commit take about
as long when Firestore is slow. If the deadline ends a commit early, its outcome is unknown to every
request in it. A request that fails before its transaction is known to have changed nothing."""

VERIFY_ROUNDS = 16
"""The number of transactions that read every reservation first, after the assumption "the
reservation is absent" has failed. One reservation that exists makes a whole commit fail, and such
requests come in series: repeats, or requests for a product that is sold out. If one request in
twenty is a repeat, half of all commits of fourteen requests would fail."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an operation, or the error that explains why it has none."""

    value: Any = None
    error: Exception | None = None
    """A StockError, a StoreError, an UnusableDocumentError, or an unexpected error."""

    def result(self) -> Any:  # noqa: ANN401 - of the operation's own type
        if self.error is not None:
            raise self.error
        return self.value


class Transactions:
    def __init__(
        self, store: StockStore, on_low_stock: Callable[[LowStockEvent], None] | None = None
    ) -> None:
        """``on_low_stock``: gets each event that a commit has stored. None: none is stored."""
        self._store = store
        self._on_low_stock = on_low_stock
        self._verify_rounds = 0
        """How many of the next transactions read every reservation."""

    def execute(
        self,
        operations: Sequence[StockOperation[Any]],
        deadline: Deadline,
        maybe_committed: Sequence[StockOperation[Any]] = (),
    ) -> list[Outcome]:
        """Decide the operations in turn, commit once, and return the outcome of each.

        Returns only when the commit is known to be carried out. There can be fewer outcomes than
        operations: the last ones were not begun, because they would make the commit too large.
        Raises OutcomeUnknownError if a commit was sent and its outcome is not known. Any other
        StoreError means that nothing was written. A StoreRejectedError is the fault of one
        operation, and the caller must find it. A ConflictError, raised after a pause, means that
        another process has changed a document: call again, with what is queued by then.

        ``maybe_committed``: the operations for which an earlier call raised OutcomeUnknownError.
        """
        backoff = _Backoff(deadline)
        assume_absent = self._may_assume_absent()
        unknown = False
        failure: StoreError = StoreUnavailableError("no time left to begin")
        while True:
            try:
                work = UnitOfWork(
                    assume_absent=assume_absent,
                    maybe_committed=operations if unknown else maybe_committed,
                )
                return self._try_once(operations, work, deadline)
            except DeadlineExceededError:
                break
            except StoreRejectedError as error:
                failure = error
                break
            except (ConflictError, StoreUnavailableError, OutcomeUnknownError) as error:
                failure = error
            unknown |= isinstance(failure, OutcomeUnknownError)
            exists = isinstance(failure, AlreadyExistsError)
            # A reservation exists that was assumed absent. That is no conflict with another writer,
            # so no pause is needed: the next try reads the reservation.
            retry_now = exists and assume_absent
            if retry_now:  # remembered also if a conflict ends this call
                self._verify_rounds = VERIFY_ROUNDS
            if isinstance(failure, ConflictError) and not retry_now and not unknown:
                backoff.pause(failure)
                raise failure
            assume_absent = assume_absent and not (exists or unknown)
            if not (retry_now or backoff.pause(failure)):
                break
        raise OutcomeUnknownError(str(failure)) if unknown else failure

    def _may_assume_absent(self) -> bool:
        if self._verify_rounds == 0:
            return True
        self._verify_rounds -= 1
        return False

    def _try_once(
        self, operations: Sequence[StockOperation[Any]], work: UnitOfWork, deadline: Deadline
    ) -> list[Outcome]:
        needs = self._read_needs(operations, work, deadline)
        fitting = operations[: _count_fitting(needs)]
        outcomes, unread = _decide(fitting, work)
        while unread:
            work.undo()
            self._read(unread, work, deadline)
            outcomes, unread = _decide(fitting, work)
        self._commit(work, deadline)
        if work.assumption_failed:
            self._verify_rounds = VERIFY_ROUNDS
        return outcomes

    def _commit(self, work: UnitOfWork, deadline: Deadline) -> None:
        """Write all changes, if there are any.

        With a sink, the same commit stores the events of low stock.

        If the response to a commit is lost, its products are not logged. ``reconcile`` then
        publishes its events.
        """
        changes = work.changes()
        if not changes:
            return
        changed = work.changed_products()
        low = [after for before, after in changed if crossed_low_stock(before, after)]
        events = [*map(_low_stock_event, low)] if self._on_low_stock else []
        self._store.commit([*changes, *((event, None) for event in events)], deadline)
        for product in low:
            _log_low_stock(product)
        if self._on_low_stock:
            for event in events:
                self._on_low_stock(event)

    def _read_needs(
        self, operations: Sequence[StockOperation[Any]], work: UnitOfWork, deadline: Deadline
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
            work.record_read(*found)


class _Backoff:
    """Pauses between tries, with full jitter. Only failures of the database make them grow."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._ceiling = FIRST_PAUSE_CEILING

    def pause(self, failure: StoreError) -> bool:
        """Sleep. Return False if the deadline leaves no time for another try."""
        if isinstance(failure, ConflictError):
            ceiling = CONFLICT_PAUSE_CEILING
        else:
            ceiling = self._ceiling
            self._ceiling = min(2 * ceiling, MAX_PAUSE_CEILING)
        seconds = random.uniform(0, ceiling)  # noqa: S311 - nothing secret
        if seconds >= self._deadline.remaining - MIN_LEFT:
            return False
        time.sleep(seconds)
        return True


def _decide(
    operations: Sequence[StockOperation[Any]], work: UnitOfWork
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


def _low_stock_event(product: Product) -> LowStockEvent:
    assert product.low_stock_threshold is not None  # noqa: S101 - its stock is low
    return LowStockEvent(
        f"{product.product_id}.{secrets.token_hex(8)}",
        product.product_id,
        product.name,
        product.available,
        product.low_stock_threshold,
        datetime.now(UTC),
    )


def _log_low_stock(product: Product) -> None:
    logs.event(
        "Low stock",
        product_id=product.product_id,
        available=product.available,
        threshold=product.low_stock_threshold,
    )


def _count_fitting(needs: Sequence[Sequence[Key]]) -> int:
    """The number of operations in one commit: the first, and those after it that fit as well."""
    named = list(accumulate(map(len, needs)))
    return max(1, bisect_right(named, MAX_DOCUMENTS))
