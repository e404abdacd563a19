"""One database of one emulator, with its own transactions and times.

A step has placeholders. The project is "p". A transaction is the name of a slot, such as b"0",
which the BeginTransaction of that slot fills. A time of a precondition or a read is the number of
a version: versions are numbered when they first appear, so both sides have the same numbers. The
session replaces the placeholders in requests, and puts them back into responses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.cloud.firestore_v1 import types
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.grpc_api.api import SERVICE

_PROJECT = "projects/p/"
DATABASE = f"{_PROJECT}databases/(default)"
ROOT = f"{DATABASE}/documents"

# The part that must be equal: an error's code, or the responses as nested plain data.
Outcome: TypeAlias = "str | list[Any]"

ANSWERS: dict[str, Any] = {
    "BatchGetDocuments": types.BatchGetDocumentsResponse.pb(),
    "BatchWrite": types.BatchWriteResponse.pb(),
    "BeginTransaction": types.BeginTransactionResponse.pb(),
    "Commit": types.CommitResponse.pb(),
    "CreateDocument": types.Document.pb(),
    "DeleteDocument": Empty,
    "GetDocument": types.Document.pb(),
    "ListCollectionIds": types.ListCollectionIdsResponse.pb(),
    "ListDocuments": types.ListDocumentsResponse.pb(),
    "Rollback": Empty,
    "RunAggregationQuery": types.RunAggregationQueryResponse.pb(),
    "RunQuery": types.RunQueryResponse.pb(),
    "UpdateDocument": types.Document.pb(),
}
NOT_COMPARED = "not compared"
_NOT_COMPARABLE = ("requires a", "required index", "only allowed at the root parent")
STREAMED = {"BatchGetDocuments", "RunQuery", "RunAggregationQuery"}
SECONDS = 30
_YEAR_2026 = 1_767_225_600  # a later time comes from an emulator's clock
_PASSING = {"read_time", "commit_time", "message", "next_page_token", "done", "skipped_results"}
_AS_OWNER = (("authorization", "Bearer owner"),)  # the official one needs it for some methods


@dataclass(frozen=True)
class Step:
    method: str
    request: Any
    slot: bytes = b""  # from a BeginTransaction

    def __str__(self) -> str:
        text = text_format.MessageToString(self.request, as_one_line=True)
        return f"{self.method}{self.slot.decode() and ' as ' + self.slot.decode()}: {text}"


class RestError(Exception):
    """An error response of REST, with the name of its code."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Session:
    def __init__(self, channel: grpc.Channel, project: str) -> None:
        self._channel = channel
        self._project = f"projects/{project}/"
        self._transactions: dict[bytes, bytes] = {}
        self._versions: dict[tuple[int, int], int] = {}

    def run(self, step: Step) -> Outcome:
        request = type(step.request)()
        request.CopyFrom(step.request)
        self._localize(request)
        try:
            answers = self._call(step.method, request)
        except grpc.RpcError as error:
            return self._failed(error)
        except RestError as error:
            return error.status
        if step.slot:
            self._transactions[step.slot] = answers[0].transaction
        if step.method == "Commit" and request.writes:
            self._version(answers[0].commit_time)
        plain = [self._plain(answer) for answer in answers]
        if step.method == "ListCollectionIds":  # the official emulator may add an empty page
            return sorted({each for page in plain for each in page.get("collection_ids", ())})
        if step.method == "ListDocuments":
            return [document for page in plain for document in page.get("documents", ())]
        if step.method == "RunQuery":  # some have a time and no document
            plain = [answer for answer in plain if answer]
        if step.method == "BatchGetDocuments":  # their order is not guaranteed
            plain.sort(key=repr)
        return plain

    def _failed(self, error: grpc.RpcError) -> str:
        return str(error.code().name)

    def _call(self, method: str, request: Any) -> Sequence[Any]:
        answers = self._send(method, request)
        while token := getattr(answers[-1], "next_page_token", "") if answers else "":
            request.page_token = token
            answers += self._send(method, request)
        return answers

    def _send(self, method: str, request: Any) -> list[Any]:
        path = f"/{SERVICE}/{method}"
        kind = ANSWERS[method]
        if method in STREAMED:
            stream = self._channel.unary_stream(
                path, type(request).SerializeToString, kind.FromString
            )
            return list(stream(request, timeout=SECONDS, metadata=_AS_OWNER))
        unary = self._channel.unary_unary(path, type(request).SerializeToString, kind.FromString)
        return [unary(request, timeout=SECONDS, metadata=_AS_OWNER)]

    def _localize(self, message: Any) -> None:
        for field, value in message.ListFields():
            if field.name in {"transaction", "retry_transaction"}:
                setattr(message, field.name, self._transactions.get(value, value))
            elif field.name in {"update_time", "read_time"}:
                self._set_version(value)
            elif field.type == FieldDescriptor.TYPE_MESSAGE:
                for part in _messages(field, value):
                    self._localize(part)
            elif field.type == FieldDescriptor.TYPE_STRING and not isinstance(value, str):
                value[:] = [self._own(each) for each in value]
            elif field.type == FieldDescriptor.TYPE_STRING:
                setattr(message, field.name, self._own(value))

    def _set_version(self, time: Timestamp) -> None:
        if self._versions:
            seconds, nanos = list(self._versions)[time.seconds % len(self._versions)]
            time.seconds, time.nanos = seconds, nanos

    def _plain(self, message: Message) -> Any:
        """Doubles as text, so that NaN equals NaN, and 0.0 differs from -0.0."""
        if isinstance(message, Timestamp):
            return "now" if message.seconds >= _YEAR_2026 else (message.seconds, message.nanos)
        plain: dict[str, Any] = {}
        for field, value in message.ListFields():
            if field.name in _PASSING:
                continue
            if field.name in {"update_time", "create_time"}:
                plain[field.name] = "missing" if _is_missing(message) else self._version(value)
            elif field.name == "transaction":
                plain[field.name] = True
            elif field.type != FieldDescriptor.TYPE_MESSAGE:
                plain[field.name] = self._plain_scalar(value)
            elif _is_map(field):
                plain[field.name] = {key: self._plain(value[key]) for key in sorted(value)}
            else:
                parts = [self._plain(part) for part in _messages(field, value)]
                plain[field.name] = parts[0] if isinstance(value, Message) else parts
        return plain

    def _plain_scalar(self, value: Any) -> Any:
        match value:
            case float():
                return repr(value)
            case str():
                return value.replace(self._project, _PROJECT)
            case bytes() | int():
                return value
            case _:  # repeated
                return [self._plain_scalar(each) for each in value]

    def _own(self, text: str) -> str:
        return text.replace(_PROJECT, self._project)

    def _version(self, time: Timestamp) -> int:
        return self._versions.setdefault((time.seconds, time.nanos), len(self._versions))


class ForwardedSession(Session):
    """A session of the real service, through the forwarder of `make verify-firestore`.

    Its outcome is ``NOT_COMPARED`` if the service has no index for a random query, or if the
    query is only possible at the root, since the forwarder keeps all documents below one document.
    """

    def _failed(self, error: grpc.RpcError) -> str:
        details = error.details() or ""
        if any(reason in details for reason in _NOT_COMPARABLE):
            return NOT_COMPARED
        return super()._failed(error)


def _is_missing(message: Message) -> bool:
    """A missing document that is listed for its subcollections: it has no common version."""
    return isinstance(message, types.Document.pb()) and not message.HasField("create_time")


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _messages(field: FieldDescriptor, value: Any) -> Iterable[Any]:
    if _is_map(field):
        return list(value.values())
    return [value] if isinstance(value, Message) else list(value)
