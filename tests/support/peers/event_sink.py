"""A receiver of events: a real HTTP server that keeps what it accepts."""

from __future__ import annotations

import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


class Received(NamedTuple):
    event_id: str
    headers: dict[str, str]
    body: bytes

    @property
    def of_product(self) -> bool:
        return self.headers["ce-source"] == "/products"

    @property
    def order_id(self) -> str:
        return self.event_id.rpartition(".")[0]

    @property
    def seq(self) -> int:
        return int(self.event_id.rpartition(".")[2])


class EventSink:
    def __init__(self) -> None:
        self.received: list[Received] = []
        self.failing = 0.0
        """The share of requests that fail: half of them before the event is kept, half after."""
        self.delay = 0.0
        """Seconds before each response."""
        self.open = threading.Event()
        """Cleared: no request gets a response until it is set again."""
        self.open.set()
        self._random = random.Random(7)  # noqa: S311 - repeatable
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._receive))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()

    def _receive(self, received: Received) -> int:
        time.sleep(self.delay)
        self.open.wait(60)
        with self._lock:
            chance = self._random.random()
            if chance < self.failing / 2:
                return 503
            self.received.append(received)
            return 500 if chance < self.failing else 202

    def numbers(self) -> dict[str, list[int]]:
        """The numbers of each order's events, in the sequence of their first delivery."""
        found: dict[str, list[int]] = {}
        with self._lock:
            for each in self.received:
                if each.of_product:
                    continue
                numbers = found.setdefault(each.order_id, [])
                if each.seq not in numbers:
                    numbers.append(each.seq)
        return found

    def low_stock(self) -> dict[str, set[str]]:
        """The ids of each product's events of low stock."""
        found: dict[str, set[str]] = {}
        with self._lock:
            for each in self.received:
                if each.of_product:
                    found.setdefault(each.headers["ce-subject"], set()).add(each.event_id)
        return found

    def check(self) -> None:
        """Every order's events came in sequence, and a repeated one is the same."""
        for order_id, numbers in self.numbers().items():
            assert numbers == [*range(1, len(numbers) + 1)], order_id
        bodies: dict[str, bytes] = {}
        for each in self.received:
            assert bodies.setdefault(each.event_id, each.body) == each.body

    def wait_for(self, count: int, seconds: float = 10) -> None:
        """Wait until so many different events have come."""
        wait_until(
            lambda: sum(map(len, self.numbers().values())) >= count,
            f"{count} events did not come",
            seconds,
        )


def _handler(receive: Callable[[Received], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receive(Received(headers["ce-id"], headers, body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
