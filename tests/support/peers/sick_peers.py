"""Faulty peers: real servers on this machine, each with one fault."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Fault = Callable[["Exchange"], None]

PAUSE_SECONDS = 0.02
"""Seconds between two bytes of a peer that drips."""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Exchange:
    """One connection to the peer."""

    def __init__(self, peer: SickPeer, connection: socket.socket) -> None:
        self._peer = peer
        self.connection = connection

    def read_request(self) -> bytes:
        """The head and the body; empty if the client has disconnected."""
        data = b""
        while b"\r\n\r\n" not in data:
            received = self.connection.recv(65536)
            if not received:
                return b""
            data += received
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += self.connection.recv(65536)
        self._peer.requests.append(head + b"\r\n\r\n" + body)
        return head

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)
        self._peer.sent += len(data)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the test is over, at most so long. True if it is over."""
        return self._peer.over.wait(seconds)

    def drip(self, data: bytes) -> None:
        """Send one byte at a time, again and again until the test is over."""
        while True:
            for byte in data:
                self.send(bytes([byte]))
                if self.wait(PAUSE_SECONDS):
                    return


class SickPeer:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.over = threading.Event()
        self.accepted = 0
        self.requests: list[bytes] = []
        self.sent = 0
        """The number of bytes that the client's machine has received."""
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self.over.is_set():
            with suppress(OSError):
                connection, _ = self._listener.accept()
                self.accepted += 1
                self._connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(30)
            self._fault(Exchange(self, connection))

    def close(self) -> None:
        self.over.set()
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(30)


@contextmanager
def sick_peer(fault: Fault) -> Iterator[SickPeer]:
    peer = SickPeer(fault)
    try:
        yield peer
    finally:
        peer.close()


def responding(*responses: bytes) -> Fault:
    """Each request of a connection gets the next response; then the peer disconnects."""

    def fault(exchange: Exchange) -> None:
        for response in responses:
            if not exchange.read_request():
                return
            exchange.send(response)

    return fault


def silent(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.wait()


def never_reading(exchange: Exchange) -> None:
    exchange.wait()


def dripping(start: bytes, drops: bytes) -> Fault:
    def fault(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(start)
        exchange.drip(drops)

    return fault


def flooding(start: bytes, block: bytes, total: int) -> Fault:
    def fault(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(start)
        for _ in range(total // len(block)):
            exchange.send(block)

    return fault


def body(content: bytes, *headers: bytes) -> bytes:
    """A whole response."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return OK + lines + b"Content-Length: %d\r\n\r\n" % len(content) + content


class Dns:
    """A replacement for ``getaddrinfo``: hangs, fails, or returns this machine's address."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, _: str, port: int, **options: Any) -> list[Any]:
        if not options.get("flags"):  # otherwise a literal address
            self.asked += 1
            assert self.go_on.wait(60)
            if self.fails:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
