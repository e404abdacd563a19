"""SIGTERM under load, as a scale-down sends it: no request that was accepted loses its response."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from benchmarks.hostile.customers import LOST, Caller, Customers
from benchmarks.http_messages import orders
from support.processes.attacked_server import attacked_server
from support.processes.connections import wait_until_read, wait_until_refused
from support.processes.shop import Shop

CUSTOMERS = 16
OPENING_STOCK = 1_000_000


def test_every_order_gets_its_response_when_order_ends_under_load(
    emulator: str, tmp_path: Path
) -> None:
    with Shop(emulator, tmp_path) as shop:
        shop.offer("P001", OPENING_STOCK)
        server = attacked_server(shop, "order")
        callers = [Caller(server.address, orders(["P001"])) for _ in range(CUSTOMERS)]
        with Customers(callers) as customers:
            customers.connect()
            customers.start()
            customers.window(1.0)
            shop.signal(server.url, signal.SIGTERM)
            assert shop.wait_until_ended(server.url) == 0
            statuses = customers.stop().statuses
        placed = len([path for path in shop.documents() if path.startswith("orders/")])
        assert statuses[201] == placed
        assert set(statuses) <= {201, LOST}  # lost before it was accepted: nothing was placed
        assert shop.stock("P001") == (OPENING_STOCK - placed, placed)


@pytest.mark.parametrize("function", ["order", "inventory"])
def test_new_connection_is_refused_when_the_process_ends(
    emulator: str, tmp_path: Path, function: str
) -> None:
    with Shop(emulator, tmp_path) as shop:
        shop.offer("P001", 10)
        server = attacked_server(shop, function)
        request = server.good_request()
        with server.connect() as busy:
            busy.send(request[:-10])
            wait_until_read(busy.socket)
            shop.signal(server.url, signal.SIGTERM)
            wait_until_refused(server.address)
            busy.send(request[-10:])
            response = busy.response()
            assert response.status == 201
            assert response.closes
        assert shop.wait_until_ended(server.url) == 0
