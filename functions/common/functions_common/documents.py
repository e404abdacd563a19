"""Documents on the hot path, to Firestore and back in its own messages.

The client library makes an object of each field before it makes a message of it, which is most of
what a commit costs here: ten times this. Queries are rare, and stay with the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    CommitRequest,
)
from google.protobuf.timestamp_pb2 import Timestamp
from proto.datetime_helpers import DatetimeWithNanoseconds

from functions_common.firestore import call_options, committing, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from google.cloud.firestore import Client, DocumentSnapshot
    from google.cloud.firestore_v1.services.firestore import FirestoreClient

    from functions_common.deadlines import Deadline

Path = tuple[str, ...]

_READ, _COMMIT = BatchGetDocumentsRequest.pb(), CommitRequest.pb()


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


def read(
    client: Client, paths: Iterable[Path], deadline: Deadline
) -> Iterator[tuple[Path, Document | None]]:
    """All at one moment, in no order; None where there is no document."""
    wire = _Wire.of(client)
    names = [wire.root + "/".join(path) for path in paths]
    request = _READ(database=wire.database, documents=names)
    with reading():
        for response in wire.api.batch_get_documents(
            BatchGetDocumentsRequest.wrap(request), metadata=wire.metadata, **call_options(deadline)
        ):
            answer = BatchGetDocumentsResponse.pb(response)
            found = answer.WhichOneof("result") == "found"
            path = wire.path(answer.found.name if found else answer.missing)
            yield path, _document(path, answer.found) if found else None


def commit(client: Client, changes: Iterable[Change], deadline: Deadline) -> None:
    """All changes or none; ConflictError where a document is not of the version given."""
    wire = _Wire.of(client)
    request = _COMMIT(database=wire.database)
    for change in changes:
        write = request.writes.add()
        write.update.name = wire.root + "/".join(change.path)
        _encode_fields(change.fields, write.update.fields)
        if change.replaces is None:
            write.current_document.exists = False
        else:
            write.update_mask.field_paths.extend(change.fields)
            write.current_document.update_time.CopyFrom(_timestamp(change.replaces))
    with committing():
        wire.api.commit(
            CommitRequest.wrap(request), metadata=wire.metadata, **call_options(deadline)
        )


class _Wire(NamedTuple):
    """What the library keeps to itself: the generated client under its own."""

    api: FirestoreClient
    metadata: Sequence[tuple[str, str]]
    database: str
    root: str

    @classmethod
    def of(cls, client: Client) -> _Wire:
        database = client._database_string  # noqa: SLF001
        api, metadata = client._firestore_api, client._rpc_metadata  # noqa: SLF001
        return cls(api, metadata, database, f"{database}/documents/")

    def path(self, name: str) -> Path:
        return tuple(name[len(self.root) :].split("/"))


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
