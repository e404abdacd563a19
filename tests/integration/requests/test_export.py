"""Exports of many orders by a real server: memory, slow clients, and how an export ends."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests
from benchmarks.staff_lists import orders
from support.clients.raw_client import RawClient, get
from support.emulator.instances import REQUIRE_INDEXES, running
from support.in_process.apps import OPERATOR
from support.processes.shop import TIMEOUT, Shop
from support.waiting import wait_until

from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.one_emulator

COUNT = 5_000
MEGABYTES = 12
"""By which the process may grow. All orders as JSON have 5 MB, and as objects more."""
AUTHORIZED = f"Authorization: Bearer {OPERATOR}"
HEADERS = {"Authorization": f"Bearer {OPERATOR}", "Accept": "application/x-ndjson"}
EXPORT = get("/orders", AUTHORIZED, "Accept: application/x-ndjson")
SEND_SECONDS = 2
FEW_THREADS = {
    "CONCURRENCY": "16",
    "SEND_TIMEOUT_SECONDS": str(SEND_SECONDS),
    "MALLOC_ARENA_MAX": "1",  # else each thread keeps some freed memory of its first export
}
LAST_CHUNK = b"0\r\n\r\n"


def fill(shop: Shop, count: int) -> None:
    settings = FirestoreSettings(shop.project, "(default)", shop.emulator)
    connection = FirestoreConnection(settings)
    orders.write(connection, count)
    connection.close()


@pytest.fixture(scope="module")
def full_shop(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(emulator, tmp_path_factory.mktemp("logs"), 1, **FEW_THREADS) as shop:
        fill(shop, COUNT)
        yield shop


def export(shop: Shop, query: str = "") -> list[Any]:
    url = f"{shop.orders[0]}/orders{query}"
    with requests.get(url, headers=HEADERS, stream=True, timeout=TIMEOUT) as response:
        assert response.status_code == 200
        assert response.headers["Transfer-Encoding"] == "chunked"
        return [json.loads(line) for line in response.iter_lines(65_536)]


def ended(shop: Shop) -> list[dict[str, Any]]:
    """The log lines of all exports that have ended."""
    lines = shop.said(shop.orders[0]).splitlines()
    return [json.loads(line) for line in lines if '"message": "Export' in line]


def test_export_has_every_order_once_newest_first(full_shop: Shop) -> None:
    found = export(full_shop)
    rejected = COUNT // 20
    assert len({each["order_id"] for each in found}) == len(found) == COUNT - rejected
    times = [each["created_at"] for each in found]
    assert times == sorted(times, reverse=True)
    assert len(export(full_shop, "?status=rejected")) == rejected
    of_product = [
        each
        for each in orders.made(COUNT)
        if each.rejection is None and "P001" in [line.product_id for line in each.lines]
    ]
    assert len(export(full_shop, "?product_id=P001")) == len(of_product)


def test_exports_take_the_memory_of_a_page(full_shop: Shop) -> None:
    export(full_shop)
    before = full_shop.memory(full_shop.orders[0])
    for _ in range(2):
        export(full_shop)
    assert full_shop.memory(full_shop.orders[0]) - before < MEGABYTES


def read_to_the_end(client: RawClient, pause: float = 0.0, size: int = 65_536) -> bytes:
    data = bytearray()
    try:
        while received := client.socket.recv(size):
            data += received
            time.sleep(pause)
    except ConnectionResetError:
        pass
    return bytes(data)


def test_slow_client_gets_everything_while_it_keeps_reading(full_shop: Shop) -> None:
    """All of it takes longer than the send timeout, and no part of it does."""
    before = full_shop.memory(full_shop.orders[0])
    with RawClient(full_shop.orders[0], receive_buffer=32_768) as client:
        client.send(EXPORT)
        began = time.monotonic()
        data = read_to_the_end(client, pause=0.05)
        seconds = time.monotonic() - began
    assert data.endswith(LAST_CHUNK)
    assert data.count(b'"order_id"') == COUNT - COUNT // 20
    assert seconds > 1.5 * SEND_SECONDS
    assert full_shop.memory(full_shop.orders[0]) - before < MEGABYTES


def test_stalled_client_delays_no_list_and_is_closed(full_shop: Shop) -> None:
    """There is one slot for exports, and there are four for lists: the export holds none."""
    before, earlier = full_shop.memory(full_shop.orders[0]), ended(full_shop)
    with RawClient(full_shop.orders[0], receive_buffer=4_096) as client:
        client.send(EXPORT)
        assert client.socket.recv(512).startswith(b"HTTP/1.1 200")
        refused = requests.get(f"{full_shop.orders[0]}/orders", headers=HEADERS, timeout=TIMEOUT)
        assert refused.status_code == 503
        with ThreadPoolExecutor(4) as pool:
            statuses = [*pool.map(lambda _: listed(full_shop), range(16))]
        assert {*statuses} == {200}
        assert full_shop.memory(full_shop.orders[0]) - before < MEGABYTES
        wait_until(lambda: len(ended(full_shop)) > len(earlier), "the export did not end")
        assert not read_to_the_end(client).endswith(LAST_CHUNK)
    assert ended(full_shop)[-1]["complete"] is False
    assert len(export(full_shop, "?status=confirmed")) == COUNT // 20


def listed(shop: Shop) -> int:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    url = f"{shop.orders[0]}/orders?limit=5"
    return requests.get(url, headers=headers, timeout=TIMEOUT).status_code


def test_client_that_leaves_frees_its_slot(full_shop: Shop) -> None:
    for _ in range(5):
        with RawClient(full_shop.orders[0], receive_buffer=4_096) as client:
            client.send(EXPORT)
            client.socket.recv(512)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert until_free(full_shop)


def until_free(shop: Shop) -> bool:
    """Whether an export is served again within the send timeout."""
    until = time.monotonic() + 2 * SEND_SECONDS
    while time.monotonic() < until:
        url = f"{shop.orders[0]}/orders?status=confirmed"
        if requests.get(url, headers=HEADERS, timeout=TIMEOUT).status_code == 200:
            return True
        time.sleep(0.05)
    return False


def test_export_over_http_1_0_is_400(full_shop: Shop) -> None:
    with RawClient(full_shop.orders[0]) as client:
        client.send(EXPORT.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
        response = client.response()
    assert (response.status, response.json()["type"]) == (400, "urn:problem-type:malformed-request")


def test_export_ends_without_its_last_chunk_when_the_database_fails(
    which: str, tmp_path: Path
) -> None:
    with ExitStack() as emulator:
        address = emulator.enter_context(running(which, REQUIRE_INDEXES))
        with Shop(address, tmp_path, 1, **FEW_THREADS, REQUEST_DEADLINE_SECONDS="1") as shop:
            fill(shop, 2_000)
            with requests.get(
                f"{shop.orders[0]}/orders", headers=HEADERS, stream=True, timeout=TIMEOUT
            ) as response:
                assert response.status_code == 200
                pieces = response.iter_content(1_000)
                assert next(pieces)
                emulator.close()
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    b"".join(pieces)
            end = ended(shop)[-1]
    assert (end["complete"], end["severity"]) == (False, "WARNING")
    assert end["message"].startswith("Export aborted: a page cannot be read: ")
    assert 0 < end["orders"] < 1_900
