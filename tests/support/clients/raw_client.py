"""An HTTP client that sends raw bytes, and reports how its connection ends."""

from __future__ import annotations

import json
import select
import socket
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE = 12.0
"""Seconds until a test gives up on a server; far above the limits that tests set."""
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class RawResponse:
    status: int
    headers: dict[str, str]
    """The headers by lower-case name."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """True if the server has announced that it will close the connection."""
        return self.headers.get("connection", "").lower() == "close"


class NoResponseError(AssertionError):
    """The server did not respond in time, or closed the connection instead."""


class RawClient:
    """One connection; a context manager."""

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._received = b""
        try:
            self.socket.connect((address.hostname, address.port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self) -> RawResponse:
        """The next response, which must have a length."""
        head = self._take(self._until(b"\r\n\r\n")).decode()
        status, *lines = head.rstrip().split("\r\n")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        code = int(status.split()[1])
        length = int(headers.get("content-length", 0))
        while len(self._received) < length:
            self._receive()
        return RawResponse(code, headers, self._take(length))

    def drip(self, data: bytes, every: float = 0.1) -> RawResponse:
        """Send the data repeatedly until the server responds, and return its response."""
        until = time.monotonic() + PATIENCE
        while not select.select([self.socket], [], [], every)[0]:
            if time.monotonic() > until:
                raise NoResponseError(f"no response in {PATIENCE:.0f} s")
            self.send(data)
        return self.response()

    def ends(self) -> bool:
        """True if the server closes the connection in time without sending any more data."""
        try:
            return not self._received and not self.socket.recv(1)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def count_responses_until_closed(self) -> int:
        """Read to the end of the connection, and count the responses."""
        data = bytearray()
        try:
            while received := self.socket.recv(65536):
                data += received
        except ConnectionResetError:
            pass
        return bytes(data).count(b"HTTP/1.1 ")

    def _until(self, end: bytes) -> int:
        while end not in self._received:
            self._receive()
        return self._received.index(end) + len(end)

    def _receive(self) -> None:
        try:
            data = self.socket.recv(65536)
        except TimeoutError as error:
            raise NoResponseError(f"no response in {PATIENCE:.0f} s") from error
        if not data:
            raise NoResponseError(f"closed after {self._received!r}")
        self._received += data

    def _take(self, count: int) -> bytes:
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def head(line: str, *headers: str) -> bytes:
    """The head of a request, without the empty line that ends it."""
    return "".join(f"{each}\r\n" for each in (f"{line} HTTP/1.1", "Host: shop", *headers)).encode()


def post(line: str, body: object, *headers: str) -> bytes:
    """A whole request with a JSON body."""
    data = json.dumps(body).encode()
    described = ("Content-Type: application/json", f"Content-Length: {len(data)}")
    return head(line, *described, *headers) + b"\r\n" + data


def get(path: str, *headers: str) -> bytes:
    return head(f"GET {path}", *headers) + b"\r\n"


def assert_problem(response: RawResponse, status: int) -> None:
    """Check that the response is a problem document with this status and a detail."""
    assert response.status == status, response
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
