"""Bad input through the real server: the problem names the field, and the database is unchanged."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from support.clients import bad_requests
from support.in_process.apps import signed
from support.processes.shop import TIMEOUT, Shop


@pytest.mark.parametrize("function", ["order", "inventory"])
def test_bad_request_is_rejected_and_changes_nothing(shop: Shop, function: str) -> None:
    shop.offer("P001", 50)
    before = shop.documents()
    assert before
    url = {"order": shop.orders, "inventory": shop.inventories}[function][0]
    for bad in {"order": bad_requests.ORDER, "inventory": bad_requests.INVENTORY}[function]:
        token = signed(bad.path) if function == "inventory" else {}
        headers = token | bad.headers
        answer = requests.request(
            bad.method, url + bad.path, data=bad.body, headers=headers, timeout=TIMEOUT
        )
        bad_requests.check(bad, answer.status_code, answer.headers["Content-Type"], answer.content)
        if bad.status == 405:
            assert answer.headers["Allow"]
    assert shop.documents() == before


def test_body_is_limited_when_it_has_no_length(shop: Shop) -> None:
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


@pytest.mark.parametrize("path", ["/orders", "/orders/ORD1/cancel", "/nowhere"])
def test_rejected_body_is_not_read_as_the_next_request(shop: Shop, path: str) -> None:
    with requests.Session() as session:
        for _ in range(10):
            refused = session.post(shop.orders[0] + path, data=b" " * 1_000_000, timeout=TIMEOUT)
            assert refused.status_code == 413
            assert session.get(f"{shop.orders[0]}/health", timeout=TIMEOUT).ok


def test_body_is_rejected_when_its_chunks_are_malformed(shop: Shop) -> None:
    address = urlsplit(shop.orders[0])
    head = (
        b"POST /orders HTTP/1.1\r\nHost: order\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.sendall(head + b"zz\r\n{}\r\n0\r\n\r\n")
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "path", ["/favicon.ico", "/robots.txt", "/static/x", "/orders/a%0ab", "/orders//x"]
)
def test_path_reserved_by_the_framework_gets_a_problem(shop: Shop, path: str) -> None:
    answer = requests.get(shop.orders[0] + path, timeout=TIMEOUT)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Trace-Id"] == answer.json()["trace_id"]


def test_upgrade_gets_a_problem(shop: Shop) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    answer = requests.get(f"{shop.orders[0]}/health", headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO"])
def test_header_does_not_rewrite_the_path(shop: Shop, name: str) -> None:
    answer = requests.get(f"{shop.orders[0]}/orders/health", headers={name: "/orders"}, timeout=30)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_request_is_rejected_when_it_has_two_idempotency_keys(shop: Shop) -> None:
    address = urlsplit(shop.orders[0])
    connection = http.client.HTTPConnection(address.netloc, timeout=TIMEOUT)
    connection.putrequest("POST", "/orders")
    body = b'{"customer_id":"C1","product_id":"P001","quantity":1}'
    for header in (("Content-Length", str(len(body))), ("Content-Type", "application/json")):
        connection.putheader(*header)
    for key in ("a", "b"):
        connection.putheader("Idempotency-Key", key)
    connection.endheaders(body)
    assert connection.getresponse().status == 422
    connection.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: order\r\n\r\n", 414),
        (b"GET /health HTTP/1.1\r\nHost: order\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /orders?\xe8 HTTP/1.1\r\nHost: order\r\n\r\n", 400),
    ],
)
def test_server_rejects_requests_with_a_problem(
    shop: Shop, request_bytes: bytes, status: int
) -> None:
    address = urlsplit(shop.orders[0])
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.sendall(request_bytes)
        line = client.recv(4096).split(b"\r\n")[0]
    assert int(line.split()[1]) == status


def test_order_is_not_placed_when_the_client_disconnects_within_its_body(shop: Shop) -> None:
    before = shop.documents()
    address = urlsplit(shop.orders[0])
    head = b"POST /orders HTTP/1.1\r\nHost: order\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.sendall(head + b'Content-Length: 100\r\n\r\n{"customer_id":')
    assert requests.get(f"{shop.orders[0]}/health", timeout=TIMEOUT).ok
    assert shop.documents() == before


def test_order_is_not_placed_when_the_body_is_shorter_than_its_length(shop: Shop) -> None:
    before = shop.documents()
    address = urlsplit(shop.orders[0])
    head = b"POST /orders HTTP/1.1\r\nHost: order\r\nContent-Type: application/json\r\n"
    body = b'{"customer_id":"C1","product_id":"P001","quantity":1}'
    length = b"Content-Length: %d\r\n\r\n" % (len(body) + 1)
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as client:
        client.sendall(head + length + body)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4096) == b""
    assert shop.documents() == before
