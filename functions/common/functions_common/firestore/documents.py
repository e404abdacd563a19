"""Documents, written to Firestore and read from it in its own messages.

The client library makes an object of each field before it makes a message of it, which costs ten
times as much as a commit does here. The client generated under it adds a third to each call.
``queries.py`` reads pages of documents in the same way.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import grpc
import msgspec
from google.api_core import exceptions as google_errors
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    BatchWriteRequest,
    BatchWriteResponse,
    CommitRequest,
    CommitResponse,
    RunQueryRequest,
    RunQueryResponse,
    StructuredQuery,
    Write,
)
from google.protobuf.timestamp_pb2 import Timestamp
from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore.client import (
    CALL_SECONDS,
    commit_call,
    commit_errors,
    read_call,
)
from functions_common.firestore.errors import (
    DamagedDocumentError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
    UnusableDocumentError,
)
from functions_common.observability import logs
from functions_common.runtime.deadlines import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from google.cloud.firestore import Client, DocumentSnapshot

    from functions_common.firestore.client import Connection
    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")

Path = tuple[str, ...]

UNKNOWN_VALUE: Final = object()
"""A field's value of a type that this version of the client library cannot read."""

_SERVICE = "/google.firestore.v1.Firestore"
_READ, _FOUND = BatchGetDocumentsRequest.pb(), BatchGetDocumentsResponse.pb()
_COMMIT, _COMMITTED = CommitRequest.pb(), CommitResponse.pb()
_EACH, _TOLD = BatchWriteRequest.pb(), BatchWriteResponse.pb()
RUN_QUERY, _QUERIED = RunQueryRequest.pb(), RunQueryResponse.pb()
_WRITE = Write.pb()
_EQUAL = StructuredQuery.FieldFilter.Operator.EQUAL


@dataclass(frozen=True, slots=True)
class Document:
    path: Path
    fields: Mapping[str, Any]
    update_time: datetime
    """The version: an update can ask for exactly this one to be there."""

    @property
    def id(self) -> str:
        return self.path[-1]

    @classmethod
    def from_snapshot(cls, found: DocumentSnapshot[Any]) -> Document:
        """The document of a snapshot, as the library's queries return it."""
        path = tuple(found.reference.path.split("/"))
        fields = {name: _plain(value) for name, value in (found.to_dict() or {}).items()}
        return cls(path, fields, found.update_time)

    def convert(self, shape: type[T]) -> T:
        """The fields as a msgspec struct.

        Ignores fields that the struct does not name, at every depth: a newer revision may have
        added them. Raises DamagedDocumentError if a field is missing or of another type.
        """
        try:
            return msgspec.convert(self.fields, shape)
        except msgspec.ValidationError as error:
            raise self.damaged(str(error)) from error

    def damaged(self, reason: str) -> DamagedDocumentError:
        return DamagedDocumentError("/".join(self.path), reason)


def read_document(found: Document, read: Callable[[Document], T]) -> T:
    """The document as ``read`` returns it. Raises nothing but UnusableDocumentError.

    One document must never end the work on others, so an exception that its reader does not
    expect counts as damage too.
    """
    try:
        return read(found)
    except UnusableDocumentError:
        raise
    except Exception as error:
        raise found.damaged(f"{type(error).__name__}: {error}"[:200]) from error


def log_unusable(error: UnusableDocumentError) -> None:
    damaged = isinstance(error, DamagedDocumentError)
    logs.event(
        "Document left out",
        severity=logging.ERROR if damaged else logging.WARNING,
        document=error.path,
        reason=error.reason,
    )


