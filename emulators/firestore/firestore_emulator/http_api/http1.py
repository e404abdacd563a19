"""The part of HTTP/1.1 that curl and browsers need: one request for each connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

_END_OF_HEAD = b"\r\n\r\n"


class Request(NamedTuple):
    method: str
    path: str  # decoded
    body: bytes


class Response(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes | AsyncIterator[bytes]  # if the iterator raises, the response is cut off


Handle: TypeAlias = Callable[[Request], Awaitable[Response]]


class _InvalidRequestError(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


def text(status: HTTPStatus, line: str) -> Response:
    return Response(status, "text/plain; charset=utf-8", f"{line}\n".encode())


async def serve_connection(
    handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Reads one request, sends the response of ``handle``, and closes the connection."""
    try:
        try:
            request = await _request(reader, writer)
        except _InvalidRequestError as error:
            await _send(text(error.status, error.status.phrase), writer)
            return
        if request.method == "HEAD":
            response = await handle(request._replace(method="GET"))
            await _send(response, writer, with_body=False)
        else:
            await _send(await handle(request), writer)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client disconnected, or its head is too long
    finally:
        writer.close()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = (await reader.readuntil(_END_OF_HEAD)).decode("latin-1")
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in map(_field, fields)}
    if "transfer-encoding" in headers:
        raise _InvalidRequestError(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise _InvalidRequestError(HTTPStatus.BAD_REQUEST)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    method, _, rest = line.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    return Request(method, unquote(path), await reader.readexactly(int(length)))


def _field(line: str) -> tuple[str, str, str]:
    return line.partition(":")


async def _send(
    response: Response, writer: asyncio.StreamWriter, *, with_body: bool = True
) -> None:
    head = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        "Connection: close",
    ]
    if isinstance(response.body, bytes):
        head.append(f"Content-Length: {len(response.body)}")
        body = response.body if with_body else b""
        writer.write("\r\n".join((*head, "", "")).encode() + body)
    elif not with_body:
        writer.write("\r\n".join((*head, "", "")).encode())
    else:
        head.append("Transfer-Encoding: chunked")
        writer.write("\r\n".join((*head, "", "")).encode())
        async for chunk in response.body:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()
