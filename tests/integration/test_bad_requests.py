"""Bad input through the real server: refused by name, and the database as it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from support import bad_requests
from support.apps import signed
from support.shop import TIMEOUT, Shop


@pytest.mark.parametrize("function", ["order", "inventory"])
def test_every_bad_request_is_refused_and_changes_nothing(shop: Shop, function: str) -> None:
    shop.offer("P001", 50)
    before = shop.documents()
    assert before
    url = {"order": shop.orders, "inventory": shop.inventories}[function][0]
    for bad in {"order": bad_requests.ORDER, "inventory": bad_requests.INVENTORY}[function]:
        headers = signed(bad.path) | bad.headers
        answer = requests.request(
            bad.method, url + bad.path, data=bad.body, headers=headers, timeout=TIMEOUT
        )
        bad_requests.check(bad, answer.status_code, answer.headers["Content-Type"], answer.content)
        if bad.status == 405:
            assert answer.headers["Allow"]
    assert shop.documents() == before


def test_a_body_without_a_length_is_bounded_too(shop: Shop) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    answer = requests.post(
        f"{shop.orders[0]}/orders",
        data=chunks(),
        headers={"Content-Type": "application/json"},
        timeout=TIMEOUT,
    )
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/favicon.ico", "/robots.txt"])
def test_the_frameworks_own_answers(shop: Shop, path: str) -> None:
    answer = requests.get(shop.orders[0] + path, timeout=TIMEOUT)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: order\r\n\r\n", 414),
        (b"GET /health HTTP/1.1\r\nHost: order\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"NONSENSE\r\n\r\n", 400),
    ],
)
def test_the_servers_own_answers(shop: Shop, request_bytes: bytes, status: int) -> None:
    address = urlsplit(shop.orders[0])
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.sendall(request_bytes)
        line = client.recv(4096).split(b"\r\n")[0]
    assert int(line.split()[1]) == status


def test_a_client_that_leaves_in_the_middle_of_its_body_orders_nothing(shop: Shop) -> None:
    before = shop.documents()
    address = urlsplit(shop.orders[0])
    head = b"POST /orders HTTP/1.1\r\nHost: order\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.sendall(head + b'Content-Length: 100\r\n\r\n{"customer_id":')
    assert requests.get(f"{shop.orders[0]}/health", timeout=TIMEOUT).ok
    assert shop.documents() == before
