"""The head of a request: its header block, decoded and checked."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from firestore_emulator.http2.frames import ErrorCode, StreamFailure
from firestore_emulator.http2.header_blocks import Decoder, Field, list_size

MAX_LIST_BYTES = 64 * 1024  # of the header list; the longest valid document name has 18 kB there

_MAX_REMEMBERED = 64
_MAX_REMEMBERED_BYTES = 2048
_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path"})
_REQUIRED = frozenset({b":method", b":scheme", b":path"})
_OF_HTTP1 = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_FORBIDDEN_IN_VALUE = re.compile(rb"[\0\r\n]")


class Head(NamedTuple):
    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case; the values of a repeated one are joined
    is_too_large: bool = False
    content_length: int | None = None


class HeadReader:
    """Reads the header blocks of one connection, and remembers those that clients repeat."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._remembered: dict[bytes, Head] = {}

    def read(self, stream: int, block: bytes) -> Head:
        """Raises StreamFailure if the request is malformed."""
        known = self._remembered.get(block)
        if known is not None:
            return known
        fields, changed_table = self._decode(block)
        head = _head(stream, fields)
        if not changed_table and len(block) <= _MAX_REMEMBERED_BYTES:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[block] = head
        return head

    def skip_trailers(self, stream: int, block: bytes) -> None:
        """No method reads a request's trailers. They must be well-formed."""
        fields, _ = self._decode(block)
        for name, value in fields:
            if name.startswith(b":") or not _is_valid(name, value):
                raise StreamFailure(stream, ErrorCode.PROTOCOL_ERROR)

    def _decode(self, block: bytes) -> tuple[list[Field], bool]:
        """The fields, and whether the block changed the table: then remembered ones are stale."""
        changes = self._decoder.table_changes
        fields = self._decoder.decode(block)
        changed_table = self._decoder.table_changes != changes
        if changed_table:
            self._remembered.clear()
        return fields, changed_table


def _head(stream: int, fields: Sequence[Field]) -> Head:
    pseudo: dict[bytes, bytes] = {}
    headers: dict[str, str] = {}
    for name, value in fields:
        if name.startswith(b":"):
            is_misplaced = headers or name in pseudo or name not in _PSEUDO
            if is_misplaced or _FORBIDDEN_IN_VALUE.search(value):
                raise StreamFailure(stream, ErrorCode.PROTOCOL_ERROR)
            pseudo[name] = value
            continue
        if not _is_valid(name, value):
            raise StreamFailure(stream, ErrorCode.PROTOCOL_ERROR)
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    if not pseudo.keys() >= _REQUIRED or not pseudo[b":path"]:
        raise StreamFailure(stream, ErrorCode.PROTOCOL_ERROR)
    if b":authority" in pseudo:
        headers["host"] = pseudo[b":authority"].decode("latin-1")
    return Head(
        pseudo[b":method"].decode("latin-1"),
        pseudo[b":path"].decode("latin-1"),
        headers,
        list_size(fields) > MAX_LIST_BYTES,
        _content_length(stream, headers.get("content-length")),
    )


def _is_valid(name: bytes, value: bytes) -> bool:
    return (
        _NAME.fullmatch(name) is not None
        and name not in _OF_HTTP1
        and (name != b"te" or value == b"trailers")
        and _FORBIDDEN_IN_VALUE.search(value) is None
    )


def _content_length(stream: int, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(2**63))):
        raise StreamFailure(stream, ErrorCode.PROTOCOL_ERROR)
    return int(text)