@dataclass(frozen=True, slots=True)
class Name:
    """The id of a document that a query found, without its fields."""

    id: str
    age: timedelta
    """Since the document was created, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Change:
    path: Path
    fields: Mapping[str, Any]
    replaces: datetime | None
    """The version that must be there; None: the document must not be. Fields that are not given
    stay as they are."""


class Documents:
    """Those of a connection's database, by their paths."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def _wire(self) -> Wire:
        return Wire.of(self._connection.client)

    def read(
        self, paths: Iterable[Path], deadline: Deadline
    ) -> Iterator[tuple[Path, Document | None]]:
        """All at one moment, in no order; None where there is no document."""
        wire = self._wire
        names = [wire.root + "/".join(path) for path in paths]
        request = _READ(database=wire.database, documents=names)
        with read_call(), grpc_errors_as_api_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            for answer in wire.batch_get(request, timeout=timeout, metadata=wire.metadata):
                found = answer.WhichOneof("result") == "found"
                path = wire.path(answer.found.name if found else answer.missing)
                yield path, decoded_document(path, answer.found) if found else None

    def find_ids(
        self,
        collection: str,
        where: tuple[str, str],
        after: str | None,
        limit: int,
        deadline: Deadline,
    ) -> list[Name]:
        """Of the documents with this value in this field, by id, after the id given.

        A tenth of the processor time of a query through the library, which returns whole documents.
        """
        wire = self._wire
        request = RUN_QUERY(parent=wire.root[:-1])
        query = request.structured_query
        query.from_.add().collection_id = collection
        query.select.fields.add().field_path = "__name__"
        query.where.field_filter.field.field_path = where[0]
        query.where.field_filter.op = _EQUAL
        query.where.field_filter.value.string_value = where[1]
        query.order_by.add().field.field_path = "__name__"
        query.limit.value = limit
        if after is not None:
            place = query.start_at.values.add()
            place.reference_value = f"{wire.root}{collection}/{after}"
        with read_call(), grpc_errors_as_api_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            return [_name(each) for each in wire.query(request, timeout)]

    def commit(self, changes: Iterable[Change], deadline: Deadline) -> None:
        """All changes or none.

        Raises ConflictError if a document is not of the version that its change names.
        """
        wire = self._wire
        request = _COMMIT(database=wire.database)
        with _encoding_errors():
            for change in changes:
                wire.fill(request.writes.add(), change)
        with commit_call(), grpc_errors_as_api_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            wire.commit(request, timeout=timeout, metadata=wire.metadata)

    def encode_write(self, change: Change) -> Any:  # noqa: ANN401 - made by protobuf, untyped
        """The change as Firestore takes it, for ``write_each``."""
        write = _WRITE()
        with _encoding_errors():
            self._wire.fill(write, change)
        return write

    def write_each(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        """Each change on its own: None, or the error that a commit of it alone would have raised.

        At most 500 changes, of different documents, in one request. If Firestore rejects that
        request for good, it is divided until only the change to blame fails. Any other error of a
        request is raised. The deadline is that of one change, and those of others may be earlier,
        so all requests together end within ``CALL_SECONDS``, as one request would.
        """
        return self._write_each(writes, deadline.within(CALL_SECONDS))

    def _write_each(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        try:
            return self._write_together(writes, deadline)
        except StoreRejectedError as error:
            if len(writes) == 1:
                return [error]
        half = len(writes) // 2
        return [
            *self._write_part(writes[:half], deadline),
            *self._write_part(writes[half:], deadline),
        ]

    def _write_part(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        """As ``_write_each``, but returns every error: the other part may be written."""
        try:
            return self._write_each(writes, deadline)
        except DeadlineExceededError:
            return [StoreUnavailableError("no time left to begin")] * len(writes)
        except StoreError as error:
            return [error] * len(writes)

    def _write_together(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        wire = self._wire
        request = _EACH(database=wire.database, writes=writes)
        with commit_errors(), grpc_errors_as_api_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            response = wire.batch_write(request, timeout=timeout, metadata=wire.metadata)
        return [_error_of(status) for status in response.status]


def _error_of(status: Any) -> StoreError | None:  # noqa: ANN401 - made by protobuf, untyped
    """The error that a commit of that change alone would have raised."""
    if status.code == grpc.StatusCode.OK.value[0]:
        return None
    try:
        with commit_errors():
            raise google_errors.from_grpc_status(status.code, status.message)  # type: ignore[no-untyped-call]
    except StoreError as error:
        return error


@contextmanager
def _encoding_errors() -> Iterator[None]:
    """A value that Firestore has no type for is rejected before it is sent."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise StoreRejectedError(f"{type(error).__name__}: {error}") from error


@contextmanager
def grpc_errors_as_api_errors() -> Iterator[None]:
    """Translate gRPC errors into google.api_core exceptions."""
    try:
        yield
    except grpc.RpcError as error:
        raise google_errors.from_grpc_error(error) from error  # type: ignore[no-untyped-call]


class Wire(NamedTuple):
    """Calls on the library's own channel, without the five layers that its client adds.

    The library keeps to itself what is needed for them: three private attributes, which a test of
    the pinned version holds.
    """

    batch_get: grpc.UnaryStreamMultiCallable[Any, Any]
    commit: grpc.UnaryUnaryMultiCallable[Any, Any]
    batch_write: grpc.UnaryUnaryMultiCallable[Any, Any]
    run_query: grpc.UnaryStreamMultiCallable[Any, bytes]
    metadata: tuple[tuple[str, str], ...]
    database: str
    root: str

    @classmethod
    def of(cls, client: Client) -> Wire:
        database = client._database_string  # noqa: SLF001
        channel = client._firestore_api.transport.grpc_channel  # noqa: SLF001
        routing = to_grpc_metadata((("database", database),))  # type: ignore[no-untyped-call]
        return cls(
            channel.unary_stream(f"{_SERVICE}/BatchGetDocuments", *_codec(_READ, _FOUND)),
            channel.unary_unary(f"{_SERVICE}/Commit", *_codec(_COMMIT, _COMMITTED)),
            channel.unary_unary(f"{_SERVICE}/BatchWrite", *_codec(_EACH, _TOLD)),
            channel.unary_stream(f"{_SERVICE}/RunQuery", RUN_QUERY.SerializeToString, bytes),
            (*client._rpc_metadata, routing),  # noqa: SLF001
            database,
            f"{database}/documents/",
        )

    def query(self, request: Any, timeout: float) -> list[Any]:  # noqa: ANN401 - the same
        """The responses that hold a document; others have only a time.

        The whole stream is received first: decoding between its messages costs twice as much.
        """
        received = [*self.run_query(request, timeout=timeout, metadata=self.metadata)]
        responses = map(_QUERIED.FromString, received)
        return [each for each in responses if each.HasField("document")]

    def path(self, name: str) -> Path:
        return tuple(name[len(self.root) :].split("/"))

    def fill(self, write: Any, change: Change) -> None:  # noqa: ANN401 - the same
        write.update.name = self.root + "/".join(change.path)
        _encode_fields(change.fields, write.update.fields)
        if change.replaces is None:
            write.current_document.exists = False
        else:
            write.update_mask.SetInParent()  # without a mask the other fields would be deleted
            write.update_mask.field_paths.extend(change.fields)
            write.current_document.update_time.CopyFrom(_timestamp(change.replaces))


def _codec(request: Any, answer: Any) -> tuple[Any, Any]:  # noqa: ANN401 - made by protobuf, untyped
    return request.SerializeToString, answer.FromString


def _name(found: Any) -> Name:  # noqa: ANN401 - made by protobuf, untyped
    document = found.document
    age = found.read_time.ToDatetime() - document.create_time.ToDatetime()
    return Name(document.name.rpartition("/")[2], age)


def decoded_document(path: Path, found: Any) -> Document:  # noqa: ANN401 - made by protobuf, untyped
    fields = {name: _decode(value) for name, value in found.fields.items()}
    return Document(path, fields, DatetimeWithNanoseconds.from_timestamp_pb(found.update_time))


def _encode_fields(fields: Mapping[str, Any], into: Any) -> None:  # noqa: ANN401 - the same
    for name, value in fields.items():
        _encode(value, into[name])


def _encode(value: object, into: Any) -> None:  # noqa: ANN401 - the same
    match value:
        case None:
            into.null_value = 0
        case bool():
            into.boolean_value = value
        case int():
            into.integer_value = value
        case str():
            into.string_value = value
        case datetime():
            into.timestamp_value.CopyFrom(_timestamp(value))
        case dict():
            into.map_value.SetInParent()
            _encode_fields(value, into.map_value.fields)
        case list() | tuple():
            into.array_value.SetInParent()
            for each in value:
                _encode(each, into.array_value.values.add())
        case _:
            raise TypeError(f"no field of ours holds a {type(value).__name__}")


def _decode(value: Any) -> Any:  # noqa: ANN401 - the same
    kind = value.WhichOneof("value_type")
    if kind == "null_value":
        return None
    if kind is None:
        return UNKNOWN_VALUE
    if kind == "timestamp_value":
        return value.timestamp_value.ToDatetime(UTC)
    if kind == "map_value":
        return {name: _decode(each) for name, each in value.map_value.fields.items()}
    if kind == "array_value":
        return [_decode(each) for each in value.array_value.values]
    return getattr(value, kind)


def _plain(value: object) -> object:
    """Msgspec converts a datetime, and no subclass of it."""
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    return value


def _timestamp(time: datetime) -> Timestamp:
    if isinstance(time, DatetimeWithNanoseconds):
        exactly: Timestamp = time.timestamp_pb()
        return exactly
    made = Timestamp()
    made.FromDatetime(time)
    return made
