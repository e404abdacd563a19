"""Pages of documents, read from Firestore in its own messages.

The client library makes several objects of each field, so a page of 200 orders takes four times the
processor time that it takes here. Queries are still written with the library, because only it can
convert them to messages.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore.client import read_call
from functions_common.firestore.documents import (
    RUN_QUERY,
    Document,
    Wire,
    decoded_document,
    grpc_errors_as_api_errors,
    log_unusable,
)
from functions_common.firestore.errors import UnusableDocumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from google.cloud.firestore import Query

    from functions_common.firestore.client import Connection
    from functions_common.limiter import ConcurrencyLimiter
    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")


class Found(NamedTuple):
    document: Document
    created: datetime


class Queries:
    """Runs queries against a database, as many at a time as the limiter admits."""

    def __init__(self, connection: Connection, limiter: ConcurrencyLimiter) -> None:
        self._connection = connection
        self._limiter = limiter

    @cached_property
    def _wire(self) -> Wire:
        return Wire.of(self._connection.client)

    def page(
        self,
        query: Query,
        limit: int,
        read: Callable[[Found], T],
        deadline: Deadline,
        *,
        ordered_by: str | None = None,
    ) -> list[T]:
        """The first ``limit`` documents of a query, ordered by the field, if any, and the name.

        A document for which ``read`` raises UnusableDocumentError is logged and left out, and the
        page is filled with the documents after it: a short page is the last one.
        The caller's deadline is the only time limit, because a page is a long stream of messages.
        Raises TooManyListRequestsError if the limiter grants no slot in time.
        """
        page: list[T] = []
        while True:
            found = self._received(query.limit(limit), deadline)
            page += _usable(found, read)
            if len(page) >= limit or len(found) < limit:
                return page[:limit]
            last = found[-1].document
            place: dict[str, object] = {"__name__": self._connection.client.document(*last.path)}
            if ordered_by is not None:
                place[ordered_by] = last.fields[ordered_by]
            query = query.start_after(place)

    def _received(self, query: Query, deadline: Deadline) -> list[Found]:
        wire = self._wire
        parent, _ = query._parent._parent_info()  # noqa: SLF001 - as Query.stream does
        request = RUN_QUERY(parent=parent, structured_query=query._to_protobuf()._pb)  # noqa: SLF001
        with self._limiter.slot(deadline):
            with read_call(), grpc_errors_as_api_errors():
                responses = wire.query(request, deadline.timeout(math.inf))
            return [_found(wire, each.document) for each in responses]


def _usable(found: Iterable[Found], read: Callable[[Found], T]) -> Iterator[T]:
    for each in found:
        try:
            yield read(each)
        except UnusableDocumentError as error:
            log_unusable(error)


def _found(wire: Wire, message: Any) -> Found:  # noqa: ANN401 - made by protobuf, untyped
    document = decoded_document(wire.path(message.name), message)
    return Found(document, DatetimeWithNanoseconds.from_timestamp_pb(message.create_time))
