"""Requests over HTTP/2 that are not gRPC: the same API as over HTTP/1.1."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus

from firestore_emulator.http2 import header_blocks
from firestore_emulator.http2.frames import ErrorCode
from firestore_emulator.http2.requests import Head
from firestore_emulator.http2.streams import Receiver, Stream
from firestore_emulator.http_api.messages import (
    Handle,
    HttpError,
    Request,
    Response,
    decoded_path,
    text,
)


class HttpRequests:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def accept(self, stream: Stream, head: Head) -> Receiver:
        return _Exchange(stream, head, self._handle)


class _Exchange:
    """One request and its response."""

    def __init__(self, stream: Stream, head: Head, handle: Handle) -> None:
        self._stream = stream
        self._head = head
        self._body = bytearray()
        self._has_ended = False
        self._is_reading = False
        self._more = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._serve(handle))

    def data_received(self, data: bytes) -> None:
        self._body += data
        if self._is_reading:
            self._stream.take(len(data))
            self._stream.grant()
        self._more.set()

    def ended(self) -> None:
        self._has_ended = True
        self._more.set()

    def cancelled(self) -> None:
        self._task.cancel()

    async def _serve(self, handle: Handle) -> None:
        try:
            try:
                response = await handle(self._request())
            except HttpError as error:
                response = text(error.status, str(error))
            await self._send(response)
        except BaseException:
            self._stream.reset(ErrorCode.INTERNAL_ERROR)
            raise

    def _request(self) -> Request:
        if self._head.is_too_large:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        path, _, query = self._head.path.partition("?")
        return Request(
            self._head.method, decoded_path(path), query, self._head.headers, self._read_body
        )

    async def _read_body(self, limit: int) -> bytes:
        """From now on the body has this limit, and not that of the connection."""
        self._is_reading = True
        self._stream.take(len(self._body))
        while not self._has_ended:
            self._check_size(max(len(self._body), self._head.content_length or 0), limit)
            self._stream.grant()
            self._more.clear()
            await self._more.wait()
        self._check_size(len(self._body), limit)
        return bytes(self._body)

    @staticmethod
    def _check_size(size: int, limit: int) -> None:
        if size > limit:
            raise HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body has {size} bytes or more. The limit is {limit}.",
            )

    async def _send(self, response: Response) -> None:
        block = _header_block(response)
        body = response.body
        if self._head.method == "HEAD":
            self._stream.send_only_headers(block)
        else:
            self._stream.send_headers(block)
            await self._send_body(body)
            self._stream.end()

    async def _send_body(self, body: bytes | AsyncGenerator[bytes, None]) -> None:
        if isinstance(body, bytes):
            self._stream.send(body)
            return
        async with aclosing(body):  # it may hold resources; a failed send does not end it
            async for chunk in body:
                self._stream.send(chunk)
                await self._stream.drained()


def _header_block(response: Response) -> bytes:
    fields = {":status": str(int(response.status)), "content-type": response.content_type}
    if isinstance(response.body, bytes):
        fields["content-length"] = str(len(response.body))
    return header_blocks.encode(fields | _lower(response.headers))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
