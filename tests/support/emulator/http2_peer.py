"""A client of an HTTP/2 connection in memory, which can stop reading what the server writes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import hpack

from firestore_emulator.http2.connection import Accept, Connection
from firestore_emulator.http2.requests import Head
from firestore_emulator.http2.streams import Receiver, Stream
from support.emulator.http2_frames import (
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    SETTINGS,
    Frame,
    Frames,
    frame,
)

HIGH_WATER = 64 * 1024
FIELDS = {":method": "POST", ":scheme": "http", ":path": "/", ":authority": "localhost"}


class Transport(asyncio.Transport):
    """Like that of an event loop, it pauses a protocol that writes more than the client reads."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.written = bytearray()
        self.is_read = True
        self.is_reading_paused = self.has_ended = False

    def write(self, data: Any) -> None:
        self.written += data
        if not self.is_read and len(self.written) > HIGH_WATER and self.protocol is not None:
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        self.has_ended = True

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def abort(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.has_ended = True


class Received:
    """The request of a stream. It sends no response by itself."""

    def __init__(self, stream: Stream, head: Head) -> None:
        self.stream = stream
        self.head = head
        self.data = b""
        self.has_ended = self.is_cancelled = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def ended(self) -> None:
        self.has_ended = True

    def cancelled(self) -> None:
        self.is_cancelled = True


class Peer:
    def __init__(
        self,
        on_request: Callable[[Received], None] = lambda _: None,
        accept: Accept | None = None,
    ) -> None:
        """The connection of a server that accepts requests in this way, or only collects them."""
        self.requests: list[Received] = []
        self.is_lost = False
        self.transport = Transport()
        self._on_request = on_request
        self._encoder = hpack.Encoder()
        self._frames = Frames()
        self.connection = Connection(accept or self._accept, self._forget)
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    def _accept(self, stream: Stream, head: Head) -> Receiver:
        received = Received(stream, head)
        self.requests.append(received)
        self._on_request(received)
        return received

    def _forget(self, _: Connection) -> None:
        self.is_lost = True

    def open(self) -> None:
        """Sends the preface and the settings, and reads those of the server."""
        self.send(PREFACE, frame(SETTINGS))
        self.read()

    def send(self, *frames: bytes) -> None:
        self.connection.data_received(b"".join(frames))

    def request(self, stream: int, fields: Mapping[str, str] | None = None) -> Received:
        """The request, without a body."""
        self.send(self.head(stream, fields, END_STREAM))
        return self.requests[-1]

    def head(self, stream: int, fields: Mapping[str, str] | None = None, flags: int = 0) -> bytes:
        block = self.block((fields or FIELDS).items())  # in this order
        return frame(HEADERS, block, END_HEADERS | flags, stream)

    def block(self, fields: Iterable[tuple[str, str]]) -> bytes:
        return bytes(self._encoder.encode(fields))

    def read(self) -> list[Frame]:
        """What the server has written since the last call."""
        data = bytes(self.transport.written)
        self.transport.written.clear()
        return list(self._frames.feed(data))

    @property
    def error(self) -> int | None:
        """The code of the GOAWAY frame that ends the connection."""
        codes = [each.error for each in self.read() if each.kind == GOAWAY]
        return codes[0] if codes else None
