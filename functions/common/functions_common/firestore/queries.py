"""Queries that return pages of documents, as protobuf messages.

The client library makes several objects of each field, so a page of 200 orders takes four times the
processor time that it takes here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from google.cloud.firestore_v1.types import StructuredQuery
from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore.client import read_call
from functions_common.firestore.documents import (
    Document,
    Path,
    decode_document,
    encode_value,
    log_unusable,
)
from functions_common.firestore.errors import UnusableDocumentError
from functions_common.firestore.rpcs import RunQueryRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.rpcs import Rpcs
    from functions_common.limiter import ConcurrencyLimiter
    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")

_OPERATORS = {
    "==": StructuredQuery.FieldFilter.Operator.EQUAL,
    "!=": StructuredQuery.FieldFilter.Operator.NOT_EQUAL,
    "<": StructuredQuery.FieldFilter.Operator.LESS_THAN,
    "<=": StructuredQuery.FieldFilter.Operator.LESS_THAN_OR_EQUAL,
    ">=": StructuredQuery.FieldFilter.Operator.GREATER_THAN_OR_EQUAL,
    "array_contains": StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS,
}
_AND = StructuredQuery.CompositeFilter.Operator.AND
_ASCENDING = StructuredQuery.Direction.ASCENDING
_DESCENDING = StructuredQuery.Direction.DESCENDING

Condition = tuple[str, Literal["==", "!=", "<", "<=", ">=", "array_contains"], str | int | bool]
"""Field, operator, value."""


class Position(NamedTuple):
    """The position of a document in the order of a query."""

    path: Path
    value: datetime | str | int | None = None
    """The value of ``newest_first`` or ``order_by``, if the query has one of them."""


@dataclass(frozen=True, slots=True)
class Query:
    """The documents of a collection that meet all conditions, ordered by name."""

    collection: Path
    """``("products",)``, or ``("products", "P001", "adjustments")``."""
    where: tuple[Condition, ...] = ()
    newest_first: str | None = None
    """A field with a time: order by it, then by name, both descending."""
    order_by: str | None = None
    """A field: order by it, then by name, both ascending."""
    after: Position | None = None

    @property
    def ordering_field(self) -> str | None:
        return self.newest_first or self.order_by

    def encode(self, root: str, limit: int) -> Any:  # noqa: ANN401 - made by protobuf, untyped
        request = RunQueryRequest(parent=(root + "/".join(self.collection[:-1])).rstrip("/"))
        query = request.structured_query
        query.from_.add().collection_id = self.collection[-1]
        self._encode_conditions(query.where)
        direction = _ASCENDING if self.newest_first is None else _DESCENDING
        field = self.ordering_field
        if field is not None:
            query.order_by.add(field={"field_path": field}, direction=direction)
        query.order_by.add(field={"field_path": "__name__"}, direction=direction)
        if self.after is not None:
            if field is not None:
                encode_value(self.after.value, query.start_at.values.add())
            query.start_at.values.add().reference_value = root + "/".join(self.after.path)
        query.limit.value = limit
        return request

    def _encode_conditions(self, where: Any) -> None:  # noqa: ANN401 - the same
        single = len(self.where) == 1
        if self.where and not single:
            where.composite_filter.op = _AND
        for name, operator, value in self.where:
            each = where if single else where.composite_filter.filters.add()
            each.field_filter.field.field_path = name
            each.field_filter.op = _OPERATORS[operator]
            encode_value(value, each.field_filter.value)


class Found(NamedTuple):
    document: Document
    created: datetime


class Queries:
    """Runs queries against a database, as many at a time as the limiter admits."""

    def __init__(self, connection: FirestoreConnection, limiter: ConcurrencyLimiter) -> None:
        self._connection = connection
        self._limiter = limiter

    def page(
        self, query: Query, limit: int, read: Callable[[Found], T], deadline: Deadline
    ) -> list[T]:
        """The first ``limit`` documents of a query.

        A document for which ``read`` raises UnusableDocumentError is logged and left out. Then the
        documents after it fill the page, because clients take a short page for the last one.
        The caller's deadline is the only time limit, since a page is a long stream of messages.
        Raises TooManyListRequestsError if the limiter grants no slot in time.
        """
        page: list[T] = []
        while True:
            found = self._run(query, limit, deadline)
            page += _usable(found, read)
            if len(page) >= limit or len(found) < limit:
                return page[:limit]
            query = replace(query, after=_position(found[-1].document, query))

    def _run(self, query: Query, limit: int, deadline: Deadline) -> list[Found]:
        rpcs = self._connection.rpcs
        request = query.encode(rpcs.root, limit)
        with self._limiter.slot(deadline):
            with read_call():
                responses = rpcs.query(request, deadline.timeout(math.inf))
            return [_found(rpcs, each.document) for each in responses]


def _position(document: Document, query: Query) -> Position:
    field = query.ordering_field
    return Position(document.path, None if field is None else document.fields[field])


def _usable(found: Iterable[Found], read: Callable[[Found], T]) -> Iterator[T]:
    for each in found:
        try:
            yield read(each)
        except UnusableDocumentError as error:
            log_unusable(error)


def _found(rpcs: Rpcs, message: Any) -> Found:  # noqa: ANN401 - made by protobuf, untyped
    document = decode_document(rpcs.path(message.name), message)
    return Found(document, DatetimeWithNanoseconds.from_timestamp_pb(message.create_time))
