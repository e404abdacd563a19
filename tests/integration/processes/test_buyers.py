"""The buyers of the benchmarks."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from benchmarks.shop.buyers import Buyer

RESPONSE = b"HTTP/1.1 201 CREATED\r\nContent-Length: 0\r\n\r\n"
SECONDS = 10.0


class ClosingServer:
    """Closes each connection after one response, without saying so in the response."""

    def __init__(self, *parts: bytes) -> None:
        """``parts`` of the response, each sent a moment after the one before."""
        self._parts = parts or (RESPONSE,)
        self.orders = 0
        self.closed = threading.Semaphore(0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                self.orders += 1
                for part in self._parts:
                    client.sendall(part)
                    time.sleep(0.02)
            self.closed.release()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def server() -> Iterator[ClosingServer]:
    server = ClosingServer()
    yield server
    server.close()


async def order_once(address: str, seconds: float = SECONDS) -> str:
    buyer = Buyer(address, "P001")
    status = await buyer.order(seconds)
    buyer.close()
    return status


def test_buyer_connects_again_if_the_server_has_closed_the_connection(
    server: ClosingServer,
) -> None:
    async def order_three_times() -> None:
        buyer = Buyer(server.address, "P001")
        for _ in range(3):
            assert await buyer.order(SECONDS) == "201"
            assert server.closed.acquire(timeout=SECONDS)
        buyer.close()

    asyncio.run(order_three_times())
    assert server.orders == 3


def test_buyer_without_a_server_gets_the_name_of_the_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert asyncio.run(order_once(f"127.0.0.1:{port}")) == "ConnectionRefusedError"


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([b"HTTP/1.1 409 CON", b"FLICT\r\ncontent-length:3\r", b"\n\r\na", b"bc"], "409"),
        ([b"HTTP/1.1 503 X\r\nContent-Length: 5\r\n\r\nabc"], "ConnectionResetError"),
        ([b"HTTP/1.1 200 OK\r\n\r\nabc"], "UnexpectedResponseError"),
    ],
    ids=["in parts", "incomplete", "without a length"],
)
def test_buyer_reads_the_whole_response(parts: list[bytes], outcome: str) -> None:
    server = ClosingServer(*parts)
    assert asyncio.run(order_once(server.address)) == outcome
    server.close()


def test_buyer_gives_up_after_the_time_of_an_order() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert asyncio.run(order_once(address, 0.1)) == "TimeoutError"
