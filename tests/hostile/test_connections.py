"""Many connections: new ones replace idle ones, and the process survives all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from local.processes import Process
from support.clients.raw_client import RawClient, get, head
from support.processes.attacked_server import FUNCTIONS, AttackedServer, attacked_server
from support.processes.shop import Shop

CONNECTIONS = 20
DESCRIPTORS = 64
SILENT = 200


class ShopWithFewDescriptors(Shop):
    """A shop whose processes may open 64 files and sockets each."""

    def _process(self, name: str, port: int, settings: dict[str, str], root: Path) -> Process:
        process = super()._process(name, port, settings, root)
        limit = f'ulimit -n {DESCRIPTORS} && exec "$@"'
        process.command = ["/bin/sh", "-c", limit, "sh", *process.command]
        return process


@pytest.fixture(scope="module")
def small_shop(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """With few connections."""
    folder: Path = tmp_path_factory.mktemp("logs")
    with Shop(emulator, folder, MAX_CONNECTIONS=str(CONNECTIONS)) as shop:
        shop.offer("P001", 1000)
        yield shop


@pytest.fixture(params=FUNCTIONS)
def small(small_shop: Shop, request: pytest.FixtureRequest) -> AttackedServer:
    return attacked_server(small_shop, request.param)


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Closes the clients of a test at its end."""
    with ExitStack() as stack:
        yield stack


def idle(server: AttackedServer, clients: ExitStack) -> RawClient:
    """A connection that has carried one request."""
    client = clients.enter_context(server.connect())
    client.send(get("/health"))
    assert client.response().status == 200
    return client


def test_longest_idle_connection_closes_when_all_are_taken(
    small: AttackedServer, clients: ExitStack
) -> None:
    old = [idle(small, clients) for _ in range(CONNECTIONS)]
    idle(small, clients)
    assert old[0].ends()
    old[-1].send(get("/health"))
    assert old[-1].response().status == 200


def test_used_connection_is_not_the_longest_idle(small: AttackedServer, clients: ExitStack) -> None:
    old = [idle(small, clients) for _ in range(CONNECTIONS)]
    old[0].send(get("/health"))
    assert old[0].response().status == 200
    idle(small, clients)
    assert old[1].ends()
    old[0].send(get("/health"))
    assert old[0].response().status == 200


def test_request_in_progress_is_not_closed_when_all_connections_are_taken(
    small: AttackedServer, clients: ExitStack
) -> None:
    request = small.good_request()
    busy = clients.enter_context(small.connect())
    busy.send(request[:-10])
    for _ in range(2 * CONNECTIONS):
        idle(small, clients)
    busy.send(request[-10:])
    assert busy.response().status == 201


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hea",
        head("GET /health"),
        head("POST /x", "Content-Length: 60") + b"\r\n",
        get("/openapi.json") * 50,
    ],
    ids=["silent", "request line", "head", "body", "not reading"],
)
def test_new_client_is_served_when_hostile_ones_take_all_connections(
    small: AttackedServer, clients: ExitStack, sent: bytes
) -> None:
    for _ in range(3 * CONNECTIONS):
        hostile = clients.enter_context(small.connect(receive_buffer=1024))
        hostile.send(sent)
    fresh = idle(small, clients)
    fresh.send(small.good_request())
    assert fresh.response().status == 201


def test_process_survives_more_connections_than_descriptors(
    emulator: str, tmp_path: Path, clients: ExitStack
) -> None:
    with ShopWithFewDescriptors(emulator, tmp_path) as shop:
        shop.offer("P001", 1000)
        for function in FUNCTIONS:
            server = attacked_server(shop, function)
            for _ in range(SILENT):
                clients.enter_context(server.connect())
            with server.connect() as client:
                client.send(server.good_request())
                assert client.response().status == 201
        clients.close()
        for function in FUNCTIONS:
            server = attacked_server(shop, function)
            with server.connect() as client:
                client.send(server.good_request())
                assert client.response().status == 201
            assert shop.said(server.url).count('"Started"') == 1


def test_pipelined_requests_get_their_responses_in_order(server: AttackedServer) -> None:
    with server.connect() as client:
        client.send(
            get("/health")
            + get("/nowhere")
            + server.good_request()
            + get("/openapi.json")
            + server.good_request()
            + get("/health", "Connection: close")
        )
        assert [client.response().status for _ in range(6)] == [200, 404, 201, 200, 201, 200]
        assert client.ends()
