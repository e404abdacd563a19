"""The server's own rejections: immediate, with a problem document that reaches the client."""

from __future__ import annotations

import time

import pytest
from support.clients.raw_client import assert_problem, get, head
from support.processes.attacked_server import AttackedServer

JSON = "Content-Type: application/json"
PIECE, PIECES = b"x" * 8 * 1024, 8
"""Data that a client sends after the server has rejected its request."""
PAUSE_SECONDS = 0.02

REFUSED = {
    "not HTTP": (400, b"this is not HTTP\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "no colon": (400, b"GET /health HTTP/1.1\r\nHost shop\r\n\r\n"),
    "two lengths": (
        400,
        head("POST /x", "Content-Length: 5", "Content-Length: 6") + b"\r\n",
    ),
    "negative length": (400, head("POST /x", "Content-Length: -5") + b"\r\n"),
    "length of another base": (400, head("POST /x", "Content-Length: 0x5") + b"\r\n"),
    "length beside chunks": (
        400,
        head("POST /x", "Content-Length: 5", "Transfer-Encoding: chunked") + b"\r\n0\r\n\r\n",
    ),
    "chunks of HTTP/1.0": (
        400,
        b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ),
    "no host": (400, b"GET /health HTTP/1.1\r\n\r\n"),
    "two hosts": (400, head("GET /health", "Host: other") + b"\r\n"),
    "path without a slash": (400, head("GET ?x") + b"\r\n"),
    "bare line breaks in trailers": (
        400,
        head("POST /x", "Transfer-Encoding: chunked")
        + b"\r\n0\r\nA: b\n\nGET /health HTTP/1.1\r\n\r\n",
    ),
    "bad chunk": (400, head("POST /x", "Transfer-Encoding: chunked") + b"\r\nzz\r\n"),
    "long request line": (414, head("GET /" + "a" * 9000) + b"\r\n"),
    "request line without end": (414, b"GET /" + b"a" * 9000),
    "one large header": (431, head("GET /health", "X-Large: " + "a" * 70_000) + b"\r\n"),
    "large headers without end": (431, head("GET /health", *["X-Large: " + "a" * 7000] * 10)),
    "many headers": (431, head("GET /health", *(f"X-{n}: a" for n in range(2000))) + b"\r\n"),
    "unknown expectation": (
        417,
        head("POST /x", "Content-Length: 5", "Expect: a-miracle") + b"\r\n",
    ),
    "huge length": (413, head("POST /x", JSON, "Content-Length: 99999999") + b"\r\n"),
    "huge length of GET": (413, head("GET /health", "Content-Length: 99999999") + b"\r\n"),
    "huge length, awaiting 100": (
        413,
        head("POST /x", "Content-Length: 99999999", "Expect: 100-continue") + b"\r\n",
    ),
    "one byte too many": (413, head("POST /x", JSON, "Content-Length: 65538") + b"\r\n"),
    "huge chunk that never comes": (
        413,
        head("POST /x", JSON, "Transfer-Encoding: chunked") + b"\r\nffffffff\r\n",
    ),
    "large chunk": (
        413,
        head("POST /x", JSON, "Transfer-Encoding: chunked") + b"\r\n20000\r\n" + b"a" * 0x20000,
    ),
}
CASES = pytest.mark.parametrize(("status", "sent"), REFUSED.values(), ids=REFUSED.keys())


@CASES
def test_rejection_is_a_problem_and_closes_the_connection(
    server: AttackedServer, status: int, sent: bytes
) -> None:
    """The default limits apply, so a response within the test's timeout was immediate."""
    with server.connect() as client:
        client.send(sent)
        assert_problem(client.response(), status)
        assert client.ends()


@CASES
def test_rejection_is_received_when_the_client_continues_sending(
    server: AttackedServer, status: int, sent: bytes
) -> None:
    """A reset would fail a later ``send``, and the client would not read the response."""
    with server.connect() as client:
        client.send(sent)
        for _ in range(PIECES):
            time.sleep(PAUSE_SECONDS)
            client.send(PIECE)
        assert_problem(client.response(), status)


def test_rejected_body_is_not_read_as_the_next_request(server: AttackedServer) -> None:
    smuggled = get("/openapi.json")
    with server.connect() as client:
        client.send(head("POST /x", "Content-Length: 99999999") + b"\r\n" + smuggled)
        assert client.response().status == 413
        assert client.ends()


def test_body_of_an_unknown_path_is_not_read_as_the_next_request(server: AttackedServer) -> None:
    smuggled = get("/openapi.json")
    with server.connect() as client:
        client.send(head("POST /x", f"Content-Length: {len(smuggled)}") + b"\r\n" + smuggled)
        assert client.response().status == 404
        client.send(get("/health"))
        following = client.response()
        assert following.status == 200
        assert b"openapi" not in following.body


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/health", "Connection: close"),
        get("/health", "Connection: keep-alive, close"),
        b"GET /health HTTP/1.0\r\n\r\n",
    ],
    ids=["close", "an option of several", "HTTP/1.0"],
)
def test_server_closes_first_when_the_client_requests_it(
    server: AttackedServer, request_bytes: bytes
) -> None:
    with server.connect() as client:
        client.send(request_bytes)
        assert client.response().status == 200
        assert client.ends()
