"""An HTTP/1.1 client for load: one pool of kept connections, without a limit, parsed by h11.

It must use little processor time, because a local demo shares the machine with the functions that
it measures. docs/adr/0020 compares it with other clients.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import h11

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLOCK = 16_384


class NoResponseError(Exception):
    """The connection failed before the whole response had arrived."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Client:
    """A client of one address. It never repeats a request; the caller decides about retries."""

    def __init__(self, url: str, host: str | None = None) -> None:
        """``host``: the Host header, if the URL is that of a gateway with several hosts."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http(s) address")
        self._host = host or parts.netloc
        self._address = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().close()

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        sent = {"Host": self._host, "Content-Length": str(len(body)), **(headers or {})}
        request = h11.Request(method=method, target=path, headers=list(sent.items()))
        try:
            connection = self._reusable() or await self._connect()
        except OSError as error:
            raise NoResponseError(f"no connection: {error}") from error
        try:
            response = await connection.exchange(request, body)
        except (OSError, EOFError, h11.ProtocolError) as error:
            connection.close()
            raise NoResponseError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            connection.close()  # cancelled: the rest of this response would begin the next one
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def _reusable(self) -> _Connection | None:
        """The most recently used connection that the server has not closed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        name = self._host.partition(":")[0] if self._tls else None
        streams = await asyncio.open_connection(
            self._address, self._port, ssl=self._tls, server_hostname=name
        )
        return _Connection(*streams)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._state = h11.Connection(h11.CLIENT)

    @property
    def reusable(self) -> bool:
        return self._state.our_state is h11.IDLE and not self._reader.at_eof()

    async def exchange(self, request: h11.Request, body: bytes) -> Response:
        send = self._state.send
        parts = (send(request), send(h11.Data(body)) if body else b"", send(h11.EndOfMessage()))
        self._writer.write(b"".join(filter(None, parts)))
        await self._writer.drain()
        response = await self._response()
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
        return response

    async def _response(self) -> Response:
        head, chunks = None, []
        while True:
            match event := self._state.next_event():
                case h11.NEED_DATA:
                    self._state.receive_data(await self._reader.read(_BLOCK))
                case h11.Response():
                    head = event
                case h11.Data():
                    chunks.append(bytes(event.data))
                case h11.EndOfMessage() if head is not None:
                    headers = {name.decode(): text.decode() for name, text in head.headers}
                    return Response(head.status_code, headers, b"".join(chunks))
                case h11.ConnectionClosed():
                    raise EOFError("closed before the response")

    def close(self) -> None:
        with suppress(OSError, RuntimeError):  # the event loop may be closed
            self._writer.close()
