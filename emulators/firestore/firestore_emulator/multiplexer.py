"""One port for HTTP/2 and HTTP/1.1: the first bytes of a connection decide."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_MAX_HEAD_BYTES = 64 * 1024
_SECONDS_TO_DECIDE = 60.0

# Serves a connection that is not HTTP/2, and closes it.
ServeHttp: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Multiplexer(asyncio.Protocol):
    """A new connection, until its protocol is known."""

    def __init__(self, http2: Callable[[], asyncio.Protocol], serve_http: ServeHttp) -> None:
        self._http2 = http2
        self._serve_http = serve_http
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_SECONDS_TO_DECIDE, self._transport.close)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.startswith(_HTTP2_PREFACE):
            self._hand_over(self._http2())
        elif not _HTTP2_PREFACE.startswith(self._received):
            reader = asyncio.StreamReader(limit=_MAX_HEAD_BYTES)
            self._hand_over(asyncio.StreamReaderProtocol(reader, self._serve_http))

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        self._timer.cancel()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._received)
