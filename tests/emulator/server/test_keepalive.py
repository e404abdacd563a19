"""Clients that ping their connection often: the embedded emulator never sends them away."""

import os
import socket
import struct
import time
from collections.abc import Iterator
from queue import SimpleQueue

import grpc
import pytest
from support.emulator.firestore_messages import DATABASE, name

from firestore_emulator.launcher import emulator
from firestore_emulator.model.messages import ListenRequest

ENVIRON = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
SETTINGS, PING, GOAWAY = 4, 6, 7
ACKNOWLEDGED = 1
PINGS = 50
PING_INTERVAL_MS = 100
LISTEN = "/google.firestore.v1.Firestore/Listen"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with emulator(ENVIRON) as started:
        yield started


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, 0, 0, 0, 0, 0]) + payload


def read_frame(connection: socket.socket) -> tuple[int, int, bytes]:
    """The type, the flags and the payload of the next HTTP/2 frame."""
    head = connection.recv(9, socket.MSG_WAITALL)
    length = int.from_bytes(head[:3], "big")
    return head[3], head[4], connection.recv(length, socket.MSG_WAITALL) if length else b""


def test_every_ping_is_acknowledged_without_calls(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
        for number in range(PINGS):
            payload = struct.pack(">Q", number)
            connection.sendall(frame(PING, payload))
            while True:
                kind, flags, received = read_frame(connection)
                assert kind != GOAWAY, received
                if (kind, flags, received) == (PING, ACKNOWLEDGED, payload):
                    break


def test_idle_listener_with_frequent_keepalive_stays_connected(address: str) -> None:
    """A client's usual interval of 30 s is scaled to 100 ms."""
    options = [
        ("grpc.keepalive_time_ms", PING_INTERVAL_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    states: list[grpc.ChannelConnectivity] = []
    target = {"target_id": 1, "documents": {"documents": [name("c/a")]}}
    request = ListenRequest(database=DATABASE, add_target=target).SerializeToString()
    requests: SimpleQueue[bytes | None] = SimpleQueue()
    requests.put(request)
    with grpc.insecure_channel(address, options) as channel:
        listening = channel.stream_stream(LISTEN)(iter(requests.get, None))
        next(listening)
        channel.subscribe(states.append)
        time.sleep(PINGS * PING_INTERVAL_MS / 1000)
        channel.unsubscribe(states.append)
        requests.put(None)
    assert states == [grpc.ChannelConnectivity.READY]
