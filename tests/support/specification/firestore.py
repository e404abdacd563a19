"""A connection to Firestore without a database: a test returns the response to each RPC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

import grpc
from google.cloud.firestore_v1 import types
from google.protobuf.timestamp_pb2 import Timestamp

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Document, Path, decode_document, encode_value
from functions_common.firestore.rpcs import Rpcs

DATABASE = "projects/demo/databases/(default)"
ROOT = f"{DATABASE}/documents/"
NO_PRECONDITION = -1
_EPOCH = Timestamp(seconds=1_577_836_800)

_Found = types.BatchGetDocumentsResponse.pb()
_Committed = types.CommitResponse.pb()
_Written = types.BatchWriteResponse.pb()
_Queried = types.RunQueryResponse.pb()
_Stored = types.Document.pb()


class RpcFailedError(grpc.RpcError):
    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__(status)
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._status.name

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Fields:
    """A stored document. It is encoded once, although many traces read it."""

    def __init__(self, fields: dict[str, Any], version: int) -> None:
        self.fields, self.version = fields, version
        self._message: Any = None

    def encoded(self, path: Path) -> Any:
        if self._message is None:
            name = ROOT + "/".join(path)
            message = _Stored(name=name, create_time=_EPOCH, update_time=_time(self.version))
            for field, value in self.fields.items():
                encode_value(value, message.fields[field])
            self._message = message
        return self._message


class Write(NamedTuple):
    path: Path
    expected_version: int
    """0: the document must not exist. NO_PRECONDITION: the write names no version."""
    message: Any

    def apply(self, before: Fields | None) -> Document:
        """The document after the write."""
        write = self.message
        after = _Stored(name=write.update.name)
        if write.HasField("update_mask"):
            if before is not None:
                after.MergeFrom(before.encoded(self.path))
            for field in write.update_mask.field_paths:
                if field in write.update.fields:
                    after.fields[field].CopyFrom(write.update.fields[field])
                elif field in after.fields:
                    del after.fields[field]
        else:
            after.MergeFrom(write.update)
        for transform in write.update_transforms:
            if transform.HasField("append_missing_elements"):
                values = after.fields[transform.field_path].array_value.values
                new = transform.append_missing_elements.values
                values.extend(each for each in new if each not in values)
        return decode_document(self.path, after)


class Server(Protocol):
    """Responds to the RPCs. Each method may raise RpcFailedError."""

    def read(self, paths: Sequence[Path]) -> Sequence[Fields | None]: ...

    def commit(self, writes: Sequence[Write]) -> grpc.StatusCode:
        """All writes, or none."""

    def write_each(self, writes: Sequence[Write]) -> Sequence[grpc.StatusCode]: ...

    def query(self) -> Sequence[tuple[Path, Fields]]: ...


class ScriptedConnection(FirestoreConnection):
    """It opens no socket."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._scripted = Rpcs(
            batch_get=self._batch_get,  # type: ignore[arg-type]
            commit=self._commit,  # type: ignore[arg-type]
            batch_write=self._batch_write,  # type: ignore[arg-type]
            run_query=self._run_query,  # type: ignore[arg-type]
            metadata=(),
            database=DATABASE,
            root=ROOT,
        )

    @property
    def rpcs(self) -> Rpcs:
        return self._scripted

    @property
    def client(self) -> NoReturn:
        raise AssertionError("this connection has no client library")

    def _batch_get(self, request: Any, **_: Any) -> Iterator[Any]:
        names = [*request.documents]
        answers = self._server.read([*map(_path, names)])
        return iter([*map(_read_response, names, answers)])

    def _commit(self, request: Any, **_: Any) -> Any:
        status = self._server.commit([*map(_write, request.writes)])
        if status is not grpc.StatusCode.OK:
            raise RpcFailedError(status)
        return _Committed()

    def _batch_write(self, request: Any, **_: Any) -> Any:
        response = _Written()
        for status in self._server.write_each([*map(_write, request.writes)]):
            response.status.add(code=status.value[0], message=status.name)
        return response

    def _run_query(self, request: Any, **_: Any) -> Iterator[bytes]:  # noqa: ARG002
        for path, found in self._server.query():
            yield _Queried(document=found.encoded(path), read_time=_EPOCH).SerializeToString()


def _read_response(name: str, found: Fields | None) -> Any:
    return _Found(missing=name) if found is None else _Found(found=found.encoded(_path(name)))


def _time(version: int) -> Timestamp:
    return Timestamp(seconds=_EPOCH.seconds, nanos=version * 1000)


def _write(message: Any) -> Write:
    precondition = message.current_document
    kind = precondition.WhichOneof("condition_type")
    if kind == "update_time":
        version = precondition.update_time.nanos // 1000
    elif kind == "exists" and not precondition.exists:
        version = 0
    else:
        version = NO_PRECONDITION
    return Write(_path(message.update.name), version, message)


def _path(name: str) -> Path:
    return tuple(name.removeprefix(ROOT).split("/"))
