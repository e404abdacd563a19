"""The kinds of hostile clients: each is a coroutine that holds one socket against a server.

A coroutine returns when the server has closed the socket; the crowd then opens the next one.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LEFT_OPEN_SECONDS = 3.0
"""How long a client keeps its socket open after the server has closed its own side."""
LONG = 64
"""Bytes of a body that is declared and not sent in full."""
HUGE = 99_999_999
PIPELINED = 50


@dataclass(slots=True)
class Client:
    """One socket of a hostile client."""

    socket: socket.socket
    line: str
    """Method and path of an operation that has a body, such as ``POST /orders``."""

    def head(self, *headers: str, line: str | None = None) -> bytes:
        """A request head without the empty line that ends it."""
        lines = (f"{line or self.line} HTTP/1.1", "Host: shop", *headers)
        return "".join(f"{each}\r\n" for each in lines).encode()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def read_to_end(self) -> None:
        """Read and discard until the server closes."""
        while await asyncio.get_running_loop().sock_recv(self.socket, 65536):
            pass

    async def drip(self, data: bytes, every: float = 1.0) -> None:
        """Send the data again and again until the server closes."""
        while True:
            try:
                async with asyncio.timeout(every):
                    return await self.read_to_end()
            except TimeoutError:
                await self.send(data)

    async def leave_open(self, request: bytes) -> None:
        """Send, read the response to its end, and keep the socket open."""
        await self.send(request)
        await self.read_to_end()
        await asyncio.sleep(LEFT_OPEN_SECONDS)


class Kind(NamedTuple):
    act: Callable[[Client], Awaitable[None]]
    per_second: float
    """At most so many sockets are opened again a second, after the first of each client."""
    receive_buffer: int | None


KINDS: dict[str, Kind] = {}
"""By name, such as ``slow headers``."""


def _kind(
    per_second: float = 50.0, receive_buffer: int | None = None
) -> Callable[[Callable[[Client], Awaitable[None]]], Callable[[Client], Awaitable[None]]]:
    def register(
        act: Callable[[Client], Awaitable[None]],
    ) -> Callable[[Client], Awaitable[None]]:
        KINDS[act.__name__.replace("_", " ")] = Kind(act, per_second, receive_buffer)
        return act

    return register


@_kind()
async def slow_headers(client: Client) -> None:
    await client.send(client.head() + b"X-Slow: ")
    await client.drip(b"a")


@_kind()
async def endless_head(client: Client) -> None:
    await client.send(client.head())
    await client.drip(b"X-Filler: " + b"a" * 500 + b"\r\n", every=0.5)


@_kind()
async def blank_lines(client: Client) -> None:
    """Empty lines before a request line, which a server may skip."""
    await client.send(b"\r\n")
    await client.drip(b"\r\n")


@_kind()
async def slow_body(client: Client) -> None:
    await client.send(client.head(f"Content-Length: {LONG}", "Content-Type: application/json"))
    await client.send(b"\r\n{")
    await client.drip(b" ")


@_kind()
async def dripped_chunks(client: Client) -> None:
    await client.send(client.head("Transfer-Encoding: chunked", "Content-Type: application/json"))
    await client.send(b"\r\n1\r\n{\r\n")
    await client.drip(b"1\r\n \r\n")


@_kind()
async def endless_trailers(client: Client) -> None:
    await client.send(client.head("Transfer-Encoding: chunked", "Content-Type: application/json"))
    await client.send(b"\r\n2\r\n{}\r\n0\r\n")
    await client.drip(b"X-Trailer: a\r\n")


@_kind()
async def body_never_comes(client: Client) -> None:
    await client.send(client.head(f"Content-Length: {LONG}") + b"\r\n")
    await client.read_to_end()


@_kind()
async def huge_declared_body(client: Client) -> None:
    await client.leave_open(client.head(f"Content-Length: {HUGE}") + b"\r\n")


@_kind()
async def expect_then_silence(client: Client) -> None:
    await client.send(client.head(f"Content-Length: {LONG}", "Expect: 100-continue") + b"\r\n")
    await client.read_to_end()


@_kind()
async def health_without_its_body(client: Client) -> None:
    await client.send(client.head(f"Content-Length: {LONG}", line="GET /health") + b"\r\n")
    await client.read_to_end()


@_kind()
async def connection_close(client: Client) -> None:
    await client.leave_open(client.head("Connection: close", line="GET /health") + b"\r\n")


@_kind()
async def http_1_0(client: Client) -> None:
    await client.leave_open(b"GET /health HTTP/1.0\r\n\r\n")


@_kind()
async def not_http(client: Client) -> None:
    """Provokes 400."""
    await client.leave_open(b"this is not HTTP\r\n\r\n")


@_kind()
async def long_request_line(client: Client) -> None:
    """Provokes 414."""
    await client.leave_open(client.head(line="GET /" + "a" * 9000) + b"\r\n")


@_kind()
async def large_headers(client: Client) -> None:
    """Provokes 431."""
    await client.leave_open(client.head("X-Large: " + "a" * 70_000) + b"\r\n")


@_kind()
async def tls_to_the_plain_port(client: Client) -> None:
    """The start of a ClientHello."""
    await client.leave_open(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)))


@_kind()
async def silent(client: Client) -> None:
    await client.read_to_end()


@_kind()
async def idle_keep_alive(client: Client) -> None:
    await client.send(client.head(line="GET /health") + b"\r\n")
    await client.read_to_end()


@_kind(receive_buffer=1024)
async def never_reads(client: Client) -> None:
    await client.send((client.head(line="GET /openapi.json") + b"\r\n") * PIPELINED)
    await asyncio.Event().wait()


@_kind(receive_buffer=1024)
async def slow_reader(client: Client) -> None:
    """Takes one byte a second of large responses."""
    await client.send((client.head(line="GET /openapi.json") + b"\r\n") * PIPELINED)
    taken = b"-"
    while taken:
        await asyncio.sleep(1.0)
        taken = await asyncio.get_running_loop().sock_recv(client.socket, 1)


@_kind()
async def half_closed_in_the_head(client: Client) -> None:
    await client.send(client.head())
    client.socket.shutdown(socket.SHUT_WR)
    await client.read_to_end()
    await asyncio.sleep(LEFT_OPEN_SECONDS)


@_kind()
async def half_closed_after_the_request(client: Client) -> None:
    await client.send(client.head(line="GET /health") + b"\r\n")
    client.socket.shutdown(socket.SHUT_WR)
    await client.read_to_end()
    await asyncio.sleep(LEFT_OPEN_SECONDS)


@_kind(per_second=200.0)
async def connect_and_reset(client: Client) -> None:
    await client.send(client.head())
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
