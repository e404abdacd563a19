"""Orders in Firestore, ``orders/{order_id}``. The document decides whether an order exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from google.cloud.firestore import FieldFilter, Query

from functions_common import activity
from functions_common.documents import Change, Documents
from functions_common.queries import Queries
from functions_common.store_errors import ConflictError, OutcomeUnknownError
from functions_common.turns import Turns
from order_function.coalescing import Coalesced, UnansweredError
from order_function.domain import Item, Line, Order, Rejection, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from google.cloud.firestore import DocumentReference

    from functions_common.deadlines import Deadline
    from functions_common.documents import Document
    from functions_common.firestore import Connection
    from functions_common.store_errors import StoreError

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
    def __init__(self, connection: Connection, turns: Turns | None = None) -> None:
        """``turns`` are those of the process's lists."""
        self._connection = connection
        self._queries = Queries(connection, turns or Turns())
        self._documents = Documents(connection)
        self._together = Coalesced(self._create_all, MOST_LINES, lambda new: new.lines)

    def get(self, order_id: str, deadline: Deadline) -> tuple[Order, datetime] | None:
        ((_, found),) = self._documents.read([_path(order_id)], deadline)
        return None if found is None else (to_order(found), found.update_time)

    def create(self, order: Order, deadline: Deadline) -> None:
        """Together with others, where others are created just now; each for itself."""
        change = Change(_path(order.order_id), to_document(order), None)
        new = _New(order.order_id, max(1, len(order.lines)), self._documents.prepared(change))
        try:
            with activity.part("firestore"):
                if error := self._together(new, deadline):
                    raise error
        except UnansweredError as unanswered:
            raise OutcomeUnknownError("no answer by the deadline") from unanswered

    def _create_all(self, new: Sequence[_New], deadline: Deadline) -> Sequence[StoreError | None]:
        """In one request a document is written once: of two that are alike, the second has lost."""
        firsts = {each.order_id: each.write for each in reversed(new)}
        told = dict(zip(firsts, self._documents.write_each(firsts.values(), deadline), strict=True))
        return [
            told.pop(each.order_id)
            if each.order_id in told
            else ConflictError(f"{each.order_id} is being created by another")
            for each in new
        ]

    def replace(self, order: Order, version: datetime, deadline: Deadline) -> None:
        change = Change(_path(order.order_id), to_document(order), version)
        self._documents.commit([change], deadline)

    def of_customer(
        self,
        customer_id: str,
        status: Status | None,
        after: tuple[datetime, str] | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Order]:
        query = self._connection.client.collection(COLLECTION).where(
            filter=FieldFilter("customer_id", "==", customer_id)
        )
        if status is not None:
            query = query.where(filter=FieldFilter("status", "==", status.value))
        query = (
            query.order_by("created_at", direction=Query.DESCENDING)
            .order_by("__name__", direction=Query.DESCENDING)
            .limit(limit)
        )
        if after is not None:
            place = {"created_at": after[0], "__name__": self._reference(after[1])}
            query = query.start_after(place)
        return [to_order(found) for found, _ in self._queries.run(query, deadline)]

    def _reference(self, order_id: str) -> DocumentReference:
        return self._connection.client.document(COLLECTION, order_id)


def _path(order_id: str) -> tuple[str, str]:
    return COLLECTION, order_id


def to_order(found: Document) -> Order:
    fields = found.known(Order)
    rejection = fields.pop("rejection", None)
    return Order(
        order_id=found.id,
        status=Status(fields.pop("status")),
        lines=tuple(Line(**line) for line in fields.pop("lines")),
        items=tuple(Item(**item) for item in fields.pop("items")),
        rejection=Rejection(**rejection) if rejection else None,
        **fields,
    )


def to_document(order: Order) -> dict[str, Any]:
    fields = {name: getattr(order, name) for name in order.__slots__ if name != "order_id"}
    return {
        **fields,
        "status": order.status.value,
        "lines": [_fields(line) for line in order.lines],
        "items": [_fields(item) for item in order.items],
        "rejection": _fields(order.rejection) if order.rejection else None,
    }


def _fields(value: Line | Item | Rejection) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
