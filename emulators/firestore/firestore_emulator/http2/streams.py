"""One request and its response: a stream of an HTTP/2 connection."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from firestore_emulator.http2 import frames
from firestore_emulator.http2.frames import END_HEADERS, END_STREAM, HEAD, ErrorCode, StreamFailure
from firestore_emulator.http2.outbox import Outbox

WINDOW = 1024 * 1024  # bytes that a client may send before it needs a grant

_MAX_QUEUED_BYTES = 64 * 1024  # of a response, before its sender waits
_MAX_HELD_BYTES = 128 * 1024 * 1024  # that no method has taken, of all requests of a connection


class Memory:
    """Bytes of the requests of one connection that no method has taken yet."""

    def __init__(self) -> None:
        self.held = 0


class Receiver(Protocol):
    """Serves the request of one stream."""

    def data_received(self, data: bytes) -> None: ...

    def ended(self) -> None:
        """The request is complete."""

    def cancelled(self) -> None:
        """The client has reset the stream or disconnected. Nothing can be sent any more."""


class Stream:
    """The response's side is for receivers; ``receive`` and ``widen`` are for the connection."""

    __slots__ = (
        "_chunks",
        "_drained",
        "_expected",
        "_extra_window",
        "_held",
        "_memory",
        "_on_closed",
        "_outbox",
        "_queued",
        "_receive_window",
        "_trailers",
        "_ungranted",
        "has_ended",
        "has_request_ended",
        "id",
        "receiver",
    )

    receiver: Receiver  # set as soon as the request is accepted

    def __init__(
        self,
        stream_id: int,
        outbox: Outbox,
        memory: Memory,
        expected: int | None,
        on_closed: Callable[["Stream"], None],
    ) -> None:
        """``expected`` is the length of the body, if the client announced it."""
        self.id = stream_id
        self.has_request_ended = False
        self.has_ended = False  # the response is complete, or the stream is reset
        self._outbox = outbox
        self._memory = memory
        self._held = 0
        self._on_closed = on_closed
        self._expected = expected
        self._receive_window = WINDOW
        self._ungranted = 0
        self._extra_window = 0  # added to the initial window of the peer's settings
        self._chunks: deque[bytes | memoryview] = deque()
        self._queued = 0
        self._trailers: bytes | None = None
        self._drained: asyncio.Future[None] | None = None

    # The request.

    def receive(self, data: bytes, flow_bytes: int) -> None:
        self._receive_window -= flow_bytes
        if self._receive_window < 0:
            raise StreamFailure(self.id, ErrorCode.FLOW_CONTROL_ERROR)
        if self._expected is not None:
            self._expected -= len(data)
            if self._expected < 0:
                raise StreamFailure(self.id, ErrorCode.PROTOCOL_ERROR)
        self._ungranted += flow_bytes
        self._held += len(data)
        self._memory.held += len(data)
        if self._memory.held > _MAX_HELD_BYTES:
            raise StreamFailure(self.id, ErrorCode.ENHANCE_YOUR_CALM)

    def end_request(self) -> None:
        if self._expected:
            raise StreamFailure(self.id, ErrorCode.PROTOCOL_ERROR)
        self.has_request_ended = True

    def grant(self) -> None:
        """Lets the client send as many bytes more as it has sent."""
        if self._ungranted >= WINDOW // 2 and not self.has_request_ended and not self.has_ended:
            self._outbox.write(frames.window_update(self.id, self._ungranted))
            self._receive_window += self._ungranted
            self._ungranted = 0

    def take(self, size: int) -> None:
        """A method has so many bytes of the request. They do not count as held any more."""
        size = min(size, self._held)  # the stream may have ended, with all that it held
        self._held -= size
        self._memory.held -= size

    # The response.

    def respond(self, headers: bytes, body: bytes, trailers: bytes) -> None:
        """Sends a whole response, if possible in one write."""
        outbox, size = self._outbox, len(body)
        if (
            self._queued
            or outbox.is_busy
            or size > outbox.max_frame
            or size > outbox.window
            or size > self._extra_window + outbox.initial_stream_window
        ):
            self.send_headers(headers)
            self.send(body)
            self.end(trailers)
            return
        if self.has_ended:
            return
        outbox.window -= size
        self._extra_window -= size
        outbox.write(
            b"".join(
                (
                    HEAD.pack(0, len(headers), frames.HEADERS, END_HEADERS, self.id),
                    headers,
                    HEAD.pack(size >> 16, size & 0xFFFF, frames.DATA, 0, self.id),
                    body,
                    HEAD.pack(0, len(trailers), frames.HEADERS, END_HEADERS | END_STREAM, self.id),
                    trailers,
                )
            )
        )
        self._close()

    def send_headers(self, block: bytes) -> None:
        if not self.has_ended:
            self._outbox.write(frames.headers(0, self.id, block))

    def send_only_headers(self, block: bytes) -> None:
        """A response without a body."""
        if not self.has_ended:
            self._outbox.write(frames.headers(END_STREAM, self.id, block))
            self._close()

    def send(self, data: bytes) -> None:
        if data and not self.has_ended:
            self._chunks.append(data)
            self._queued += len(data)
            self._outbox.add(self)
            self._outbox.flush()

    def end(self, trailers: bytes = b"") -> None:
        """Ends the response after the data that is queued."""
        if self.has_ended:
            return
        if self._queued:
            self._trailers = trailers
        else:
            self._write_end(trailers)

    async def drained(self) -> None:
        """Waits until the client has taken most of what was sent."""
        while self._queued > _MAX_QUEUED_BYTES and not self.has_ended:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def reset(self, code: ErrorCode) -> None:
        if not self.has_ended:
            self._outbox.write(frames.rst_stream(self.id, code))
            self._end()

    # For the connection.

    def widen(self, increment: int) -> None:
        self._extra_window += increment
        if self._extra_window + self._outbox.initial_stream_window > frames.MAX_WINDOW:
            raise StreamFailure(self.id, ErrorCode.FLOW_CONTROL_ERROR)
        self.continue_sending()

    def continue_sending(self) -> None:
        """After a window has grown."""
        if self.can_send:
            self._outbox.add(self)
            self._outbox.flush()

    def abandon(self) -> None:
        """Neither side sends anything more."""
        self.has_request_ended = True
        self._end()

    @property
    def can_send(self) -> bool:
        return self._queued > 0 and self._extra_window + self._outbox.initial_stream_window > 0

    def write_frame(self) -> None:
        """Writes a frame of data, and the end if it was the last one."""
        outbox = self._outbox
        window = min(
            self._extra_window + outbox.initial_stream_window, outbox.window, outbox.max_frame
        )
        if self._queued and window > 0:
            data = self._take(window)
            outbox.window -= len(data)
            self._extra_window -= len(data)
            outbox.write(frames.frame(frames.DATA, 0, self.id, data))
            if self._drained is not None and self._queued <= _MAX_QUEUED_BYTES:
                self._wake()
        if not self._queued and self._trailers is not None:
            self._write_end(self._trailers)

    def _take(self, most: int) -> bytes:
        """The next bytes of the queue, of one or several chunks."""
        taken, size = [], 0
        while self._chunks and size < most:
            chunk = self._chunks.popleft()
            if len(chunk) > most - size:
                view = memoryview(chunk)  # a slice of bytes would copy the rest for each frame
                chunk, rest = view[: most - size], view[most - size :]
                self._chunks.appendleft(rest)
            taken.append(chunk)
            size += len(chunk)
        self._queued -= size
        return b"".join(taken)

    def _write_end(self, trailers: bytes) -> None:
        if trailers:
            self._outbox.write(frames.headers(END_STREAM, self.id, trailers))
        else:
            self._outbox.write(frames.frame(frames.DATA, END_STREAM, self.id))
        self._close()

    def _close(self) -> None:
        """The response is complete. The rest of an incomplete request is not needed."""
        if not self.has_request_ended:
            self._outbox.write(frames.rst_stream(self.id, ErrorCode.NO_ERROR))
        self._end()

    def _end(self) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        self.take(self._held)
        self._chunks.clear()
        self._queued = 0
        self._outbox.remove(self)
        self._wake()
        self._on_closed(self)

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
