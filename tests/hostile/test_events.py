"""What the server does when clients send or close while their request is served."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from functions_common.http_server.connection import ClientConnection, Limits
from functions_common.http_server.server import Server, listen

SECONDS = 10.0
REQUEST = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
MANY_TURNS = 100
"""A server that does not stop looking at a connection makes thousands in WATCHED_SECONDS."""
WATCHED_SECONDS = 0.5


class CountingServer(Server):
    turns = 0

    def _wait(self) -> None:
        self.turns += 1
        super()._wait()


class Running:
    """A server whose app responds when the test lets it."""

    def __init__(self) -> None:
        self.began, self.may_respond = threading.Semaphore(0), threading.Semaphore(0)
        self.body = b"ok"
        self.sock = listen("127.0.0.1", 0)
        limits = Limits(SECONDS, SECONDS, SECONDS, SECONDS, connections=10, queued=10)
        self.server = CountingServer(self.sock, 2, limits)
        self.server.application = self.app
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def app(self, _environment: Any, start_response: Callable[..., Any]) -> list[bytes]:
        self.began.release()
        assert self.may_respond.acquire(timeout=SECONDS)
        start_response("200 OK", [("Content-Length", str(len(self.body)))])
        return [self.body]

    def connect(self) -> socket.socket:
        return socket.create_connection(self.sock.getsockname(), SECONDS)

    def serving(self) -> socket.socket:
        """A client whose request is being served."""
        client = self.connect()
        client.sendall(REQUEST)
        assert self.began.acquire(timeout=SECONDS)
        return client

    def turns_in_a_while(self) -> int:
        before = self.server.turns
        time.sleep(WATCHED_SECONDS)
        return self.server.turns - before

    def stop(self) -> None:
        self.may_respond.release(10)
        with suppress(OSError):  # the server can end before this thread has woken it
            self.server.stop()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


def response(client: socket.socket) -> bytes:
    """The next response. All have the same body."""
    received = b""
    while not received.endswith(b"\r\n\r\nok"):
        data = client.recv(1)
        assert data, received
        received += data
    return received


def send_more(client: socket.socket) -> None:
    client.sendall(REQUEST)


def close_one_direction(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def close(client: socket.socket) -> None:
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_server_rests_while_a_worker_sends_and_the_client_sends_its_next_request(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has the response before the worker's call of ``send`` has returned."""
    may_return = threading.Semaphore(0)

    def send_and_wait(connection: ClientConnection, data: bytes, **options: Any) -> int:
        sent: int = send(connection, data, **options)
        assert may_return.acquire(timeout=SECONDS)
        return sent

    send = ClientConnection.send
    monkeypatch.setattr(ClientConnection, "send", send_and_wait)
    with running.serving() as client:
        running.may_respond.release()
        response(client)
        client.sendall(REQUEST)
        turns = running.turns_in_a_while()
        may_return.release(2)
        running.may_respond.release()
        response(client)
    assert turns < MANY_TURNS


def test_client_that_closes_its_direction_during_the_response_gets_all_of_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response is larger than what the kernel takes at once."""
    running.body = b"x" * 3_000_000
    client_closed = threading.Event()
    sends: list[int] = []

    def send_and_wait(connection: ClientConnection, data: bytes, **options: Any) -> int:
        sends.append(send(connection, data, **options))
        if len(sends) == 1:
            assert client_closed.wait(SECONDS)
            running.turns_in_a_while()
        return sends[-1]

    send = ClientConnection.send
    monkeypatch.setattr(ClientConnection, "send", send_and_wait)
    with running.serving() as client:
        running.may_respond.release()
        client.recv(1)
        client.shutdown(socket.SHUT_WR)
        client_closed.set()
        received = 1
        while data := client.recv(1_000_000):
            received += len(data)
    assert received > len(running.body)


@pytest.mark.parametrize("act", [send_more, close_one_direction, close, reset])
def test_server_rests_while_it_serves(
    running: Running, act: Callable[[socket.socket], None]
) -> None:
    with running.serving() as client:
        act(client)
        assert running.turns_in_a_while() < MANY_TURNS


def test_request_that_was_sent_ahead_is_served_next(running: Running) -> None:
    with running.serving() as client:
        client.sendall(REQUEST + REQUEST[:10])
        assert running.turns_in_a_while() < MANY_TURNS
        running.may_respond.release(2)
        assert response(client).startswith(b"HTTP/1.1 200")
        assert response(client).startswith(b"HTTP/1.1 200")
        client.sendall(REQUEST[10:])
        running.may_respond.release()
        assert response(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("act", [close, reset])
def test_connection_that_closed_while_it_was_served_is_forgotten(
    running: Running, act: Callable[[socket.socket], None]
) -> None:
    client = running.serving()
    act(client)
    running.may_respond.release()
    deadline = time.monotonic() + SECONDS
    while running.server.active_channels and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running.server.active_channels
    with running.serving() as other:
        running.may_respond.release()
        assert response(other).startswith(b"HTTP/1.1 200")


def test_idle_connections_cause_no_turns(running: Running) -> None:
    clients = [running.serving() for _ in range(2)]
    running.may_respond.release(2)
    for client in clients:
        response(client)
    assert running.turns_in_a_while() < MANY_TURNS
    for client in clients:
        client.sendall(REQUEST)
        running.may_respond.release()
        assert response(client).startswith(b"HTTP/1.1 200")
        client.close()
