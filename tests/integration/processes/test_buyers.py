"""The buyers of the benchmarks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from benchmarks.shop.buyers import Buyer

RESPONSE = b"HTTP/1.1 201 CREATED\r\nContent-Length: 0\r\n\r\n"
SECONDS = 10.0


class ClosingServer:
    """Closes each connection after one response, without saying so in the response."""

    def __init__(self) -> None:
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
                client.sendall(RESPONSE)
            self.closed.release()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def server() -> Iterator[ClosingServer]:
    server = ClosingServer()
    yield server
    server.close()


def test_buyer_connects_again_if_the_server_has_closed_the_connection(
    server: ClosingServer,
) -> None:
    buyer = Buyer(server.address, "P001")
    for _ in range(3):
        assert buyer.order(SECONDS) == "201"
        assert server.closed.acquire(timeout=SECONDS)
    assert server.orders == 3
    buyer.close()


def test_buyer_without_a_server_gets_the_name_of_the_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert Buyer(f"127.0.0.1:{port}", "P001").order(SECONDS) == "ConnectionRefusedError"
