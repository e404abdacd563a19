"""The server's side of an HTTP/2 connection (RFC 9113), without push and priorities.

A client that breaks a rule ends its stream or its connection, and no other. What it can store here
is limited: the header blocks, the open streams, and the bytes of requests that no method has
consumed. A client that does not read is not read either, so its replies cannot pile up.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, cast

from firestore_emulator.http2 import frames, header_blocks
from firestore_emulator.http2.frames import (
    ACKNOWLEDGED,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    PREFACE,
    STREAM_BITS,
    ConnectionFailure,
    ErrorCode,
    Setting,
    StreamFailure,
)
from firestore_emulator.http2.outbox import Outbox
from firestore_emulator.http2.requests import MAX_LIST_BYTES, Head, HeadReader
from firestore_emulator.http2.streams import WINDOW, Memory, Receiver, Stream

# Starts to serve a request.
Accept: TypeAlias = Callable[[Stream, Head], Receiver]

MAX_STREAMS = 4096  # calls that wait for a lock are streams, too

_CONNECTION_WINDOW = 16 * 1024 * 1024
_MAX_CONTINUATIONS = 128
_MAX_CLOSED = 256  # streams that are known to be closed, not skipped
_MAX_SENT_FRAME = 64 * 1024  # even if the peer accepts more: other streams wait for it
_FRAMES_IN_A_TURN = 64
_HEADER_BYTES_IN_A_TURN = 4096  # a byte of a header block can be a whole field
_LINGER_SECONDS = 5.0
HANDSHAKE_SECONDS = 60.0

_GREETING = frames.settings(
    {
        Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        Setting.INITIAL_WINDOW_SIZE: WINDOW,
        Setting.MAX_HEADER_LIST_SIZE: MAX_LIST_BYTES,
    }
) + frames.window_update(0, _CONNECTION_WINDOW - frames.INITIAL_WINDOW)
_SETTINGS_REPLY = frames.frame(frames.SETTINGS, ACKNOWLEDGED, 0)


class Connection(asyncio.Protocol):
    def __init__(self, accept: Accept, on_lost: Callable[["Connection"], None]) -> None:
        self._accept = accept
        self._on_lost = on_lost
        self._streams: dict[int, Stream] = {}
        self._closed: dict[int, bool] = {}  # the last ones; whether this side reset them
        self._last = 0  # the highest stream of the client
        self._heads = HeadReader()
        self._block: _Block | None = None  # a header block that is not complete
        self._input = bytearray()  # a frame that is not complete
        self._needed = len(PREFACE)
        self._unread: tuple[bytes, int] | None = None  # received, and the position of the next turn
        self._has_preface = self._has_settings = False
        self._unacknowledged = 0  # received bytes, for the connection's window
        self._header_bytes = 0  # of the header blocks of this turn
        self._memory = Memory()
        self._restart: asyncio.Handle | None = None
        self._is_closing = self._is_draining = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", transport)
        self._outbox = Outbox(self._transport)
        self._outbox.write(_GREETING)
        self._timer = self._loop.call_later(HANDSHAKE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        if self._input:
            self._input += data
            if len(self._input) < self._needed:
                return
            data = bytes(self._input)
            self._input.clear()
        try:
            self._read(data, 0 if self._has_preface else self._read_preface(data))
        except ConnectionFailure as failure:
            self._fail(failure)

    def eof_received(self) -> None:
        """The transport closes itself."""

    def pause_writing(self) -> None:
        self._outbox.pause()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._outbox.resume()
        self._continue()

    def connection_lost(self, _: Exception | None) -> None:
        self._is_closing = True
        self._cancel_timer()
        self._cancel_all()
        self._on_lost(self)

    def shut_down(self) -> None:
        """Accepts no further streams, and closes when the open ones have ended."""
        if self._is_closing or self._is_draining:
            return
        self._is_draining = True
        self._outbox.write(frames.goaway(self._last, ErrorCode.NO_ERROR, "shutting down"))
        self._close_if_drained()

    def close(self) -> None:
        """Ends the open streams."""
        self._is_closing = True
        self._cancel_all()
        self._transport.close()

    # Frames.

    def _read_preface(self, data: bytes) -> int:
        """The position after the preface; 0 if it is not complete."""
        if not data.startswith(PREFACE[: len(data)]):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2")
        self._has_preface = len(data) >= len(PREFACE)
        return len(PREFACE) if self._has_preface else 0

    def _read(self, data: bytes, position: int) -> None:
        """Reads the frames from this position on, in turns with other connections."""
        end = len(data)
        needed = HEAD_BYTES if self._has_preface else len(PREFACE)
        self._header_bytes = 0
        for _ in range(_FRAMES_IN_A_TURN):
            if end - position < needed or self._header_bytes > _HEADER_BYTES_IN_A_TURN:
                break
            high, low, kind, flags, stream = HEAD.unpack_from(data, position)
            length = (high << 16) | low
            if length > frames.MIN_MAX_FRAME:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, f"a frame has {length} bytes")
            needed = HEAD_BYTES + length
            if end - position < needed:
                break
            payload = data[position + HEAD_BYTES : position + needed]
            position += needed
            needed = HEAD_BYTES
            try:
                self._handle(kind, flags, stream & STREAM_BITS, payload)
            except StreamFailure as failure:
                self._reset(failure)
            if self._is_closing:
                return
        if end - position < needed:
            self._input += data[position:]
            self._needed = needed
        else:
            self._unread = data, position
            self._transport.pause_reading()
            self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        """Reads on, if the client reads what it has been sent."""
        if self._is_closing or self._outbox.is_paused:
            return
        if self._unread is not None:
            (data, position), self._unread = self._unread, None
            try:
                self._read(data, position)
            except ConnectionFailure as failure:
                self._fail(failure)
        if self._unread is None and not self._outbox.is_paused and not self._is_closing:
            self._transport.resume_reading()

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and (kind, stream) != (frames.CONTINUATION, self._block.stream):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._has_settings and kind != frames.SETTINGS:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if kind < len(_HANDLERS):
            _HANDLERS[kind](self, flags, stream, payload)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._unacknowledged += len(payload)
        if self._unacknowledged >= _CONNECTION_WINDOW // 2:
            self._outbox.write(frames.window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        data = frames.without_padding(flags, payload)
        stream = self._streams.get(stream_id)
        if stream is None or stream.has_request_ended:
            self._check_not_idle(stream_id)
            if self._closed.get(stream_id):
                return  # the client had not received the reset
            raise StreamFailure(stream_id, ErrorCode.STREAM_CLOSED)
        stream.receive(data, len(payload))
        if data:
            stream.receiver.data_received(data)
        if flags & END_STREAM and not stream.has_ended:
            stream.end_request()
            stream.receiver.ended()

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = frames.header_block(flags, stream, payload)
        if flags & END_HEADERS:
            self._on_block(stream, block, has_ended=bool(flags & END_STREAM))
        else:
            self._block = _Block(stream, block, has_ended=bool(flags & END_STREAM))

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "CONTINUATION follows no HEADERS")
        block.append(payload)
        if flags & END_HEADERS:
            self._block = None
            self._on_block(stream, bytes(block.data), has_ended=block.has_ended)

    def _on_block(self, stream_id: int, block: bytes, *, has_ended: bool) -> None:
        self._header_bytes += len(block)
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._on_trailers(stream, block, has_ended=has_ended)
            return
        if stream_id <= self._last or not stream_id % 2:
            self._check_is_reset(stream_id)
            self._heads.skip_trailers(stream_id, block)
            return
        self._last = stream_id
        head = self._heads.read(stream_id, block)
        if self._is_draining:
            return
        if len(self._streams) >= MAX_STREAMS:
            raise StreamFailure(stream_id, ErrorCode.REFUSED_STREAM)
        stream = Stream(
            stream_id, self._outbox, self._memory, head.content_length, self._on_stream_closed
        )
        self._streams[stream_id] = stream
        stream.receiver = self._accept(stream, head)
        if has_ended and not stream.has_ended:
            stream.end_request()
            stream.receiver.ended()

    def _on_trailers(self, stream: Stream, block: bytes, *, has_ended: bool) -> None:
        self._heads.skip_trailers(stream.id, block)
        if stream.has_request_ended:
            raise StreamFailure(stream.id, ErrorCode.STREAM_CLOSED)
        if not has_ended:
            raise StreamFailure(stream.id, ErrorCode.PROTOCOL_ERROR)
        stream.end_request()
        stream.receiver.ended()

    def _on_priority(self, _: int, stream: int, payload: bytes) -> None:
        if not stream:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "PRIORITY without a stream")
        frames.check_priority(stream, payload)

    def _on_rst_stream(self, _: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != frames.INTEGER_BYTES:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM has 4 bytes")
        self._check_not_idle(stream_id)
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.abandon()
            stream.receiver.cancelled()

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "SETTINGS of a stream")
        if flags & ACKNOWLEDGED:
            if payload:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "a reply has no settings")
            return
        settings = frames.parse_settings(payload)
        if not self._has_settings:
            self._has_settings = True
            self._cancel_timer()
        for name, value in settings:
            self._apply(name, value)
        self._outbox.write(_SETTINGS_REPLY)

    def _apply(self, name: int, value: int) -> None:
        match name:
            case Setting.ENABLE_PUSH if value > 1:
                raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
            case Setting.INITIAL_WINDOW_SIZE:
                if value > frames.MAX_WINDOW:
                    raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, f"a window of {value}")
                has_grown = value > self._outbox.initial_stream_window
                self._outbox.initial_stream_window = value
                if has_grown and self._restart is None:  # once for many settings: it takes longer
                    self._restart = self._loop.call_soon(self._restart_streams)
            case Setting.MAX_FRAME_SIZE:
                if not frames.MIN_MAX_FRAME <= value <= frames.MAX_MAX_FRAME:
                    raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
                self._outbox.max_frame = min(value, _MAX_SENT_FRAME)

    def _restart_streams(self) -> None:
        self._restart = None
        for stream in list(self._streams.values()):
            stream.continue_sending()

    def _on_push_promise(self, _: int, __: int, ___: bytes) -> None:
        raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a client cannot push")

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        """Any interval is allowed: client libraries and users set intervals of seconds."""
        if stream:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "PING of a stream")
        if len(payload) != frames.PING_BYTES:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "PING has 8 bytes")
        if not flags & ACKNOWLEDGED:
            self._outbox.write(frames.frame(frames.PING, ACKNOWLEDGED, 0, payload))

    def _on_goaway(self, _: int, stream: int, __: bytes) -> None:
        """The client opens no further streams, and disconnects by itself."""
        if stream:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "GOAWAY of a stream")

    def _on_window_update(self, _: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != frames.INTEGER_BYTES:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE has 4 bytes")
        increment = int.from_bytes(payload, "big") & STREAM_BITS
        if not stream_id:
            if not increment:
                raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "an increment is 0")
            self._outbox.widen(increment)
            return
        self._check_not_idle(stream_id)
        stream = self._streams.get(stream_id)
        if stream is not None:
            if not increment:
                raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR)
            stream.widen(increment)

    # Streams.

    def _check_not_idle(self, stream: int) -> None:
        if not stream or stream > self._last or not stream % 2:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"stream {stream} is not open")

    def _check_is_reset(self, stream: int) -> None:
        """A header block of a stream that is not open is right only after a reset."""
        was_reset = self._closed.get(stream)
        if was_reset is None:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"{stream} is not a new stream")
        if not was_reset:
            raise ConnectionFailure(ErrorCode.STREAM_CLOSED, f"stream {stream} is closed")

    def _reset(self, failure: StreamFailure) -> None:
        self._outbox.write(frames.rst_stream(failure.stream, failure.code))
        stream = self._streams.get(failure.stream)
        if stream is None:
            self._remember_closed(failure.stream, was_reset=True)
            return
        stream.abandon()
        self._closed[stream.id] = True
        stream.receiver.cancelled()

    def _on_stream_closed(self, stream: Stream) -> None:
        del self._streams[stream.id]
        self._remember_closed(stream.id, was_reset=not stream.has_request_ended)
        if self._is_draining:
            self._close_if_drained()

    def _remember_closed(self, stream: int, *, was_reset: bool) -> None:
        self._closed[stream] = was_reset
        if len(self._closed) > _MAX_CLOSED:
            del self._closed[next(iter(self._closed))]

    def _cancel_all(self) -> None:
        for stream in list(self._streams.values()):
            stream.abandon()
            stream.receiver.cancelled()

    # The end.

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, failure: ConnectionFailure) -> None:
        self._outbox.write(frames.goaway(self._last, failure.code, str(failure)))
        self._linger()

    def _close_if_drained(self) -> None:
        if not self._streams and not self._is_closing:
            self._linger()

    def _linger(self) -> None:
        """Discards what the client still sends: to close at once could lose the last frames."""
        self._is_closing = True
        self._cancel_timer()
        self._cancel_all()
        self._transport.resume_reading()
        with suppress(OSError):  # the client has disconnected, and the transport does not know yet
            self._transport.write_eof()
        self._timer = self._loop.call_later(_LINGER_SECONDS, self._transport.abort)


class _Block:
    """A header block of several frames."""

    def __init__(self, stream: int, data: bytes, *, has_ended: bool) -> None:
        self.stream = stream
        self.data = bytearray(data)
        self.has_ended = has_ended
        self._continuations = 0

    def append(self, data: bytes) -> None:
        self.data += data
        self._continuations += 1
        if len(self.data) > header_blocks.MAX_BYTES or self._continuations > _MAX_CONTINUATIONS:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too long")


# By the types of frames.
_HANDLERS: tuple[Callable[[Connection, int, int, bytes], None], ...] = (
    Connection._on_data,  # noqa: SLF001
    Connection._on_headers,  # noqa: SLF001
    Connection._on_priority,  # noqa: SLF001
    Connection._on_rst_stream,  # noqa: SLF001
    Connection._on_settings,  # noqa: SLF001
    Connection._on_push_promise,  # noqa: SLF001
    Connection._on_ping,  # noqa: SLF001
    Connection._on_goaway,  # noqa: SLF001
    Connection._on_window_update,  # noqa: SLF001
    Connection._on_continuation,  # noqa: SLF001
)
