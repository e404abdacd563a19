"""A commit, built as the protocol buffer that goes over the wire.

The client's own batch wraps every value that it encodes in an object of proto-plus. For a group of
twenty reservations that took more time than the commit itself, all of it under the interpreter's
lock, and so decided how fast a hot product sells (docs/adr/0003 has the figures).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from google.cloud.firestore_v1.types import CommitRequest, Precondition

from functions_common.firestore import call_options, committing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud.firestore import Client

    from functions_common.deadlines import Deadline

_Request = CommitRequest.pb()


class Commit:
    """Writes that are all carried out, or none of them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._request = _Request(database=client._database_string)  # noqa: SLF001
        self._prefix = f"{self._request.database}/documents/"

    def create(self, path: tuple[str, ...], fields: Mapping[str, Any]) -> None:
        """It must not be there."""
        write = self._write(path, fields)
        write.current_document.exists = False

    def update(self, path: tuple[str, ...], fields: Mapping[str, Any], version: datetime) -> None:
        """It must be of this version; its other fields stay as they are."""
        write = self._write(path, fields)
        write.update_mask.field_paths.extend(fields)
        precondition = Precondition(update_time=version)
        write.current_document.CopyFrom(Precondition.pb(precondition))

    @property
    def size(self) -> int:
        """Bytes on the wire; Firestore takes 10 MiB."""
        return int(self._request.ByteSize())

    def send(self, deadline: Deadline) -> None:
        with committing():
            self._client._firestore_api.commit(  # noqa: SLF001 - as the client's own batch does
                request=CommitRequest.wrap(self._request),
                metadata=self._client._rpc_metadata,  # noqa: SLF001
                **call_options(deadline),
            )

    def _write(self, path: tuple[str, ...], fields: Mapping[str, Any]) -> Any:  # noqa: ANN401
        write = self._request.writes.add()
        write.update.name = self._prefix + "/".join(path)
        encoded = write.update.fields
        for name, value in fields.items():
            _encode(encoded[name], value)
        return write


def _encode(into: Any, value: Any) -> None:  # noqa: ANN401 - protobuf's classes have no types
    """Of the types that our documents hold; another is a mistake of ours."""
    if value is None:
        into.null_value = 0
    elif isinstance(value, bool):  # before int, which it is as well
        into.boolean_value = value
    elif isinstance(value, int):
        into.integer_value = value
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, datetime):
        into.timestamp_value.FromDatetime(value)
    elif isinstance(value, list):
        into.array_value.SetInParent()  # also where it is empty
        for each in value:
            _encode(into.array_value.values.add(), each)
    elif isinstance(value, dict):
        into.map_value.SetInParent()
        for name, each in value.items():
            _encode(into.map_value.fields[name], each)
    else:
        raise TypeError(f"cannot be stored: {type(value).__name__}")
