"""CORS on a real server: its own responses have the headers, too, so that a page can read them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.clients.raw_client import RawClient, assert_problem, get, head, post
from support.processes.shop import Shop

PAGE = "https://shop.example"
ORIGIN = f"Origin: {PAGE}"
THREADS, QUEUED, CLIENTS = 1, 1, 6


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The order function with one thread, a short queue, and a database that does not respond."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as database:
        host, port = database.getsockname()
        settings: dict[str, Any] = {
            "CONCURRENCY": str(THREADS),
            "MAX_QUEUED": str(QUEUED),
            "REQUEST_DEADLINE_SECONDS": "2",
            "CORS_ALLOWED_ORIGINS": PAGE,
            "FIRESTORE_EMULATOR_HOST": f"{host}:{port}",
        }
        with Shop("unused", tmp_path_factory.mktemp("logs"), **settings) as shop:
            yield shop.orders[0]


def test_connection_stays_open_after_a_preflight(url: str) -> None:
    wanted = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: prefer")
    with RawClient(url) as client:
        for _ in range(2):
            client.send(head("OPTIONS /orders", ORIGIN, *wanted) + b"\r\n")
            preflight = client.response()
            assert (preflight.status, preflight.closes) == (204, False)
            assert preflight.headers["access-control-allow-origin"] == PAGE
            assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS, POST"
            assert preflight.headers["access-control-max-age"] == "7200"
            assert preflight.headers["vary"] == "Origin"
            assert "content-length" not in preflight.headers
        client.send(head("OPTIONS /orders", ORIGIN, *wanted, "Connection: close") + b"\r\n")
        assert client.response().closes
        assert client.ends()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head("POST /orders", ORIGIN, "Content-Length: 2000000"), 413),
        (head("POST /orders", ORIGIN, "Content-Length: x"), 400),
        (head("POST /orders", ORIGIN, "Expect: miracles"), 417),
        (head("POST /orders", ORIGIN, "Content-Length: 9", "X-Late: body"), 408),
    ],
)
def test_page_can_read_an_error_of_the_server(url: str, data: bytes, status: int) -> None:
    with RawClient(url) as client:
        client.send(data + b"\r\n")
        response = client.response()
        assert_problem(response, status)
        assert response.headers["access-control-allow-origin"] == PAGE
        assert response.headers["vary"] == "Origin"


def test_error_of_the_server_has_no_cors_headers_for_another_origin(url: str) -> None:
    with RawClient(url) as client:
        too_long = head("POST /orders", "Origin: https://other.example", "Content-Length: 2000000")
        client.send(too_long + b"\r\n")
        response = client.response()
        assert_problem(response, 413)
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "Origin"


def test_page_can_read_that_the_server_is_busy(url: str) -> None:
    order = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(url)) for _ in range(CLIENTS)]
        for client in clients:
            client.send(post("POST /orders", order, ORIGIN))
        responses = [client.response() for client in clients]
    not_begun = [each for each in responses if "x-not-begun" in each.headers]
    assert len(not_begun) >= CLIENTS - THREADS - QUEUED
    for response in responses:
        assert_problem(response, 503)
        assert response.headers["access-control-allow-origin"] == PAGE
        assert {"X-Not-Begun", "Retry-After"} <= set(
            response.headers["access-control-expose-headers"].split(", ")
        )


def test_response_of_the_function_has_one_vary_header(url: str) -> None:
    with RawClient(url) as client:
        client.send(get("/health", ORIGIN))
        response = client.response()
        assert (response.status, response.headers["vary"]) == (200, "Origin")
        assert response.headers["access-control-allow-origin"] == PAGE
