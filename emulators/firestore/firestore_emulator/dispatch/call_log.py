"""Log a line for each call: time, method, database, target, status, duration. Never a document.

12:30:01.204 Commit projects/p/databases/(default) orders/1 and 2 more OK 0.4 ms
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.code_pb2 import Code

from firestore_emulator.dispatch.interceptor import Call
from firestore_emulator.model.errors import EmulatorError
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BatchWriteRequest,
    CommitRequest,
    CreateDocumentRequest,
    DeleteDocumentRequest,
    GetDocumentRequest,
    ListDocumentsRequest,
    PartitionQueryRequest,
    RunAggregationQueryRequest,
    RunQueryRequest,
    StructuredQuery,
    UpdateDocumentRequest,
)

_NAME = re.compile(r"(projects/[^/]*/databases/[^/]*)(?:/documents)?/?(.*)", re.DOTALL)


class CallTarget(NamedTuple):
    database: str
    path: str  # first document or collection, and the number of others


class CallLog:
    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    @asynccontextmanager
    async def intercept(self, call: Call) -> AsyncIterator[None]:
        began, start = datetime.now().astimezone(), time.perf_counter()
        status = Code.Name(code_pb2.UNKNOWN)
        try:
            yield
            status = Code.Name(code_pb2.OK)
        except asyncio.CancelledError:
            status = Code.Name(code_pb2.CANCELLED)
            raise
        except EmulatorError as error:
            status = Code.Name(error.code)
            raise
        finally:
            milliseconds = (time.perf_counter() - start) * 1000
            database, path = target_of(call.request)
            words = (
                f"{began:%H:%M:%S}.{began.microsecond // 1000:03}",
                _printable(call.method),  # an unimplemented one has any name
                database,
                path,
            )
            self._write(" ".join(filter(None, (*words, status, f"{milliseconds:.1f} ms"))))


def target_of(request: Message | None) -> CallTarget:
    """The database and path of a request; empty if there is none, or none is parsed."""
    if request is None:
        return CallTarget("", "")
    names = _names(request)
    found = _NAME.fullmatch(next(iter(names), ""))
    database, first = found.groups() if found else ("", "")
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return CallTarget(_printable(database), _printable(first) + more)


def _names(request: Message) -> Sequence[str]:
    match request:
        case CommitRequest(writes=writes) | BatchWriteRequest(writes=writes) if writes:
            return [each.update.name or each.delete or each.transform.document for each in writes]
        case BatchGetDocumentsRequest():
            return request.documents
        case GetDocumentRequest() | DeleteDocumentRequest():
            return [request.name]
        case UpdateDocumentRequest():
            return [request.document.name]
        case CreateDocumentRequest() | ListDocumentsRequest():
            return [f"{request.parent}/{request.collection_id}"]
        case RunQueryRequest() | PartitionQueryRequest():
            return [_collection(request.parent, request.structured_query)]
        case RunAggregationQueryRequest():
            query = request.structured_aggregation_query.structured_query
            return [_collection(request.parent, query)]
        case _:
            return [getattr(request, "parent", "") or getattr(request, "database", "")]


def _collection(parent: str, query: StructuredQuery) -> str:
    return "/".join([parent, *(each.collection_id for each in query.from_)])


def _printable(name: str) -> str:
    """Escapes a name that has line breaks or other unprintable characters."""
    return name if name.isprintable() else ascii(name)
