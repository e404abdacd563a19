"""Orders in Firestore: ``orders/{order_id}``. An order exists if its document exists."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from functions_common.batching import Batcher, UnknownResultError
from functions_common.firestore.documents import Change, Document, Documents, convert_document
from functions_common.firestore.errors import ConflictError, OutcomeUnknownError
from functions_common.firestore.queries import Position, Queries, Query
from functions_common.limiter import ConcurrencyLimiter
from functions_common.observability import activity
from order_function.batch_limits import MAX_QUEUE_SECONDS, MIN_SECONDS_TO_SHARE
from order_function.domain import Item, Line, Order, Rejection, Status, parse_status
from order_function.ports import VersionedOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.errors import StoreError
    from functions_common.firestore.queries import Condition
    from functions_common.runtime.deadlines import Deadline

ORDERS = "orders"
RESERVATIONS = "reservations"
"""Inventory's collection. ``reconcile`` and ``audit`` read it; no code of order writes it."""
MAX_BATCH_LINES = 500
"""Lines of all orders that one request creates. An order has at least one line, so the request has
at most 500 documents, which is Firestore's limit. Firestore also limits a request to 10 MiB. 500 of
the longest lines take a twentieth of that."""


class _NewOrder(NamedTuple):
    order_id: str
    lines: int
    write: Any
    """The write in Firestore's format."""


class FirestoreOrders:
    def __init__(
        self, connection: FirestoreConnection, list_limiter: ConcurrencyLimiter | None = None
    ) -> None:
        """``list_limiter`` limits the lists that this process reads concurrently."""
        self._queries = Queries(connection, list_limiter or ConcurrencyLimiter())
        self._documents = Documents(connection)
        self._batcher = Batcher(
            self._create_batch,
            lambda new: new.lines,
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
        change = Change(_path(order.order_id), to_document(order), None)
        new = _NewOrder(
            order.order_id, max(1, len(order.lines)), self._documents.encode_write(change)
        )
        try:
            with activity.part("firestore"):
                if error := self._batcher.submit(new, deadline):
                    raise error
        except UnknownResultError as unanswered:
            raise OutcomeUnknownError("no response by the deadline") from unanswered

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
        fields = to_document(order)
        if (before := order.stored) is not None:
            fields = {
                field: fields[field]
                for field, attribute in _ATTRIBUTES.items()
                if getattr(order, attribute) != getattr(before, attribute)
            }
        self._documents.commit([Change(_path(order.order_id), fields, version)], deadline)

    def list_for_customer(
        self,
        customer_id: str,
        status: Status | None,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Order]:
        where: list[Condition] = [("customer_id", "==", customer_id)]
        if status is not None:
            where.append(("status", "==", status.value))
        position = None if after is None else Position(_path(after[1]), after[0])
        query = Query((ORDERS,), tuple(where), newest_first="created_at", after=position)
        return self._queries.page(query, limit, lambda found: read_order(found.document), deadline)


def _path(order_id: str) -> tuple[str, str]:
    return ORDERS, order_id


class _OrderFields(msgspec.Struct):
    """The fields of the document. An older revision did not write those with a default."""

    customer_id: str
    status: str
    created_at: datetime
    fingerprint: str
    lines: tuple[Line, ...]
    attempt: int = 0
    nonce: str = ""
    items: tuple[Item, ...] = ()
    currency: str | None = None
    rejection: Rejection | None = None
    expected_total: int | None = None


class _PriceChangedExtensions(msgspec.Struct):
    """The extensions of a rejection for its price: both are there, or neither."""

    total_price: int | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,30}$")]
    """In minor units. A total above ``MAX_TOTAL`` is stored as text."""
    currency: str


def read_order(found: Document) -> Order:
    """The order in a document. Raises DamagedDocumentError for a malformed document."""
    return convert_document(found, _to_order)


def _to_order(found: Document) -> Order:
    fields = found.convert(_OrderFields)
    if fields.rejection and "total_price" in fields.rejection.extensions:
        msgspec.convert(fields.rejection.extensions, _PriceChangedExtensions)
    order = Order(
        found.id,
        fields.customer_id,
        parse_status(fields.status),
        fields.created_at,
        fields.fingerprint,
        fields.attempt,
        fields.nonce,
        fields.lines,
        fields.items,
        fields.currency,
        fields.rejection,
        fields.expected_total,
    )
    return replace(order, stored=order)


_ATTRIBUTES = {
    "attempt" if name == "attempt_number" else name: name
    for name in Order.__slots__
    if name not in ("order_id", "stored")
}
"""For each field of an order's document, the attribute of the order that it holds."""


def to_document(order: Order) -> dict[str, Any]:
    fields = {field: getattr(order, attribute) for field, attribute in _ATTRIBUTES.items()}
    return {
        **fields,
        "status": str(order.status),
        "lines": [_fields(line) for line in order.lines],
        "items": [_fields(item) for item in order.items],
        "rejection": _fields(order.rejection) if order.rejection else None,
    }


def _fields(value: Line | Item | Rejection) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
