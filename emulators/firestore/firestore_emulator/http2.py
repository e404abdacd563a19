"""The part of HTTP/2 that recognizes gRPC requests, and responds to other requests.

It parses the frames up to the first request of a connection. Header fields are compared with their
encoded forms, so it needs neither HPACK's dynamic table nor its whole Huffman code.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_FRAME_HEAD = 9
_MAX_FRAME = 16_384  # the limit of a connection without other settings
_MAX_HEADER_BLOCK = 64 * 1024
_MAX_SHIFT = 28  # no valid integer is longer
_DATA, _HEADERS, _SETTINGS, _GOAWAY, _CONTINUATION = 0, 1, 4, 7, 9
_STREAM_BITS = 0x7FFFFFFF
_END_STREAM, _ACKNOWLEDGED, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32

# Indexes of HPACK's static table.
_GET, _ROOT = 2, 4
_LITERAL_PREFIX = 15
_METHODS, _PATHS, _STATUS, _CONTENT_LENGTH, _CONTENT_TYPE = (2, 3), (4, 5), 8, 28, 31

# HPACK's Huffman code of the letters that are compared.
_HUFFMAN = {
    "-": "010110",
    "/": "011000",
    "A": "100001",
    "D": "1011111",
    "E": "1100000",
    "G": "1100010",
    "H": "1100011",
    "T": "1101111",
    "a": "00011",
    "c": "00100",
    "e": "00101",
    "g": "100110",
    "i": "00110",
    "l": "101000",
    "n": "101010",
    "o": "00111",
    "p": "101011",
    "r": "101100",
    "t": "01001",
    "y": "1111010",
}


def _forms(text: str) -> tuple[bytes, bytes]:
    """The two encodings of a string: plain, and Huffman code padded with ones."""
    bits = "".join(_HUFFMAN[letter] for letter in text)
    bits += "1" * (-len(bits) % 8)
    return text.encode(), int(bits, 2).to_bytes(len(bits) // 8, "big")


_GRPC_TYPES = _forms("application/grpc")  # 88 bits, so prefixes of longer types are the same
_CONTENT_TYPE_NAMES = _forms("content-type")
_GET_FORMS, _HEAD_FORMS, _ROOT_FORMS = _forms("GET"), _forms("HEAD"), _forms("/")


class Method(Enum):
    GET = "GET"
    HEAD = "HEAD"
    OTHER = "other"


class PlainRequest(NamedTuple):
    """A request that is not gRPC."""

    stream: int
    method: Method
    is_root: bool


class _Field(NamedTuple):
    name: bytes | int  # an index of the static table, or a string in either encoding
    value: bytes | None  # None if the whole field is the entry of the index


class FirstRequest:
    """Reads the bytes of a client until its first request."""

    def __init__(self) -> None:
        self.plain: PlainRequest | None = None
        self.decided = (
            False  # if plain is None then: gRPC, or a malformed request, which gRPC rejects
        )
        self._buffer = b""
        self._forwarded_preface = False

    def feed(self, data: bytes) -> bytes:
        """The bytes for the gRPC server: all except a plain request and the bytes after it."""
        self._buffer += data
        forward = self._take_preface() + self._take_frames()
        if self.decided and self.plain is None:
            forward += self._buffer
            self._buffer = b""
        return forward

    def _take_preface(self) -> bytes:
        if self._forwarded_preface or len(self._buffer) < len(PREFACE):
            return b""
        self._forwarded_preface = True
        return self._take(len(PREFACE))

    def _take_frames(self) -> bytes:
        forward = b""
        while self._forwarded_preface and not self.decided:
            end = frame_end(self._buffer)
            if end is None:
                self.decided = _is_oversized(self._buffer)
                return forward
            if self._buffer[3] == _HEADERS:
                self._decide()
                return forward
            forward += self._take(end)
        return forward

    def _decide(self) -> None:
        """Decides when the header block is complete, or too long."""
        block, position = b"", 0
        while (end := frame_end(self._buffer, position)) is not None:
            kind, flags = self._buffer[position + 3], self._buffer[position + 4]
            if position and kind != _CONTINUATION:
                self.decided = True
                return
            payload = self._buffer[position + _FRAME_HEAD : end]
            block += payload if position else _without_padding(payload, flags)
            if flags & _END_HEADERS:
                stream = int.from_bytes(self._buffer[5:9], "big") & _STREAM_BITS
                self.plain = _plain_request(stream, block)
                self.decided = True
                return
            position = end
        self.decided = (
            _is_oversized(self._buffer[position:]) or len(self._buffer) > _MAX_HEADER_BLOCK
        )

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def frame_end(data: bytes, start: int = 0) -> int | None:
    """The end of the frame that starts there, or None if it is not complete."""
    end = start + _FRAME_HEAD + int.from_bytes(data[start : start + 3], "big")
    return end if start + _FRAME_HEAD <= len(data) and end <= len(data) else None


def response(request: PlainRequest, *, after_settings: bool) -> bytes:
    """The frames of a response, and the end of the connection.

    A server's settings come first, unless the gRPC server has sent its own.
    """
    if request.is_root and request.method is not Method.OTHER:
        status, text = HTTPStatus.OK, b"Ok\n"
    else:
        status, text = (
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            (
                b"HTTP/2 on this port is for gRPC, with a content type application/grpc."
                b" Use HTTP/1.1 for REST and for /emulator/v1.\n"
            ),
        )
    settings = b"" if after_settings else _frame(_SETTINGS) + _frame(_SETTINGS, _ACKNOWLEDGED)
    headers = (
        _literal(_STATUS, str(status.value))
        + _literal(_CONTENT_TYPE, "text/plain; charset=utf-8")
        + _literal(_CONTENT_LENGTH, str(len(text)))
    )
    goaway = _frame(_GOAWAY, 0, 0, request.stream.to_bytes(4, "big") + bytes(4))
    if request.method is Method.HEAD:
        flags = _END_HEADERS | _END_STREAM
        return settings + _frame(_HEADERS, flags, request.stream, headers) + goaway
    return (
        settings
        + _frame(_HEADERS, _END_HEADERS, request.stream, headers)
        + _frame(_DATA, _END_STREAM, request.stream, text)
        + goaway
    )


def _plain_request(stream: int, block: bytes) -> PlainRequest | None:
    """None if the request is gRPC or malformed."""
    try:
        fields = list(_fields(block))
    except IndexError:
        return None
    values = {name: value for name, value in fields if value is not None}
    types = [values[name] for name in (_CONTENT_TYPE, *_CONTENT_TYPE_NAMES) if name in values]
    if any(value.startswith(_GRPC_TYPES) for value in types):
        return None
    methods = [values[name] for name in _METHODS if name in values]
    if _Field(_GET, None) in fields:
        methods.append(b"GET")
    is_root = _Field(_ROOT, None) in fields or any(values.get(n) in _ROOT_FORMS for n in _PATHS)
    return PlainRequest(stream, _method(methods), is_root=is_root)


def _method(values: Sequence[bytes]) -> Method:
    if any(value in _GET_FORMS for value in values):
        return Method.GET
    return Method.HEAD if any(value in _HEAD_FORMS for value in values) else Method.OTHER


def _fields(block: bytes) -> Iterator[_Field]:
    """The fields of a header block. Raises IndexError if it is cut off."""
    position = 0
    while position < len(block):
        first = block[position]
        if first & 0x80:
            index, position = _integer(block, position, 7)
            yield _Field(index, None)
        elif first & 0xC0 == 0 and first & 0x20:  # a new size of the dynamic table
            _, position = _integer(block, position, 5)
        else:
            name: bytes | int
            name, position = _integer(block, position, 6 if first & 0x40 else 4)
            if name == 0:
                name, position = _string(block, position)
            value, position = _string(block, position)
            yield _Field(name, value)


def _integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    """The integer with a prefix of so many bits, and the position after it."""
    most = (1 << bits) - 1
    number = block[position] & most
    position += 1
    if number < most:
        return number, position
    shift = 0
    while block[position] & 0x80 and shift < _MAX_SHIFT:
        number += (block[position] & 0x7F) << shift
        shift += 7
        position += 1
    return number + (block[position] << shift), position + 1


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    length, position = _integer(block, position, 7)
    end = position + length
    if end > len(block):
        raise IndexError("the string is cut off")
    return block[position:end], end


def _without_padding(payload: bytes, flags: int) -> bytes:
    padding = payload[0] if flags & _PADDED and payload else 0
    start = bool(flags & _PADDED) + (5 if flags & _PRIORITY else 0)
    return payload[start : len(payload) - padding]


def _is_oversized(data: bytes) -> bool:
    return len(data) >= _FRAME_HEAD and int.from_bytes(data[:3], "big") > _MAX_FRAME


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def _literal(name: int, value: str) -> bytes:
    """A field with a name of the static table, which no table remembers."""
    short = _LITERAL_PREFIX  # a longer name has the rest in a second byte
    prefix = bytes([name]) if name < short else bytes([short, name - short])
    return prefix + bytes([len(value)]) + value.encode()
