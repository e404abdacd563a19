"""The part of HTTP/1.1 that curl and browsers need: one request for each connection."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from http import HTTPStatus

from firestore_emulator.http_api.messages import (
    Handle,
    HttpError,
    Request,
    Response,
    decoded_path,
    text,
)

_END_OF_HEAD = b"\r\n\r\n"
_CHUNK = 64 * 1024
_LINGER_SECONDS = 5.0
_KNOWN_STATUS = frozenset(map(int, HTTPStatus))
_SINGLE_HEADERS = frozenset({"host", "origin", "content-length"})


async def serve_connection(
    handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Reads one request, sends the response of ``handle``, and closes the connection."""
    body = _Body(reader, writer)
    try:
        with_body = True
        try:
            request = await _request(reader, body)
            with_body = request.method != "HEAD"
            response = await handle(request)
        except HttpError as error:
            response = text(error.status, str(error))
        await _send(response, writer, with_body=with_body)
        if body.is_unread:
            await _discard(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client disconnected, or its head is too long
    finally:
        writer.close()


class _Body:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.length = 0
        self.is_expected = False  # the client sends it only after a 100 Continue
        self._is_read = False

    @property
    def is_unread(self) -> bool:
        return self.length > 0 and not self._is_read

    async def read(self, limit: int) -> bytes:
        if self.length > limit:
            raise HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body has {self.length} bytes. The limit is {limit}.",
            )
        if self.is_expected:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._is_read = True
        return await self._reader.readexactly(self.length)

    async def until_disconnected(self) -> None:
        with suppress(ConnectionError):
            while await self._reader.read(_CHUNK):
                pass  # a second request on this connection, which gets no response


async def _request(reader: asyncio.StreamReader, body: _Body) -> Request:
    head = (await reader.readuntil(_END_OF_HEAD)).decode("latin-1")
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = _headers(fields)
    if "transfer-encoding" in headers:
        raise HttpError(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal() and len(length) <= len(str(2**63))):
        raise HttpError(HTTPStatus.BAD_REQUEST)
    body.length = int(length)
    body.is_expected = headers.get("expect", "").lower() == "100-continue"
    method, _, rest = line.partition(" ")
    path, _, query = rest.partition(" ")[0].partition("?")
    return Request(method, decoded_path(path), query, headers, body.read, body.until_disconnected)


def _headers(fields: list[str]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for each in fields:
        name, _, value = each.partition(":")
        name = name.strip().lower()
        if name in _SINGLE_HEADERS and name in headers:
            raise HttpError(HTTPStatus.BAD_REQUEST, f"The header {name} is there twice.")
        headers[name] = value.strip()
    return headers


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in _KNOWN_STATUS else "Client Closed Request"


async def _send(response: Response, writer: asyncio.StreamWriter, *, with_body: bool) -> None:
    head = [
        f"HTTP/1.1 {int(response.status)} {_phrase(response.status)}",
        f"Content-Type: {response.content_type}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
        "Connection: close",
    ]
    if isinstance(response.body, bytes):
        head.append(f"Content-Length: {len(response.body)}")
    else:
        head.append("Transfer-Encoding: chunked")
    writer.write("\r\n".join((*head, "", "")).encode("latin-1"))
    if with_body:
        await _send_body(response.body, writer)
    await writer.drain()


async def _send_body(
    body: bytes | AsyncGenerator[bytes, None], writer: asyncio.StreamWriter
) -> None:
    if isinstance(body, bytes):
        writer.write(body)
        return
    async with aclosing(body):  # it may hold resources; a failed send does not end it
        async for chunk in body:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
    writer.write(b"0\r\n\r\n")


async def _discard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads what the client still sends: to close at once could lose the response."""
    writer.write_eof()
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while await reader.read(_CHUNK):
                pass
    except TimeoutError:
        pass
