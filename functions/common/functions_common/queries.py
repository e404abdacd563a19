"""Pages of documents, read from Firestore in its own messages.

The client library makes several objects of each field, so a page of 200 orders takes four times the
processor time that it takes here. Queries are still written with the library, because only it can
convert them to messages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.firestore_v1.types import RunQueryRequest, RunQueryResponse
from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.documents import Document, _document, _google_errors, log_unusable
from functions_common.firestore import reading
from functions_common.store_errors import UnusableDocumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from google.cloud.firestore import Client, Query

    from functions_common.deadlines import Deadline
    from functions_common.firestore import Connection
    from functions_common.turns import Turns

T = TypeVar("T")

_RUN_QUERY = "/google.firestore.v1.Firestore/RunQuery"
_REQUEST, _RESPONSE = RunQueryRequest.pb(), RunQueryResponse.pb()


class Found(NamedTuple):
    document: Document
    created: datetime


class Queries:
    """Runs queries against a database, a few at a time: they take turns."""

    def __init__(self, connection: Connection, turns: Turns) -> None:
        self._connection = connection
        self._turns = turns
        self._run: Any = None

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
        Raises TooManyListsError if the query gets no turn in time.
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
        client = self._connection.client
        parent, _ = query._parent._parent_info()  # noqa: SLF001 - as Query.stream does
        request = _REQUEST(parent=parent, structured_query=query._to_protobuf()._pb)  # noqa: SLF001
        call = self._call(client)
        with self._turns.take(deadline):
            with reading(), _google_errors():
                timeout = deadline.timeout(math.inf)
                received = [*call(request, timeout=timeout, metadata=_metadata(client))]
            return [*_decoded(received, len(client._database_string) + len("/documents/"))]  # noqa: SLF001

    def _call(self, client: Client) -> Any:  # noqa: ANN401 - made by grpc, untyped
        if self._run is None:
            channel = client._firestore_api.transport.grpc_channel  # noqa: SLF001
            self._run = channel.unary_stream(_RUN_QUERY, _REQUEST.SerializeToString, bytes)
        return self._run


def _usable(found: Iterable[Found], read: Callable[[Found], T]) -> Iterator[T]:
    for each in found:
        try:
            yield read(each)
        except UnusableDocumentError as error:
            log_unusable(error)


def _metadata(client: Client) -> tuple[tuple[str, str], ...]:
    database = client._database_string  # noqa: SLF001
    routing = to_grpc_metadata((("database", database),))  # type: ignore[no-untyped-call]
    return (*client._rpc_metadata, routing)  # noqa: SLF001


def _decoded(received: Iterable[bytes], root: int) -> Iterator[Found]:
    """The whole stream is received first: decoding between its messages costs twice as much.

    ``root`` is the length of the prefix of a document's name before its path. A message without a
    document has only a time.
    """
    for each in received:
        response = _RESPONSE.FromString(each)
        if response.HasField("document"):
            message = response.document
            document = _document(tuple(message.name[root:].split("/")), message)
            created = DatetimeWithNanoseconds.from_timestamp_pb(message.create_time)
            yield Found(document, created)
