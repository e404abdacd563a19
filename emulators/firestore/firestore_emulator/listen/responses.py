"""The responses of a Listen stream."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model import fields
from firestore_emulator.model.clock import timestamp, to_microseconds
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError
from firestore_emulator.model.field_paths import FieldPath
from firestore_emulator.model.messages import (
    Document,
    DocumentChange,
    DocumentDelete,
    DocumentRemove,
    ListenResponse,
    TargetChange,
)
from firestore_emulator.model.names import DocumentName

Projection: TypeAlias = tuple[FieldPath, ...] | None

_TOKEN_BYTES = 8  # a resume token is the snapshot's time, in microseconds


def target_change(target_id: int, kind: int, time: Timestamp | None = None) -> ListenResponse:
    change = TargetChange(target_change_type=kind, target_ids=[target_id])
    if time is not None:
        change.read_time.CopyFrom(time)
        change.resume_token = _token(time)
    return ListenResponse(target_change=change)


def target_rejected(target_id: int, error: EmulatorError) -> ListenResponse:
    response = target_change(target_id, TargetChange.REMOVE)
    response.target_change.cause.CopyFrom(error.status)
    return response


def snapshot(time: Timestamp) -> ListenResponse:
    """The end of a snapshot: all targets are complete as of this time."""
    return ListenResponse(target_change=TargetChange(read_time=time, resume_token=_token(time)))


def document_changes(
    name: DocumentName,
    document: Document | None,
    shown: Mapping[Projection, Iterable[int]],
    removed: Iterable[int],
    time: Timestamp,
) -> Iterator[ListenResponse]:
    """One response for all targets that show the document or stop showing it.

    Targets with different projections get a response each.
    """
    if document is None:
        gone = DocumentDelete(document=str(name), removed_target_ids=removed, read_time=time)
        yield ListenResponse(document_delete=gone)
        return
    if not shown:
        out = DocumentRemove(document=str(name), removed_target_ids=removed, read_time=time)
        yield ListenResponse(document_remove=out)
    for projection, target_ids in shown.items():
        change = DocumentChange(
            document=fields.project(document, projection),
            target_ids=target_ids,
            removed_target_ids=removed,
        )
        yield ListenResponse(document_change=change)


def time_of(token: bytes) -> Timestamp:
    if len(token) != _TOKEN_BYTES:
        raise InvalidArgumentError("The resume_token is not from this emulator.")
    return timestamp(int.from_bytes(token))


def _token(time: Timestamp) -> bytes:
    return to_microseconds(time).to_bytes(_TOKEN_BYTES)
