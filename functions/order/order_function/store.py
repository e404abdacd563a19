"""Orders in Firestore: ``orders/{order_id}``. An order exists if its document exists."""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from functions_common.batching import Batcher, UnknownResultError
from functions_common.firestore.documents import Change, Documents
from functions_common.firestore.errors import (
    ConflictError,
    OutcomeUnknownError,
    UnusableDocumentError,
)
from functions_common.firestore.queries import MAX_ALTERNATIVES, Position, Queries, Query
from functions_common.limiter import ConcurrencyLimiter
from functions_common.observability import activity
from order_function.batch_limits import MAX_QUEUE_SECONDS, MIN_SECONDS_TO_SHARE
from order_function.domain import Status
from order_function.order_documents import (
    LISTED_SHARDS,
    ORDERS,
    REJECTED_SHARDS,
    SHARDS,
    STORED_AT,
    UNSENT_EVENTS,
    difference,
    read_order,
    to_document,
)
from order_function.ports import (
    ChangedOrder,
    ChangedOrders,
    OrderFilter,
    OrderOrError,
    VersionedOrder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.errors import StoreError
    from functions_common.firestore.queries import Condition, Found
    from functions_common.runtime.deadlines import Deadline
    from order_function.domain import Order

MAX_BATCH_LINES = 500
"""Lines of all orders in one request that creates them. An order has at least one line, so the
request has at most 500 documents, which is Firestore's limit."""
BYTES_COUNTED_AS_A_LINE = 10_000
"""An order of more bytes counts as several lines, so that a request stays below Firestore's limit
of 10 MiB. A line has at most 1,200 bytes. A note, metadata and an address can have more."""


class _NewOrder(NamedTuple):
    order_id: str
    size: int
    """In lines."""
    write: Any
    """The write in Firestore's format."""


class FirestoreOrderStore:
    def __init__(
        self,
        connection: FirestoreConnection,
        list_limiter: ConcurrencyLimiter | None = None,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        """``list_limiter`` limits the lists that this process reads concurrently.

        ``on_event`` gets the id of each order that has a new event, after it is stored. Without it,
        the history still has every event, but no order is marked as having unsent ones.
        """
        self._on_event = on_event
        self._queries = Queries(connection, list_limiter or ConcurrencyLimiter())
        self._documents = Documents(connection)
        self._batcher = Batcher(
            self._create_batch,
            lambda new: new.size,
            MAX_BATCH_LINES,
            min_left_to_share=MIN_SECONDS_TO_SHARE,
            overtake_after=MAX_QUEUE_SECONDS,
        )

    def get(self, order_id: str, deadline: Deadline) -> VersionedOrder | None:
        ((_, found),) = self._documents.read([_path(order_id)], deadline)
        return None if found is None else VersionedOrder(read_order(found), found.update_time)

    def create(self, order: Order, deadline: Deadline) -> None:
        """Create the document, in one request with other orders that are queued.

        Each write succeeds or fails alone.
        """
        write = self._documents.encode_write(self._change(order, to_document(order), None))
        size = max(1, len(order.lines), write.ByteSize() // BYTES_COUNTED_AS_A_LINE)
        new = _NewOrder(order.order_id, size, write)
        try:
            with activity.part("firestore"):
                if error := self._batcher.submit(new, deadline):
                    raise error
        except UnknownResultError as unanswered:
            raise OutcomeUnknownError("no response by the deadline") from unanswered
        self._note_events(order)

    def _create_batch(
        self, batch: Sequence[_NewOrder], deadline: Deadline
    ) -> Sequence[StoreError | None]:
        """The error of each write; None if it succeeded.

        One request may write a document once. If two orders have the same id, the second fails with
        a conflict.
        """
        writes = {new.order_id: new.write for new in reversed(batch)}
        results = dict(
            zip(writes, self._documents.write_each([*writes.values()], deadline), strict=True)
        )
        return [
            results.pop(new.order_id)
            if new.order_id in results
            else ConflictError(f"{new.order_id} is being created by another request")
            for new in batch
        ]

    def replace(self, order: Order, version: datetime, deadline: Deadline) -> None:
        """Write the fields that differ from the order that was read; all fields of a new order."""
        before = order.stored
        if before is None:
            change = self._change(order, to_document(order), version)
        else:
            found = difference(order, before)
            change = replace(
                self._change(order, found.fields, version),
                removed=found.removed,
                appended={"history": found.events},
            )
        self._documents.commit([change], deadline)
        self._note_events(order)

    def _change(self, order: Order, fields: dict[str, Any], version: datetime | None) -> Change:
        if self._on_event and len(order.history) > order.events_sent:
            fields = {**fields, UNSENT_EVENTS: True}
        server_time = None if order.status is Status.ABANDONED else STORED_AT
        return Change(_path(order.order_id), fields, version, server_time)

    def _note_events(self, order: Order) -> None:
        if self._on_event and len(order.history) > order.events_sent:
            self._on_event(order.order_id)

    def list_newest(
        self,
        wanted: OrderFilter,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Order]:
        position = None if after is None else Position(_path(after[1]), after[0])
        pages = [
            self._queries.page(
                Query((ORDERS,), tuple(where), newest_first_by="created_at", after=position),
                limit,
                _reading(wanted),
                deadline,
            )
            for where in _conditions(wanted)
        ]
        newest = heapq.merge(
            *pages, key=lambda order: (order.created_at, order.order_id), reverse=True
        )
        # An order whose status changes between two queries can be in both pages.
        by_id = {order.order_id: order for order in newest}
        return [*islice(by_id.values(), limit)]

    def list_changed(
        self,
        since: datetime,
        until: datetime | None,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> ChangedOrders:
        position = None if after is None else Position(_path(after[1]), after[0])
        where: list[Condition] = [
            ("shard", "in", [*LISTED_SHARDS, *REJECTED_SHARDS]),
            (STORED_AT, ">=", since),
        ]
        if until is not None:
            where.append((STORED_AT, "<=", until))
        query = Query((ORDERS,), tuple(where), order_by=STORED_AT, after=position)
        found, read_time = self._queries.page_and_time(query, limit, _changed_order, deadline)
        return ChangedOrders(found, read_time or since)

    def list_by_id(
        self, prefix: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[Order]:
        position = None if after is None else Position(_path(after))
        query = Query((ORDERS,), after=position, id_prefix=prefix)
        return self._queries.page(query, limit, _reading(OrderFilter()), deadline)

    def orders_of(
        self, customer_id: str, after: str | None, limit: int, deadline: Deadline
    ) -> list[OrderOrError]:
        query = Query(
            (ORDERS,),
            (("customer_id", "==", customer_id),),
            after=None if after is None else Position(_path(after)),
        )
        return self._queries.page(query, limit, _stored_order, deadline)


def _conditions(wanted: OrderFilter) -> Iterator[list[Condition]]:
    """The conditions of each query that a filter needs. Their results must be merged."""
    times: list[Condition] = []
    if wanted.created_from is not None:
        times.append(("created_at", ">=", wanted.created_from))
    if wanted.created_before is not None:
        times.append(("created_at", "<", wanted.created_before))
    if wanted.customer_id is not None:
        statuses = sorted(map(str, wanted.statuses))
        of_customer: Condition = ("customer_id", "==", wanted.customer_id)
        of_status: list[Condition] = [("status", "in", statuses)] if statuses else []
        yield [of_customer, *of_status, *times]
        return
    product: list[Condition] = []
    if wanted.product_id is not None:
        product.append(("product_ids", "array_contains", wanted.product_id))
    if not wanted.statuses:
        yield [("shard", "in", [*LISTED_SHARDS]), *product, *times]
    for shards, statuses in _shards_and_statuses(wanted.statuses):
        yield [("shard", "in", [*shards]), ("status", "in", statuses), *product, *times]


def _shards_and_statuses(
    wanted: Collection[Status],
) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    if Status.REJECTED in wanted:
        yield REJECTED_SHARDS, [str(Status.REJECTED)]
    listed = sorted(str(each) for each in wanted if each is not Status.REJECTED)
    size = MAX_ALTERNATIVES // SHARDS
    for first in range(0, len(listed), size):
        yield LISTED_SHARDS, listed[first : first + size]


def _reading(wanted: OrderFilter) -> Callable[[Found], Order | None]:
    """A function that reads a found order; None if it does not match the filter.

    The query does not have all conditions of the filter.
    """

    def read(found: Found) -> Order | None:
        order = read_order(found.document)
        return order if wanted.matches(order) else None

    return read


def _stored_order(found: Found) -> OrderOrError:
    document = found.document
    try:
        stored = VersionedOrder(read_order(document), document.update_time)
    except UnusableDocumentError as error:
        return OrderOrError(document.id, error)
    return OrderOrError(document.id, stored)


def _changed_order(found: Found) -> ChangedOrder:
    stored_at: datetime = found.document.fields[STORED_AT]
    return ChangedOrder(read_order(found.document), stored_at)


def _path(order_id: str) -> tuple[str, str]:
    return ORDERS, order_id
