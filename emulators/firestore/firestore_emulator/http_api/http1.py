"""As much of HTTP/1.1 as curl and a browser need: one request a connection."""

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
    body: bytes | AsyncIterator[bytes]  # an iterator that breaks off breaks the response off


Answer: TypeAlias = Callable[[Request], Awaitable[Response]]


class _Refused(Exception):  # noqa: N818
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


def text(status: HTTPStatus, line: str) -> Response:
    return Response(status, "text/plain; charset=utf-8", f"{line}\n".encode())


async def converse(
    answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        try:
            response = await answer(await _request(reader, writer))
        except _Refused as refused:
            response = text(refused.status, refused.status.phrase)
        await _send(response, writer)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # it has gone, or its head has no end
    finally:
        writer.close()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = (await reader.readuntil(_END_OF_HEAD)).decode("latin-1")
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in map(_field, fields)}
    if "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise _Refused(HTTPStatus.BAD_REQUEST)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    method, _, rest = line.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    return Request(method, unquote(path), await reader.readexactly(int(length)))


def _field(line: str) -> tuple[str, str, str]:
    return line.partition(":")


async def _send(response: Response, writer: asyncio.StreamWriter) -> None:
    head = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        "Connection: close",
    ]
    if isinstance(response.body, bytes):
        head.append(f"Content-Length: {len(response.body)}")
        writer.write("\r\n".join((*head, "", "")).encode() + response.body)
    else:
        head.append("Transfer-Encoding: chunked")
        writer.write("\r\n".join((*head, "", "")).encode())
        async for chunk in response.body:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()
