"""HTTP/2 requests that are not gRPC get an HTTP status from the embedded emulator."""

import os
import socket
import struct
from collections.abc import Iterator

import grpc
import pytest
from support.emulator.firestore_messages import DATABASE

from firestore_emulator.launcher import emulator
from firestore_emulator.model.messages import CommitRequest

ENVIRON = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
END_STREAM, END_HEADERS = 1, 4
GET, POST, ROOT = b"\x82", b"\x83", b"\x84"
HEAD = b"\x42\x04HEAD"
JSON = b"\x0f\x10\x10application/json"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with emulator(ENVIRON) as started:
        yield started


@pytest.fixture
def connection(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as opened:
        yield opened


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def read_frame(connection: socket.socket) -> tuple[int, int, bytes]:
    """The type, the flags and the payload of the next frame."""
    head = connection.recv(9, socket.MSG_WAITALL)
    length = int.from_bytes(head[:3], "big")
    return head[3], head[4], connection.recv(length, socket.MSG_WAITALL) if length else b""


def read_response(connection: socket.socket) -> tuple[bytes, bytes]:
    """The header block and the body, up to the end of the connection."""
    headers = body = b""
    while True:
        kind, flags, payload = read_frame(connection)
        match kind:
            case 1:
                headers = payload
                assert flags & END_HEADERS
            case 0:
                body += payload
            case 7:
                assert payload[4:] == bytes(4)  # no error
                assert connection.recv(1) == b""
                return headers, body
            case _:
                assert kind == SETTINGS or not headers


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (frame(HEADERS, GET + ROOT, 5, 1), b"200", b"Ok\n"),
        (frame(HEADERS, HEAD + ROOT, 5, 1), b"200", b""),
        (frame(HEADERS, GET + b"\x04\x02/v1", 5, 1), b"415", b"HTTP/2 on this port is for gRPC"),
        (
            frame(HEADERS, POST + ROOT + JSON, END_HEADERS, 1) + frame(DATA, b"{}", END_STREAM, 1),
            b"415",
            b"HTTP/2 on this port is for gRPC",
        ),
    ],
)
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after the server's settings"])
def test_plain_request_gets_a_status(
    connection: socket.socket, request_: bytes, status: bytes, body: bytes, *, waits: bool
) -> None:
    connection.sendall(PREFACE + frame(SETTINGS))
    if waits:
        assert read_frame(connection)[0] == SETTINGS
    connection.sendall(request_)
    headers, received = read_response(connection)
    assert headers.startswith(b"\x08\x03" + status)
    assert received.startswith(body)
    assert bool(received) == bool(body)


def test_client_that_sends_a_large_body_gets_the_status(connection: socket.socket) -> None:
    connection.sendall(PREFACE + frame(SETTINGS) + frame(HEADERS, POST + ROOT + JSON, 4, 1))
    for _ in range(200):
        connection.sendall(frame(DATA, bytes(16_000), 0, 1))
    headers, _ = read_response(connection)
    assert headers.startswith(b"\x08\x03415")


def test_grpc_works_next_to_a_plain_connection(connection: socket.socket, address: str) -> None:
    connection.sendall(PREFACE + frame(SETTINGS) + frame(HEADERS, GET + ROOT, 5, 1))
    with grpc.insecure_channel(address) as channel:
        commit = channel.unary_unary("/google.firestore.v1.Firestore/Commit")
        assert commit(CommitRequest(database=DATABASE).SerializeToString(), timeout=10)
    assert read_response(connection)[1] == b"Ok\n"
