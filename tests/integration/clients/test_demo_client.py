"""The HTTP client of the load generator, against servers with scripted responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from demo.client import Client, NoResponseError, Response

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


LOOPS_TO_SEE_THE_END = 5
"""Turns of the event loop until the client has seen that the server closed the connection."""


def asked(serve: Serve, times: int, *, closes: bool = False) -> list[Response | str]:
    """Results of repeated requests to a server with this script.

    ``closes``: the server closes the connection after each response.
    """
    closed = asyncio.Semaphore(0)
    connections: list[asyncio.Task[None] | None] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):  # the client has closed the connection
            await serve(reader, writer)
        writer.close()
        await writer.wait_closed()
        closed.release()

    async def ask() -> list[Response | str]:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found: list[Response | str] = []
        async with server, Client(f"http://127.0.0.1:{port}", "shop.example.com") as client:
            for _ in range(times):
                try:
                    found.append(await client.request("POST", "/orders", b"{}"))
                except NoResponseError as error:
                    found.append(str(error))
                if closes:
                    await closed.acquire()
                    for _ in range(LOOPS_TO_SEE_THE_END):
                        await asyncio.sleep(0)
        await asyncio.gather(*filter(None, connections))
        return found

    return asyncio.run(ask())


def test_client_keeps_its_connection_and_reads_chunks() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            assert b"Host: shop.example.com\r\n" in head
            await reader.readexactly(2)
            writer.write(b"HTTP/1.1 201 Created\r\nX-Pod: p\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"2\r\n{}\r\n")
            await writer.drain()
            writer.write(b"1\r\n!\r\n0\r\n\r\n")

    found = asked(serve, 3)
    assert connections == 1
    for each in found:
        assert isinstance(each, Response)
        assert (each.status, each.headers["x-pod"], each.body) == (201, "p", b"{}!")


def test_client_repeats_no_request() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await reader.readuntil(b"\r\n\r\n")
        if requests == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}")

    first, *others = asked(serve, 3, closes=True)
    assert isinstance(first, Response)
    assert requests == 3, "a connection that the server closed is not used again"
    assert all(isinstance(each, str) for each in others)
