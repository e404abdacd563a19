"""Documents, read from Firestore and written to it as protobuf messages.

This module does not use the client library's documents. The library makes objects of its own for
each field before it makes a message. That alone takes ten times the processor time of a whole
commit here. The generated client below the library would add a third to each call. ``queries.py``
reads pages of documents in the same manner.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore.client import (
    CALL_SECONDS,
    commit_call,
    commit_errors,
    error_of_write,
    read_call,
)
from functions_common.firestore.errors import (
    DamagedDocumentError,
    StoreError,
    StoreRejectedError,
    StoreUnavailableError,
    UnusableDocumentError,
)
from functions_common.firestore.messages import (
    REQUEST_TIME,
    BatchGetDocumentsRequest,
    BatchWriteRequest,
    CommitRequest,
    Comparison,
    RunQueryRequest,
    Write,
)
from functions_common.observability import logs
from functions_common.runtime.deadlines import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from google.cloud.firestore import DocumentSnapshot

    from functions_common.firestore.client import FirestoreConnection
    from functions_common.runtime.deadlines import Deadline

T = TypeVar("T")

Path = tuple[str, ...]

UNKNOWN_VALUE: Final = object()
"""Stands for the value of a field that has a type unknown to this version of the client library."""


@dataclass(frozen=True, slots=True)
class Document:
    path: Path
    fields: Mapping[str, Any]
    update_time: datetime
    """The version of the document. An update can require that it still has this version."""

    @property
    def id(self) -> str:
        return self.path[-1]

    @classmethod
    def from_snapshot(cls, found: DocumentSnapshot[Any]) -> Document:
        """From a snapshot, which the library's queries return."""
        path = tuple(found.reference.path.split("/"))
        fields = _exact_datetimes(found.to_dict() or {})
        return cls(path, fields, found.update_time)

    def convert(self, shape: type[T]) -> T:
        """The fields as a msgspec struct.

        Ignores fields that the struct does not have, at every depth, since a newer revision may
        have added them. Raises DamagedDocumentError if a field is missing or of another type.
        """
        try:
            return msgspec.convert(self.fields, shape)
        except msgspec.ValidationError as error:
            raise self.damaged(str(error)) from error

    def damaged(self, reason: str) -> DamagedDocumentError:
        return DamagedDocumentError("/".join(self.path), reason)


def convert_document(found: Document, to_entity: Callable[[Document], T]) -> T:
    """Convert a document that was read, with ``to_entity``. Raises only UnusableDocumentError.

    One document must never end the work on others. So an exception that ``to_entity`` does not
    expect counts as damage too.
    """
    try:
        return to_entity(found)
    except UnusableDocumentError:
        raise
    except Exception as error:
        raise found.damaged(f"{type(error).__name__}: {error}"[:200]) from error


def log_unusable(error: UnusableDocumentError) -> None:
    """Log a document that a list leaves out."""
    damaged = isinstance(error, DamagedDocumentError)
    logs.event(
        "Document left out",
        severity=logging.ERROR if damaged else logging.WARNING,
        document=error.path,
        reason=error.reason,
    )


@dataclass(frozen=True, slots=True)
class FoundId:
    """The id of a document that a query found, without its fields."""

    id: str
    age: timedelta
    """Since the document was created, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Change:
    """Creates a document, or updates the given fields of one."""

    path: Path
    fields: Mapping[str, Any]
    expected_version: datetime | None
    """The version that the document must have; None: it must not exist."""
    server_time: str | None = None
    """A field that Firestore sets to the time at which it processes the change."""
    appended: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values to append to fields that are arrays. The values that are in them stay as they are."""
    removed: Sequence[str] = ()
    """Fields to remove from a document that exists."""


