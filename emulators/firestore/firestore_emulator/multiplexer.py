"""One public port for both protocols: pipe HTTP/2 to the gRPC server, serve HTTP/1.1 here.

The first request of an HTTP/2 connection decides: if it is not gRPC it gets a response here,
because gRPC would reset it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from firestore_emulator import http2

_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_MAX_HEAD_BYTES = 64 * 1024
_LINGER_SECONDS = 5.0

# Serves a connection that is not HTTP/2, and closes it.
ServeHttp: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Pipe(asyncio.Protocol):
    """Forwards the bytes of its transport to the other one, with backpressure."""

    def __init__(self, other: asyncio.Transport) -> None:
        self._other = other

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._other.close()


class ServerFrames(Pipe):
    """Forwards whole frames of the gRPC server until the client's first request."""

    def __init__(self, client: asyncio.Transport) -> None:
        super().__init__(client)
        self._rest = b""
        self.has_forwarded = False

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := http2.frame_end(self._rest)) is not None:
            self._other.write(self._rest[:end])
            self._rest = self._rest[end:]
            self.has_forwarded = True

    def take_rest(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest


class ClientFrames(Pipe):
    """Reads the first request of an HTTP/2 client, which decides who responds."""

    def __init__(
        self, client: asyncio.Transport, server: asyncio.Transport, frames: ServerFrames
    ) -> None:
        super().__init__(server)
        self._client = client
        self._server_frames = frames
        self._first = http2.FirstRequest()

    def data_received(self, data: bytes) -> None:
        forward = self._first.feed(data)
        if forward:
            self._other.write(forward)
        if self._first.plain is not None:
            self._respond(self._first.plain)
        elif self._first.decided:
            self._pipe()

    def _pipe(self) -> None:
        rest = self._server_frames.take_rest()
        if rest:
            self._client.write(rest)
        self._other.set_protocol(Pipe(self._client))
        self._client.set_protocol(Pipe(self._other))

    def _respond(self, request: http2.PlainRequest) -> None:
        after_settings = self._server_frames.has_forwarded
        self._other.set_protocol(asyncio.Protocol())
        self._other.close()
        self._client.set_protocol(_Lingering(self._client))
        self._client.write(http2.response(request, after_settings=after_settings))
        self._client.write_eof()
        self._client.resume_reading()


class _Lingering(asyncio.Protocol):
    """Discards what the client still sends: to close at once could lose the response."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._end = asyncio.get_running_loop().call_later(_LINGER_SECONDS, transport.abort)

    def connection_lost(self, _: Exception | None) -> None:
        self._end.cancel()


# Opens a connection to the gRPC server, with the protocol that the factory creates.
Connect: TypeAlias = Callable[
    [Callable[[], ServerFrames]], Awaitable[tuple[asyncio.Transport, ServerFrames]]
]


class Multiplexer(asyncio.Protocol):
    """A new connection. Its first bytes decide which protocol takes it over."""

    def __init__(self, connect: Connect, serve_http: ServeHttp) -> None:
        self._connect = connect
        self._serve_http = serve_http
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.startswith(_HTTP2_PREFACE):
            self._transport.pause_reading()
            self._piping = asyncio.create_task(self._pipe())
        elif not _HTTP2_PREFACE.startswith(self._received):
            self._stream()

    def _stream(self) -> None:
        streams = asyncio.StreamReaderProtocol(
            asyncio.StreamReader(limit=_MAX_HEAD_BYTES), self._serve_http
        )
        self._transport.set_protocol(streams)
        streams.connection_made(self._transport)
        streams.data_received(self._received)

    async def _pipe(self) -> None:
        try:
            server, frames = await self._connect(lambda: ServerFrames(self._transport))
        except OSError:  # the gRPC server is shutting down
            self._transport.close()
            return
        client = ClientFrames(self._transport, server, frames)
        self._transport.set_protocol(client)
        client.data_received(self._received)
        if self._transport.is_closing():  # the client disconnected during the await
            server.close()
        else:
            self._transport.resume_reading()
