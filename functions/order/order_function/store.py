"""Orders in Firestore, ``orders/{order_id}``. The document decides whether an order exists."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from functions_common.batching import Coalesced, UnansweredError
from functions_common.firestore.documents import Change, Document, Documents, read_document
from functions_common.firestore.errors import ConflictError, OutcomeUnknownError
from functions_common.firestore.queries import Position, Queries, Query
from functions_common.limiter import ConcurrencyLimiter
from functions_common.observability import activity
from order_function.domain import Item, Line, Order, Rejection, Status, status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions_common.firestore.client import Connection
    from functions_common.firestore.documents import Document
    from functions_common.firestore.errors import StoreError
    from functions_common.firestore.queries import Condition
    from functions_common.runtime.deadlines import Deadline

COLLECTION = "orders"
MOST_LINES = 500
"""Of orders that are created in one request. Firestore takes 500 documents in one, and 10 MiB: some
10,000 of the longest lines."""


class _New(NamedTuple):
    """An order to be created."""

    order_id: str
    lines: int
    write: Any
    """As Firestore takes it."""


class Store:
    def __init__(self, connection: Connection, turns: ConcurrencyLimiter | None = None) -> None:
        """``turns`` are those of the process's lists."""
        self._queries = Queries(connection, turns or ConcurrencyLimiter())
        self._documents = Documents(connection)
        self._together = Coalesced(self._create_all, MOST_LINES, lambda new: new.lines)

    def get(self, order_id: str, deadline: Deadline) -> tuple[Order, datetime] | None:
        ((_, found),) = self._documents.read([_path(order_id)], deadline)
        return None if found is None else (read_order(found), found.update_time)

    def create(self, order: Order, deadline: Deadline) -> None:
        """Together with others, where others are created just now; each for itself."""
        change = Change(_path(order.order_id), to_document(order), None)
        new = _New(order.order_id, max(1, len(order.lines)), self._documents.encode_write(change))
        try:
            with activity.part("firestore"):
                if error := self._together(new, deadline):
                    raise error
        except UnansweredError as unanswered:
            raise OutcomeUnknownError("no answer by the deadline") from unanswered

    def _create_all(self, new: Sequence[_New], deadline: Deadline) -> Sequence[StoreError | None]:
        """In one request a document is written once: of two that are alike, the second has lost."""
        firsts = {each.order_id: each.write for each in reversed(new)}
        told = dict(
            zip(firsts, self._documents.write_each([*firsts.values()], deadline), strict=True)
        )
        return [
            told.pop(each.order_id)
            if each.order_id in told
            else ConflictError(f"{each.order_id} is being created by another")
            for each in new
        ]

    def replace(self, order: Order, version: datetime, deadline: Deadline) -> None:
        """Writes the fields that differ from the order as it was read; all fields of a new one."""
        fields = to_document(order)
        if (before := order.stored) is not None:
            fields = {
                name: value
                for name, value in fields.items()
                if getattr(order, name) != getattr(before, name)
            }
        self._documents.commit([Change(_path(order.order_id), fields, version)], deadline)

    def of_customer(
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
        query = Query((COLLECTION,), tuple(where), newest_first="created_at", after=position)
        return self._queries.page(query, limit, lambda found: read_order(found.document), deadline)


def _path(order_id: str) -> tuple[str, str]:
    return COLLECTION, order_id


class _OrderFields(msgspec.Struct):
    """As stored. A field with a default may be missing: an older revision did not write it."""

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


class _NewTotal(msgspec.Struct):
    """The extensions of a rejection that are computed with; both or none."""

    total_price: int
    currency: str


def read_order(found: Document) -> Order:
    """Raises DamagedDocumentError for a document that is no order."""
    return read_document(found, _to_order)


def _to_order(found: Document) -> Order:
    fields = found.convert(_OrderFields)
    if fields.rejection and "total_price" in fields.rejection.extensions:
        msgspec.convert(fields.rejection.extensions, _NewTotal)
    order = Order(
        found.id,
        fields.customer_id,
        status_of(fields.status),
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


_STORED = tuple(name for name in Order.__slots__ if name not in ("order_id", "stored"))


def to_document(order: Order) -> dict[str, Any]:
    fields = {name: getattr(order, name) for name in _STORED}
    return {
        **fields,
        "status": str(order.status),
        "lines": [_fields(line) for line in order.lines],
        "items": [_fields(item) for item in order.items],
        "rejection": _fields(order.rejection) if order.rejection else None,
    }


def _fields(value: Line | Item | Rejection) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
