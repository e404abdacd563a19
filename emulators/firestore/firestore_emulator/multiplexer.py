"""One public port for both protocols: pipe HTTP/2 to the gRPC server, serve HTTP/1.1 here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_MAX_HEAD_BYTES = 64 * 1024

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


# Opens a connection to the gRPC server, with the protocol that the factory creates.
Connect: TypeAlias = Callable[
    [Callable[[], Pipe]], Awaitable[tuple[asyncio.Transport, asyncio.Protocol]]
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
            server, _ = await self._connect(lambda: Pipe(self._transport))
        except OSError:  # the gRPC server is shutting down
            self._transport.close()
            return
        server.write(self._received)
        self._transport.set_protocol(Pipe(server))
        if self._transport.is_closing():  # the client disconnected during the await
            server.close()
        self._transport.resume_reading()
