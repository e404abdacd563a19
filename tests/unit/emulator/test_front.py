"""The front's protocols, with transports that write down what is done to them."""

import asyncio
from functools import partial
from typing import Any

import pytest
from support.firestore_messages import DATABASE, put, stored

from firestore_emulator import admin
from firestore_emulator.database import Databases
from firestore_emulator.front import Front, Pipe


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@pytest.fixture
def databases() -> Databases:
    made = Databases()
    made[DATABASE].commit([put("c/a")])
    return made


def exchange(databases: Databases, *received: bytes) -> RecordingTransport:
    def connect(_: object) -> Any:
        pytest.fail("piped what is no HTTP/2")

    front, transport = Front(connect, partial(admin.answer, databases)), RecordingTransport()
    front.connection_made(transport)
    for data in received:
        front.data_received(data)
    return transport


def test_it_says_that_it_is_there(databases: Databases) -> None:
    transport = exchange(databases, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = transport.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.strip() == b"Ok"
    assert transport.closed


def test_a_request_may_come_in_pieces(databases: Databases) -> None:
    transport = exchange(databases, *(bytes([byte]) for byte in b"GET / HTTP/1.1\r\n\r\n"))
    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("spelling", ["(default)", "%28default%29"])
def test_clearing(databases: Databases, spelling: str) -> None:
    path = f"/emulator/v1/projects/p/databases/{spelling}/documents"
    transport = exchange(databases, f"DELETE {path} HTTP/1.1\r\n\r\n".encode())
    assert transport.written.endswith(b"\r\n\r\n{}")
    assert stored(databases[DATABASE], "c/a") is None


@pytest.mark.parametrize(
    "line",
    [
        b"GET /elsewhere HTTP/1.1",
        b"POST / HTTP/1.1",
        b"PRI /",
        b"DELETE / HTTP/1.1",
        b"GET /emulator/v1/projects/p/databases/(default)/documents HTTP/1.1",
        b"DELETE /emulator/v1/projects/p/databases/(default)/documents/c HTTP/1.1",
        b"DELETE /emulator/v1/projects/p%2Fq/databases/(default)/documents HTTP/1.1",
        b"\xff\x00",
        b"",
    ],
)
def test_anything_else_is_not_found(databases: Databases, line: bytes) -> None:
    transport = exchange(databases, line + b"\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert transport.closed
    assert stored(databases[DATABASE], "c/a") is not None


def test_a_head_without_end_is_cut_off(databases: Databases) -> None:
    transport = exchange(databases, b"x" * 70_000)
    assert transport.closed
    assert transport.written == b""


def test_the_beginning_of_a_preface_waits_for_the_rest(databases: Databases) -> None:
    transport = exchange(databases, b"PRI * HT")
    assert transport.written == b""
    assert not transport.closed


def test_a_pipe_passes_on_and_holds_back() -> None:
    other = RecordingTransport()
    pipe = Pipe(other)
    pipe.data_received(b"data")
    assert other.written == b"data"
    pipe.pause_writing()
    assert not other.reading
    pipe.resume_writing()
    assert other.reading
    pipe.connection_lost(None)
    assert other.closed
