"""Check one Write, and apply it to one document."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model import fields, transforms, validation
from firestore_emulator.model.clock import to_microseconds
from firestore_emulator.model.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from firestore_emulator.model.messages import (
    Document,
    DocumentTransform,
    Value,
    Write,
    WriteResult,
)

MAX_TRANSFORMS = 500  # of one document in a commit

_FEW, _FEW_BYTES = 32, 256 * 1024  # their commit takes a few milliseconds at most


class Outcome(NamedTuple):
    document: Document | None
    result: WriteResult


def target_name(write: Write) -> str:
    match write.WhichOneof("operation"):
        case "update":
            return write.update.name
        case "delete":
            return write.delete
        case "transform":
            return write.transform.document
        case _:
            raise InvalidArgumentError("empty write operation")


def are_many(requested: Sequence[Write]) -> bool:
    """Whether a commit of these writes may hold up other requests noticeably."""
    return len(requested) > _FEW or sum(write.ByteSize() for write in requested) > _FEW_BYTES


def replaces_document(write: Write) -> bool:
    """Whether the fields after the write are those in the write."""
    return (
        write.HasField("update")
        and not write.HasField("update_mask")
        and not write.update_transforms
    )


def sets_time(write: Write) -> bool:
    return any(each.HasField("set_to_server_value") for each in _transforms(write))


def has_other_transforms(write: Write) -> bool:
    return not all(each.HasField("set_to_server_value") for each in _transforms(write))


def apply(write: Write, current: Document | None, now: Timestamp) -> Outcome:
    """The document after a checked write: ``current`` itself if it does not change.

    Changes none of its arguments.
    """
    if write.HasField("delete"):
        return Outcome(None, WriteResult())
    document = _written(write, current)
    results = transform(document, write, now)
    for name in _transformed_fields(write):  # the other fields are normalized already
        validation.normalize_field(document.fields, name)
    validation.check_size(document)
    document = _with_times(document, current, now)
    return Outcome(
        document, WriteResult(update_time=document.update_time, transform_results=results)
    )


def checked(requested: Iterable[Write]) -> list[Write]:
    return list(map(Checker().checked, requested))


class Checker:
    """Checks the writes of one commit, in their order."""

    def __init__(self) -> None:
        self._exists: dict[str, bool] = {}  # after the writes so far
        self._transformed: Counter[str] = Counter()

    def checked(self, write: Write) -> Write:
        """A copy of the write with normalized values.

        Raises InvalidArgumentError if the write is invalid for all stored documents.
        """
        name = target_name(write)
        _check_operation(write)
        normalized = _normalized(write)
        self._check_transforms(name, write)
        condition = write.current_document
        exists = self._exists.get(name, condition.exists)
        if condition.HasField("exists") and exists != condition.exists:
            raise InvalidArgumentError(
                f"A precondition contradicts an earlier write in the same request: {name}"
            )
        self._exists[name] = not write.HasField("delete")
        return normalized

    def _check_transforms(self, name: str, write: Write) -> None:
        requested = _transforms(write)
        for transform in requested:
            transforms.check(transform)
        self._transformed[name] += len(requested)
        if self._transformed[name] > MAX_TRANSFORMS:
            raise InvalidArgumentError(
                f"A commit has more than {MAX_TRANSFORMS} field transforms of one document: {name}"
            )


def _check_operation(write: Write) -> None:
    operation = write.WhichOneof("operation")
    if operation != "update" and write.HasField("update_mask"):
        raise InvalidArgumentError(f"a {operation} must not specify a document mask.")
    if operation != "update" and write.update_transforms:
        raise InvalidArgumentError(f"a {operation} must not specify update transforms.")
    if operation == "transform" and not write.transform.field_transforms:
        raise InvalidArgumentError("The list of FieldTransform must not be empty.")


def _normalized(write: Write) -> Write:
    """Checks all fields, even those that the mask omits. Only with a mask a name may be empty."""
    normalized = Write()
    normalized.CopyFrom(write)
    if not write.HasField("update"):
        return normalized
    fields_of_write = normalized.update.fields
    if write.HasField("update_mask"):
        fields_of_write.pop("", None)  # no path of a mask names it
    validation.normalize_fields(fields_of_write)
    for path in write.update_mask.field_paths:
        validation.writable_path(path)
    return normalized


def check_precondition(write: Write, current: Document | None, stored: Document | None) -> None:
    """Raises if the precondition fails.

    ``current`` is the stored document after the earlier writes of the commit. An update_time
    precondition compares with ``stored``: the earlier writes do not change that version.
    """
    name = target_name(write)
    condition = write.current_document
    match condition.WhichOneof("condition_type"):
        case "exists" if condition.exists and current is None:
            raise NotFoundError(f"No document to update: {name}")
        case "exists" if not condition.exists and current is not None:
            raise AlreadyExistsError(f"Document already exists: {name}")
        case "update_time":
            _check_version(condition.update_time, stored, name)


def _check_version(required: Timestamp, stored: Document | None, name: str) -> None:
    stored_version = 0 if stored is None else to_microseconds(stored.update_time)
    required_version = to_microseconds(required)
    if stored is not None and required_version > stored_version:
        raise InvalidArgumentError(
            f"Invalid base version, it is greater than the stored version: {name}"
        )
    if stored is None or required_version != stored_version:
        raise FailedPreconditionError(
            f"the stored version ({stored_version}) does not match"
            f" the required base version ({required_version})"
        )


def _written(write: Write, current: Document | None) -> Document:
    """The document with the fields after the write, but before its transforms. It has no times."""
    document = Document()
    if write.HasField("update") and not write.HasField("update_mask"):
        document.CopyFrom(write.update)
    elif current is not None:
        document.CopyFrom(current)
    document.name = target_name(write)
    document.ClearField("create_time")
    document.ClearField("update_time")
    for path in map(validation.writable_path, write.update_mask.field_paths):
        value = fields.get(write.update.fields, path)
        if value is None:
            fields.delete(document.fields, path)
        else:
            fields.put(document.fields, path, value)
    return document


def transform(document: Document, write: Write, now: Timestamp) -> list[Value]:
    return [transforms.apply(each, document.fields, now) for each in _transforms(write)]


def _transformed_fields(write: Write) -> set[str]:
    """The fields of the document that the transforms change, also if only inside of them."""
    return {validation.writable_path(each.field_path)[0] for each in _transforms(write)}


def _transforms(write: Write) -> Sequence[DocumentTransform.FieldTransform]:
    return (*write.transform.field_transforms, *write.update_transforms)


def _with_times(document: Document, current: Document | None, now: Timestamp) -> Document:
    if current is not None and _same_fields(document, current):
        return current
    document.create_time.CopyFrom(now if current is None else current.create_time)
    document.update_time.CopyFrom(now)
    return document


def _same_fields(document: Document, current: Document) -> bool:
    """Compares bytes: with == a document with a NaN does not equal itself."""
    unstamped = Document()
    unstamped.CopyFrom(current)
    unstamped.ClearField("create_time")
    unstamped.ClearField("update_time")
    return document.ByteSize() == unstamped.ByteSize() and document.SerializeToString(
        deterministic=True
    ) == unstamped.SerializeToString(deterministic=True)
