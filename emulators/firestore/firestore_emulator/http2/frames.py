"""HTTP/2 frames (RFC 9113): their types, flags, settings and error codes. Builds frames."""

import struct
from collections.abc import Mapping
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# The parts of a frame's head: two parts of the length, the type, the flags, and the stream.
HEAD = struct.Struct(">BHBBI")
HEAD_BYTES = HEAD.size
STREAM_BITS = 0x7FFFFFFF

# Integers, because an enumeration would slow down every frame.
(
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
) = range(10)

END_STREAM = ACKNOWLEDGED = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

MAX_WINDOW = 2**31 - 1
INITIAL_WINDOW = 65_535  # of a connection, and of a stream without a setting
MIN_MAX_FRAME = 16_384  # the limit of a peer without a setting
MAX_MAX_FRAME = 2**24 - 1
PING_BYTES = 8
INTEGER_BYTES = 4  # the payload of RST_STREAM and WINDOW_UPDATE

_PRIORITY_BYTES = 5
_SETTING = struct.Struct(">HI")


class Setting(IntEnum):
    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


class ConnectionFailure(Exception):  # noqa: N818 - not an error of this program
    """The peer broke a rule, so its connection ends."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamFailure(Exception):  # noqa: N818 - the same
    """The peer broke a rule on one stream, so that stream ends."""

    def __init__(self, stream: int, code: ErrorCode) -> None:
        super().__init__(f"stream {stream}: {code.name}")
        self.stream = stream
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def headers(flags: int, stream: int, block: bytes) -> bytes:
    """A whole header block, in frames that every peer accepts."""
    parts = [block[at : at + MIN_MAX_FRAME] for at in range(0, len(block), MIN_MAX_FRAME)]
    if len(parts) <= 1:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    first, *between, last = parts
    return b"".join(
        (
            frame(HEADERS, flags, stream, first),
            *(frame(CONTINUATION, 0, stream, each) for each in between),
            frame(CONTINUATION, END_HEADERS, stream, last),
        )
    )


def settings(values: Mapping[Setting, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    if len(payload) % _SETTING.size:
        raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "a setting has 6 bytes")
    return list(_SETTING.iter_unpack(payload))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last_stream: int, code: ErrorCode, message: str = "") -> bytes:
    payload = last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + message.encode()
    return frame(GOAWAY, 0, 0, payload)


def without_padding(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "the padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def header_block(flags: int, stream: int, payload: bytes) -> bytes:
    """The part of a header block that a HEADERS frame has."""
    block = without_padding(flags, payload)
    if not flags & WITH_PRIORITY:
        return block
    check_priority(stream, block[:_PRIORITY_BYTES])
    return block[_PRIORITY_BYTES:]


def check_priority(stream: int, priority: bytes) -> None:
    """Priorities are ignored, but must be well-formed."""
    if len(priority) != _PRIORITY_BYTES:
        raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "a priority has 5 bytes")
    if int.from_bytes(priority[:4], "big") & STREAM_BITS == stream:
        raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"stream {stream} depends on itself")
