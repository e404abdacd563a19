"""Requests that would wait too long for a thread get 503 immediately, and may be repeated."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.clients.raw_client import RawClient, assert_problem
from support.processes.attacked_server import FUNCTIONS, AttackedServer, attacked_server
from support.processes.shop import Shop

THREADS, QUEUED = 2, 1
CLIENTS = 10
DEADLINE = 5
"""Seconds that the requests in progress take: the database is a socket that never responds."""
SHED_WITHIN = 3.0


@pytest.fixture(scope="module")
def stuck_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A function with few threads, a short queue, and a database that does not respond."""
    folder: Path = tmp_path_factory.mktemp("logs")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as database:
        host, port = database.getsockname()
        settings: dict[str, Any] = {
            "CONCURRENCY": str(THREADS),
            "MAX_QUEUED": str(QUEUED),
            "REQUEST_DEADLINE_SECONDS": str(DEADLINE),
            "FIRESTORE_EMULATOR_HOST": f"{host}:{port}",
        }
        with Shop("unused", folder, **settings) as shop:
            yield shop


@pytest.fixture(params=FUNCTIONS)
def stuck(stuck_shop: Shop, request: pytest.FixtureRequest) -> AttackedServer:
    return attacked_server(stuck_shop, request.param)


def first_to_respond(clients: list[RawClient], count: int, seconds: float) -> list[RawClient]:
    """The clients with a response, as soon as there are ``count`` of them or the time is over."""
    until = time.monotonic() + seconds
    by_socket = {client.socket: client for client in clients}
    while time.monotonic() < until:
        ready, _, _ = select.select([*by_socket], [], [], 0.1)
        if len(ready) >= count:
            break
        time.sleep(0.05)
    return [by_socket[each] for each in ready]


def test_full_queue_responds_immediately_with_503_and_retry_after(stuck: AttackedServer) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(stuck.connect()) for _ in range(CLIENTS)]
        for client in clients:
            client.send(stuck.good_request())
        shed = first_to_respond(clients, CLIENTS - THREADS - QUEUED, SHED_WITHIN)
        assert len(shed) >= CLIENTS - THREADS - QUEUED
        assert stuck.serves()  # so that the platform does not restart a busy pod
        for client in shed:
            response = client.response()
            assert_problem(response, 503)
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["type"] == "urn:problem-type:temporarily-unavailable"
            assert not response.closes
