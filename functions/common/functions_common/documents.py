"""Documents on the hot path, to Firestore and back in its own messages.

The client library makes an object of each field before it makes a message of it, which is most of
what a commit costs here: ten times this. The client generated under it adds a third to each call.
Queries are rare, and stay with the library.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from google.api_core import exceptions as google_errors
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    BatchWriteRequest,
    BatchWriteResponse,
    CommitRequest,
    CommitResponse,
    Write,
)
from google.protobuf.timestamp_pb2 import Timestamp
from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore import CALL_SECONDS, commit_errors, committing, reading
from functions_common.store_errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from google.cloud.firestore import Client, DocumentSnapshot

    from functions_common.deadlines import Deadline
    from functions_common.firestore import Connection

Path = tuple[str, ...]

_SERVICE = "/google.firestore.v1.Firestore"
_READ, _FOUND = BatchGetDocumentsRequest.pb(), BatchGetDocumentsResponse.pb()
_COMMIT, _COMMITTED = CommitRequest.pb(), CommitResponse.pb()
_EACH, _TOLD = BatchWriteRequest.pb(), BatchWriteResponse.pb()
_WRITE = Write.pb()


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
    def of(cls, found: DocumentSnapshot[Any]) -> Document:
        """From what a query of the library gives."""
        path = tuple(found.reference.path.split("/"))
        return cls(path, found.to_dict() or {}, found.update_time)

    def known(self, kind: type) -> dict[str, Any]:
        """The fields that the (slotted) type knows: another revision may have added some."""
        names: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]
        return {name: self.fields[name] for name in names if name in self.fields}


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
    def _wire(self) -> _Wire:
        return _Wire.of(self._connection.client)

    def read(
        self, paths: Iterable[Path], deadline: Deadline
    ) -> Iterator[tuple[Path, Document | None]]:
        """All at one moment, in no order; None where there is no document."""
        wire = self._wire
        names = [wire.root + "/".join(path) for path in paths]
        request = _READ(database=wire.database, documents=names)
        with reading(), _google_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            for answer in wire.batch_get(request, timeout=timeout, metadata=wire.metadata):
                found = answer.WhichOneof("result") == "found"
                path = wire.path(answer.found.name if found else answer.missing)
                yield path, _document(path, answer.found) if found else None

    def commit(self, changes: Iterable[Change], deadline: Deadline) -> None:
        """All changes or none; ConflictError where a document is not of the version given."""
        wire = self._wire
        request = _COMMIT(database=wire.database)
        for change in changes:
            wire.fill(request.writes.add(), change)
        with committing(), _google_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            wire.commit(request, timeout=timeout, metadata=wire.metadata)

    def prepared(self, change: Change) -> Any:  # noqa: ANN401 - made by protobuf, untyped
        """The change as Firestore takes it, for ``write_each``."""
        write = _WRITE()
        self._wire.fill(write, change)
        return write

    def write_each(self, writes: Iterable[Any], deadline: Deadline) -> list[StoreError | None]:
        """Each change on its own, in one request: None, or why it was not carried out.

        Of different documents, 500 at most. What is raised is true of all. Whose time it is, is for
        those to say who wait for it.
        """
        wire = self._wire
        request = _EACH(database=wire.database, writes=writes)
        with commit_errors(), _google_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            answer = wire.batch_write(request, timeout=timeout, metadata=wire.metadata)
        return [_error_of(status) for status in answer.status]


def _error_of(status: Any) -> StoreError | None:  # noqa: ANN401 - made by protobuf, untyped
    """What a commit of that change alone would have raised."""
    if status.code == grpc.StatusCode.OK.value[0]:
        return None
    try:
        with commit_errors():
            raise google_errors.from_grpc_status(status.code, status.message)  # type: ignore[no-untyped-call]
    except StoreError as error:
        return error


@contextmanager
def _google_errors() -> Iterator[None]:
    """What the generated client would raise."""
    try:
        yield
    except grpc.RpcError as error:
        raise google_errors.from_grpc_error(error) from error  # type: ignore[no-untyped-call]


class _Wire(NamedTuple):
    """Calls on the library's own channel, without the five layers that its client adds.

    The library keeps to itself what is needed for them: three private attributes, which a test of
    the pinned version holds.
    """

    batch_get: grpc.UnaryStreamMultiCallable[Any, Any]
    commit: grpc.UnaryUnaryMultiCallable[Any, Any]
    batch_write: grpc.UnaryUnaryMultiCallable[Any, Any]
    metadata: tuple[tuple[str, str], ...]
    database: str
    root: str

    @classmethod
    def of(cls, client: Client) -> _Wire:
        database = client._database_string  # noqa: SLF001
        channel = client._firestore_api.transport.grpc_channel  # noqa: SLF001
        routing = to_grpc_metadata((("database", database),))  # type: ignore[no-untyped-call]
        return cls(
            channel.unary_stream(f"{_SERVICE}/BatchGetDocuments", *_codec(_READ, _FOUND)),
            channel.unary_unary(f"{_SERVICE}/Commit", *_codec(_COMMIT, _COMMITTED)),
            channel.unary_unary(f"{_SERVICE}/BatchWrite", *_codec(_EACH, _TOLD)),
            (*client._rpc_metadata, routing),  # noqa: SLF001
            database,
            f"{database}/documents/",
        )

    def path(self, name: str) -> Path:
        return tuple(name[len(self.root) :].split("/"))

    def fill(self, write: Any, change: Change) -> None:  # noqa: ANN401 - the same
        write.update.name = self.root + "/".join(change.path)
        _encode_fields(change.fields, write.update.fields)
        if change.replaces is None:
            write.current_document.exists = False
        else:
            write.update_mask.field_paths.extend(change.fields)
            write.current_document.update_time.CopyFrom(_timestamp(change.replaces))


def _codec(request: Any, answer: Any) -> tuple[Any, Any]:  # noqa: ANN401 - made by protobuf, untyped
    return request.SerializeToString, answer.FromString


def _document(path: Path, found: Any) -> Document:  # noqa: ANN401 - made by protobuf, untyped
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
    if kind == "timestamp_value":
        return DatetimeWithNanoseconds.from_timestamp_pb(value.timestamp_value)
    if kind == "map_value":
        return {name: _decode(each) for name, each in value.map_value.fields.items()}
    if kind == "array_value":
        return [_decode(each) for each in value.array_value.values]
    return getattr(value, kind)


def _timestamp(time: datetime) -> Timestamp:
    if isinstance(time, DatetimeWithNanoseconds):
        exactly: Timestamp = time.timestamp_pb()
        return exactly
    made = Timestamp()
    made.FromDatetime(time)
    return made
