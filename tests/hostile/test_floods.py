"""Clients that send much, and requests without a worker thread, leave time for the others."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.clients.raw_client import RawClient, assert_problem, get
from support.processes.attacked_server import AttackedServer
from support.processes.shop import Shop

FLOODERS, PIPELINED = 200, 300


@pytest.fixture
def flooded(server: AttackedServer) -> Iterator[AttackedServer]:
    """Many connections with many pipelined probes each."""
    with ExitStack() as ends:
        for _ in range(FLOODERS):
            client = ends.enter_context(server.connect())
            client.send(get("/health") * PIPELINED)
        yield server


@pytest.mark.parametrize("path", ["/health", "/products/P001"])
def test_new_client_is_served_beside_many_probes_sent_ahead(
    flooded: AttackedServer, path: str
) -> None:
    with flooded.connect() as client:
        client.send(get(path))
        assert client.response().status == 200


def test_process_ends_beside_many_probes_sent_ahead(emulator: str, tmp_path: Path) -> None:
    with Shop(emulator, tmp_path) as shop, ExitStack() as ends:
        url = shop.orders[0]
        for _ in range(FLOODERS):
            ends.enter_context(RawClient(url)).send(get("/health") * PIPELINED)
        shop.signal(url, signal.SIGTERM)
        assert shop.wait_until_ended(url) == 0


def test_many_blank_lines_are_rejected(server: AttackedServer) -> None:
    with server.connect() as client:
        client.send(b"\r\n" * 200)
        assert_problem(client.response(), 400)


def test_stray_line_break_after_a_body_changes_nothing(server: AttackedServer) -> None:
    with server.connect() as client:
        for _ in range(2):
            client.send(server.good_request() + b"\r\n")
            assert client.response().status == 201


@pytest.mark.parametrize(
    ("address", "status"), [("http://[", 400), ("http://[::zz]/health", 400), ("/\x00", 404)]
)
def test_malformed_address_gets_a_problem(
    server: AttackedServer, address: str, status: int
) -> None:
    with server.connect() as client:
        client.send(f"GET {address} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert_problem(client.response(), status)


def test_expectation_without_a_body_gets_its_response(server: AttackedServer) -> None:
    with server.connect() as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 200
