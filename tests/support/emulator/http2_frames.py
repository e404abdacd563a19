"""HTTP/2 frames as a client sends and receives them, also those that no client library sends."""

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM = ACKNOWLEDGED = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32

INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5

(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
) = range(12)

_HEAD_BYTES = 9


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def error(self) -> int:
        """The code of a RST_STREAM or GOAWAY frame."""
        return int.from_bytes(self.payload[-4:] if self.kind == RST_STREAM else self.payload[4:8])


class Response(NamedTuple):
    headers: Mapping[str, str]
    body: bytes
    trailers: Mapping[str, str]

    @property
    def grpc_status(self) -> int:
        return int({**self.headers, **self.trailers}["grpc-status"])


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def settings(values: Mapping[int, int]) -> bytes:
    return frame(SETTINGS, b"".join(struct.pack(">HI", *item) for item in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, struct.pack(">I", increment), stream=stream)


def rst_stream(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, struct.pack(">I", code), stream=stream)


def grpc_message(data: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">BI", compressed, len(data)) + data


def grpc_fields(path: str, **more: str) -> dict[str, str]:
    return {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


class Frames:
    """Splits the bytes of a server into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._rest += data
        while len(self._rest) >= _HEAD_BYTES:
            end = _HEAD_BYTES + int.from_bytes(self._rest[:3])
            if len(self._rest) < end:
                return
            kind, flags = self._rest[3:5]
            stream = int.from_bytes(self._rest[5:9])
            received = Frame(kind, flags, stream, self._rest[_HEAD_BYTES:end])
            self._rest = self._rest[end:]
            yield received


class Http2Client:
    """A connection that has sent its preface and settings."""

    def __init__(self, connection: socket.socket, values: Mapping[int, int]) -> None:
        self.socket = connection
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._frames = self._received()
        self.send(PREFACE + settings(values))

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def block(self, fields: Mapping[str, str]) -> bytes:
        return self._encoder.encode(list(fields.items()))

    def request(self, stream: int, fields: Mapping[str, str], body: bytes | None = None) -> None:
        """Sends a whole request. A body of None is not even an empty DATA frame."""
        flags = END_HEADERS | (END_STREAM if body is None else 0)
        self.send(frame(HEADERS, self.block(fields), flags, stream))
        if body is not None:
            self.send_data(stream, body)

    def send_data(self, stream: int, data: bytes, *, end: bool = True) -> None:
        parts = [data[at : at + 16_384] for at in range(0, len(data), 16_384)] or [b""]
        for part in parts[:-1]:
            self.send(frame(DATA, part, 0, stream))
        self.send(frame(DATA, parts[-1], END_STREAM if end else 0, stream))

    def read(self) -> Frame:
        """The next frame. Raises EOFError at the end of the connection."""
        received = next(self._frames, None)
        if received is None:
            raise EOFError
        return received

    def read_until(self, kind: int, stream: int = 0) -> Frame:
        while True:
            received = self.read()
            if (received.kind, received.stream) == (kind, stream):
                return received

    def response(self, stream: int) -> Response:
        """Reads to the end of this response. Its headers must have arrived whole."""
        blocks: list[dict[str, str]] = []
        body = b""
        while True:
            received = self.read()
            if received.kind == HEADERS:
                fields = {str(name): str(text) for name, text in self._decode(received)}
                if received.stream == stream:
                    blocks.append(fields)
            if received.stream != stream:
                assert received.kind != GOAWAY, received
                continue
            assert received.kind != RST_STREAM, received
            if received.kind == DATA:
                body += received.payload
            if received.kind in {DATA, HEADERS} and received.flags & END_STREAM:
                return Response(blocks[0], body, blocks[1] if len(blocks) > 1 else {})

    def _decode(self, received: Frame) -> Iterable[tuple[str | bytes, str | bytes]]:
        assert received.flags & END_HEADERS
        return self._decoder.decode(received.payload)

    def _received(self) -> Iterator[Frame]:
        frames = Frames()
        while data := self.socket.recv(1 << 16):
            yield from frames.feed(data)


@contextmanager
def http2_client(address: str, values: Mapping[int, int] | None = None) -> Iterator[Http2Client]:
    """A client of the server at this address. ``values`` are its settings."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield Http2Client(connection, values or {})