class Documents:
    """The documents of a connection's database, by path."""

    def __init__(self, connection: FirestoreConnection) -> None:
        self._connection = connection

    def read(
        self, paths: Iterable[Path], deadline: Deadline
    ) -> Iterator[tuple[Path, Document | None]]:
        """Read all documents at one moment. None: the document does not exist.

        The order of the results can differ from that of ``paths``.
        """
        rpcs = self._connection.rpcs
        names = [rpcs.root + "/".join(path) for path in paths]
        request = BatchGetDocumentsRequest(database=rpcs.database, documents=names)
        with read_call():
            timeout = deadline.timeout(CALL_SECONDS)
            for response in rpcs.batch_get(request, timeout=timeout, metadata=rpcs.metadata):
                found = response.WhichOneof("result") == "found"
                path = rpcs.path(response.found.name if found else response.missing)
                yield path, decode_document(path, response.found) if found else None

    def find_ids(
        self,
        collection: str,
        where: tuple[str, str],
        after: str | None,
        limit: int,
        deadline: Deadline,
    ) -> list[FoundId]:
        """The ids of the documents with this value in this field, ordered, after the given id.

        Takes a tenth of the processor time of a query that returns whole documents.
        """
        rpcs = self._connection.rpcs
        request = RunQueryRequest(parent=rpcs.root[:-1])
        query = request.structured_query
        query.from_.add().collection_id = collection
        query.select.fields.add().field_path = "__name__"
        query.where.field_filter.field.field_path = where[0]
        query.where.field_filter.op = Comparison.EQUAL
        query.where.field_filter.value.string_value = where[1]
        query.order_by.add().field.field_path = "__name__"
        query.limit.value = limit
        if after is not None:
            cursor = query.start_at.values.add()
            cursor.reference_value = f"{rpcs.root}{collection}/{after}"
        with read_call():
            timeout = deadline.timeout(CALL_SECONDS)
            return [_found_id(each) for each in rpcs.query(request, timeout)]

    def commit(self, changes: Iterable[Change], deadline: Deadline) -> None:
        """Write all changes, or none of them.

        Raises ConflictError if a document does not have the expected version.
        """
        rpcs = self._connection.rpcs
        request = CommitRequest(database=rpcs.database)
        with _encoding_errors():
            for change in changes:
                encode_change(change, request.writes.add(), rpcs.root)
        with commit_call():
            timeout = deadline.timeout(CALL_SECONDS)
            rpcs.commit(request, timeout=timeout, metadata=rpcs.metadata)

    def encode_write(self, change: Change) -> Any:  # noqa: ANN401 - made by protobuf, untyped
        """The change as a message, for ``write_each``."""
        write = Write()
        with _encoding_errors():
            encode_change(change, write, self._connection.rpcs.root)
        return write

    def encode_deletion(self, path: Path) -> Any:  # noqa: ANN401 - made by protobuf, untyped
        """The deletion of a document, which may be deleted already, for ``write_each``."""
        return Write(delete=self._connection.rpcs.root + "/".join(path))

    def write_each(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        """Write each change on its own, in one request.

        Returns for each change None, or the error that a commit of it alone would have raised.
        There are at most 500 changes, of different documents. If Firestore rejects the request
        permanently, it is divided until only the change at fault fails. Any other error of a
        request is raised.

        The changes can be those of several callers, some with an earlier deadline than
        ``deadline``. To bound their wait, all requests together end within ``CALL_SECONDS``.
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
        """Like ``_write_each``, but returns all errors, since the other part may be written."""
        try:
            return self._write_each(writes, deadline)
        except DeadlineExceededError:
            return [StoreUnavailableError("no time left to begin")] * len(writes)
        except StoreError as error:
            return [error] * len(writes)

    def _write_together(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        rpcs = self._connection.rpcs
        request = BatchWriteRequest(database=rpcs.database, writes=writes)
        with commit_errors():
            timeout = deadline.timeout(CALL_SECONDS)
            response = rpcs.batch_write(request, timeout=timeout, metadata=rpcs.metadata)
        return [error_of_write(each.code, each.message) for each in response.status]


@contextmanager
def _encoding_errors() -> Iterator[None]:
    """Reject a value that Firestore has no type for, before it is sent."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise StoreRejectedError(f"{type(error).__name__}: {error}") from error


def encode_change(change: Change, write: Any, root: str) -> None:  # noqa: ANN401 - the same
    write.update.name = root + "/".join(change.path)
    _encode_fields(change.fields, write.update.fields)
    if change.expected_version is None:
        write.current_document.exists = False
    else:
        write.update_mask.SetInParent()  # without a mask the other fields would be deleted
        write.update_mask.field_paths.extend(change.fields)
        write.update_mask.field_paths.extend(change.removed)
        write.current_document.update_time.CopyFrom(_timestamp(change.expected_version))
    if change.server_time is not None:
        write.update_transforms.add(field_path=change.server_time, set_to_server_value=REQUEST_TIME)
    for name, values in change.appended.items():
        if not values:
            continue
        appended = write.update_transforms.add(field_path=name).append_missing_elements
        for value in values:
            encode_value(value, appended.values.add())


def _found_id(found: Any) -> FoundId:  # noqa: ANN401 - made by protobuf, untyped
    document = found.document
    age = found.read_time.ToDatetime() - document.create_time.ToDatetime()
    return FoundId(document.name.rpartition("/")[2], age)


def decode_document(path: Path, found: Any) -> Document:  # noqa: ANN401 - made by protobuf, untyped
    fields = _decode_fields(found.fields)
    return Document(path, fields, DatetimeWithNanoseconds.from_timestamp_pb(found.update_time))


def _encode_fields(fields: Mapping[str, Any], into: Any) -> None:  # noqa: ANN401 - the same
    for name, value in fields.items():
        encode_value(value, into[name])


def encode_value(value: object, into: Any) -> None:  # noqa: ANN401 - the same
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
                encode_value(each, into.array_value.values.add())
        case _:
            raise TypeError(f"a field cannot hold a {type(value).__name__}")


def _decode_fields(fields: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
    # items() of a protobuf map takes longer
    return {name: _decode_value(fields[name]) for name in fields}


def _decode_value(value: Any) -> Any:  # noqa: ANN401 - the same
    kind = value.WhichOneof("value_type")
    if kind == "null_value":
        return None
    if kind is None:
        return UNKNOWN_VALUE
    if kind == "timestamp_value":
        return value.timestamp_value.ToDatetime(UTC)
    if kind == "map_value":
        return _decode_fields(value.map_value.fields)
    if kind == "array_value":
        return [_decode_value(each) for each in value.array_value.values]
    return getattr(value, kind)


def _exact_datetimes(value: Any) -> Any:  # noqa: ANN401 - of any field
    """Convert the library's subclass of datetime, since msgspec accepts no subclass."""
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    if isinstance(value, dict):
        return {name: _exact_datetimes(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_exact_datetimes(each) for each in value]
    return value


def _timestamp(time: datetime) -> Timestamp:
    if isinstance(time, DatetimeWithNanoseconds):
        exactly: Timestamp = time.timestamp_pb()
        return exactly
    made = Timestamp()
    made.FromDatetime(time)
    return made
