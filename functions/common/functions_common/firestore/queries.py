"""Queries that return pages of documents, as protobuf messages.

The client library makes several objects of each field, so a page of 200 orders takes four times the
processor time that it takes here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore.client import read_call, to_datetime
from functions_common.firestore.documents import (
    Document,
    Path,
    decode_document,
    encode_value,
    log_unusable,
)
from functions_common.firestore.errors import UnusableDocumentError
from functions_common.firestore.messages import (
    Combination,
    Comparison,
    Direction,
    RunQueryRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.firestore.rpcs import Rpcs
    from functions_common.limiter import ConcurrencyLimiter
    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")

Operator = Literal["==", "!=", "<", "<=", ">=", "in", "array_contains"]
_OPERATORS: dict[Operator, Any] = {
    "==": Comparison.EQUAL,
    "in": Comparison.IN,
    "!=": Comparison.NOT_EQUAL,
    "<": Comparison.LESS_THAN,
    "<=": Comparison.LESS_THAN_OR_EQUAL,
    ">=": Comparison.GREATER_THAN_OR_EQUAL,
    "array_contains": Comparison.ARRAY_CONTAINS,
}
MAX_ALTERNATIVES = 30
"""The product of the sizes of all ``in`` lists of a query is at most this: a limit of Firestore."""
_LAST = "~"
"""Sorts after every character of an id."""

Condition = tuple[str, Operator, Any]
"""Field, operator, value. With ``in`` the value is a list."""


class Position(NamedTuple):
    """The position of a document in the order of a query."""

    path: Path
    value: Any = None
    """The value of ``newest_first_by`` or ``order_by``, if the query has one of them: a value that
    a field can hold, or Firestore's own message."""


@dataclass(frozen=True, slots=True)
class Query:
    """The documents of a collection that meet all conditions.

    They are ordered by document id, unless ``newest_first_by`` or ``order_by`` is set.
    """

    collection: Path
    """``("products",)``, or ``("products", "P001", "adjustments")``."""
    where: tuple[Condition, ...] = ()
    newest_first_by: str | None = None
    """A field with a time: order by it, then by name, both descending."""
    order_by: str | None = None
    """A field: order by it, then by name, both ascending."""
    after: Position | None = None
    id_prefix: str = ""
    """Only for a query ordered by name: the ids begin with this."""

    @property
    def ordering_field(self) -> str | None:
        return self.newest_first_by or self.order_by

    def encode(self, root: str, limit: int) -> Any:  # noqa: ANN401 - made by protobuf, untyped
        request = RunQueryRequest(parent=(root + "/".join(self.collection[:-1])).rstrip("/"))
        query = request.structured_query
        query.from_.add().collection_id = self.collection[-1]
        self._encode_conditions(query.where)
        direction = Direction.ASCENDING if self.newest_first_by is None else Direction.DESCENDING
        field = self.ordering_field
        if field is not None:
            query.order_by.add(field={"field_path": field}, direction=direction)
        query.order_by.add(field={"field_path": "__name__"}, direction=direction)
        if self.after is not None:
            if field is not None:
                _encode_position(self.after.value, query.start_at.values.add())
            query.start_at.values.add().reference_value = root + "/".join(self.after.path)
        elif self.id_prefix:
            query.start_at.values.add().reference_value = self._name(root, self.id_prefix)
            query.start_at.before = True
        if self.id_prefix:
            query.end_at.values.add().reference_value = self._name(root, self.id_prefix + _LAST)
            query.end_at.before = True
        query.limit.value = limit
        return request

    def _name(self, root: str, document_id: str) -> str:
        return root + "/".join((*self.collection, document_id))

    def _encode_conditions(self, where: Any) -> None:  # noqa: ANN401 - the same
        single = len(self.where) == 1
        if self.where and not single:
            where.composite_filter.op = Combination.AND
        for name, operator, value in self.where:
            each = where if single else where.composite_filter.filters.add()
            each.field_filter.field.field_path = name
            each.field_filter.op = _OPERATORS[operator]
            encode_value(value, each.field_filter.value)


class Found(NamedTuple):
    document: Document
    created: datetime


class _Run(NamedTuple):
    """The response to one request."""

    found: list[Found]
    read_time: datetime | None
    last: Any = None
    """The last document as a message. A damaged one can have a value of any type in the field of
    the order, so the next page begins after the message's own value."""


class Queries:
    """Runs queries against a database, as many at a time as the limiter admits."""

    def __init__(self, connection: FirestoreConnection, limiter: ConcurrencyLimiter) -> None:
        self._connection = connection
        self._limiter = limiter

    def page(
        self, query: Query, limit: int, read: Callable[[Found], T | None], deadline: Deadline
    ) -> list[T]:
        """The first ``limit`` documents of a query.

        A document for which ``read`` returns None is left out. So is one for which it raises
        UnusableDocumentError, which is logged. Then the documents after it fill the page, because
        clients take a short page for the last one.
        The caller's deadline is the only time limit, since a page is a long stream of messages.
        Raises TooManyListRequestsError if the limiter grants no slot in time.
        """
        return self.page_and_time(query, limit, read, deadline)[0]

    def page_and_time(
        self, query: Query, limit: int, read: Callable[[Found], T | None], deadline: Deadline
    ) -> tuple[list[T], datetime | None]:
        """The page as ``page`` returns it, and when it was read, by the database's clock.

        The page has every change that was committed before that time. None: Firestore did not send
        the time.
        """
        page: list[T] = []
        first_read: datetime | None = None
        while True:
            run = self._run(query, limit, deadline)
            first_read = first_read or run.read_time
            page += _usable(run.found, read)
            if len(page) >= limit or len(run.found) < limit:
                return page[:limit], first_read
            field = query.ordering_field
            value = None if field is None else run.last.fields[field]
            query = replace(query, after=Position(run.found[-1].document.path, value))

    def _run(self, query: Query, limit: int, deadline: Deadline) -> _Run:
        rpcs = self._connection.rpcs
        request = query.encode(rpcs.root, limit)
        with self._limiter.slot(deadline):
            with read_call():
                responses = rpcs.responses(request, deadline.timeout(math.inf))
            if not responses:
                return _Run([], None)
            documents = [each.document for each in responses if each.HasField("document")]
            found = [_found(rpcs, each) for each in documents]
            last = documents[-1] if documents else None
            return _Run(found, to_datetime(responses[-1].read_time), last)


def _encode_position(value: Any, into: Any) -> None:  # noqa: ANN401 - made by protobuf, untyped
    if isinstance(value, type(into)):
        into.CopyFrom(value)
    else:
        encode_value(value, into)


def _usable(found: Iterable[Found], read: Callable[[Found], T | None]) -> Iterator[T]:
    for each in found:
        try:
            entity = read(each)
        except UnusableDocumentError as error:
            log_unusable(error)
        else:
            if entity is not None:
                yield entity


def _found(rpcs: Rpcs, message: Any) -> Found:  # noqa: ANN401 - made by protobuf, untyped
    document = decode_document(rpcs.path(message.name), message)
    return Found(document, DatetimeWithNanoseconds.from_timestamp_pb(message.create_time))
