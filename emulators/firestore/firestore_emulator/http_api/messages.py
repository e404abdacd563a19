"""Requests and responses of the plain HTTP API, in either version of HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

# Reads the body. Raises HttpError if it has more bytes than this limit.
ReadBody: TypeAlias = Callable[[int], Awaitable[bytes]]


class HttpError(Exception):
    """A request that gets this status."""

    def __init__(self, status: HTTPStatus, message: str = "") -> None:
        super().__init__(message or status.phrase)
        self.status = status


async def _no_body(_: int) -> bytes:
    return b""


async def _never() -> None:
    await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str  # decoded
    query: str = ""  # not decoded
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    read_body: ReadBody = _no_body
    until_disconnected: Callable[[], Awaitable[None]] = _never  # only after the body is read


class Response(NamedTuple):
    status: int
    content_type: str
    body: bytes | AsyncGenerator[bytes, None]  # if it raises, the response is cut off
    headers: Mapping[str, str] = {}


Handle: TypeAlias = Callable[[Request], Awaitable[Response]]


async def unless_disconnected(
    request: Request, response: Coroutine[object, object, Response]
) -> Response:
    """Cancels the response if the client disconnects first, and raises ConnectionError."""
    responding = asyncio.create_task(response)
    watching = asyncio.ensure_future(request.until_disconnected())
    try:
        await asyncio.wait({responding, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not responding.done():
            raise ConnectionResetError("the client disconnected")
        return responding.result()
    finally:
        responding.cancel()
        watching.cancel()
        await asyncio.wait({responding, watching})


def text(status: HTTPStatus, line: str) -> Response:
    return Response(status, "text/plain; charset=utf-8", f"{line}\n".encode())


def decoded_path(path: str) -> str:
    """Raises HttpError if it is not UTF-8."""
    try:
        return unquote_to_bytes(path.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, "The path is not UTF-8.") from error
