"""Requests that arrive at the server: their limits, and parsing in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

import pytest
from waitress.adjustments import Adjustments

from functions_common.http.parsing import MAX_BODY
from functions_common.http_server.received_request import MAX_HEADERS, ReceivedRequest

ADJUSTMENTS = Adjustments(
    max_request_header_size=MAX_HEADERS, max_request_body_size=MAX_BODY + 1, listen="127.0.0.1:0"
)
MOST_TIMES = 8 * 3
"""The factor that eight times the input may cost, with room for a noisy machine."""
FLOOR_SECONDS = 0.002


def received(data: bytes, pieces: int = 8192) -> ReceivedRequest:
    request = ReceivedRequest(ADJUSTMENTS)
    for begin in range(0, len(data), pieces):
        piece = data[begin : begin + pieces]
        while piece and not request.completed:  # the head alone is consumed first, then the body
            piece = piece[request.received(piece) :]
    return request


def head(*fields: bytes, line: bytes = b"GET /health HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: order", *fields, b"", b""])


CHUNKED = head(b"Transfer-Encoding: chunked", line=b"POST /orders HTTP/1.1")

GROWING: dict[str, Callable[[int], bytes]] = {
    "blanks before a value": lambda n: head(b"X:" + b" " * n + b"a"),
    "blanks without a value": lambda n: head(b"X:" + b" " * n),
    "blanks before a control character": lambda n: head(b"X:" + b" " * n + b"\x01"),
    "blanks after a value": lambda n: head(b"X: a" + b" " * n),
    "blanks after a value, then a control character": lambda n: head(b"X: a" + b" " * n + b"\x01"),
    "blanks in a value": lambda n: head(b"X: a" + b" " * n + b"b"),
    "words": lambda n: head(b"X: " + b"a " * (n // 2)),
    "words, then a control character": lambda n: head(b"X: " + b"a " * (n // 2) + b"\x01"),
    "tabs and blanks": lambda n: head(b"X:" + b" \t" * (n // 2) + b"a"),
    "folded blanks": lambda n: head(b"X:\r\n" + b" " * n + b"a"),
    "a long name": lambda n: head(b"X" * n + b": a"),
    "a name without an end": lambda n: head(b"X" * n),
    "colons": lambda n: head(b":" * n),
    "commas in a repeated field": lambda n: head(
        b"X: " + b"," * (n // 2), b"X: " + b"," * (n // 2)
    ),
    "transfer codings": lambda n: head(b"Transfer-Encoding: " + b"," * n + b"chunked"),
    "digits of a length": lambda n: head(b"Content-Length: " + b"1" * n),
    "an address": lambda n: head(line=b"GET /" + b"%41" * (n // 6) + b" HTTP/1.1"),
    "an address with a host": lambda n: head(line=b"GET http://" + b"[" * (n // 2) + b" HTTP/1.1"),
    "blanks in the request line": lambda n: head(line=b"GET " + b" " * (n // 2) + b" HTTP/1.1"),
    "a chunk's extension": lambda n: CHUNKED + b"1;" + b"a" * n + b"\r\n",
    "a quoted chunk extension": lambda n: CHUNKED + b'1;a="' + b'\\"' * (n // 2) + b"\r\n",
    "small chunks": lambda n: CHUNKED + b"1\r\na\r\n" * (n // 6) + b"0\r\n\r\n",
    "trailers": lambda n: CHUNKED + b"0\r\n" + b"X: y\r\n" * (n // 6) + b"\r\n",
    "bare line breaks in trailers": lambda n: (
        CHUNKED + b"0\r\n" + b"X: y\n" * (n // 5) + b"\r\n\r\n"
    ),
    "a trailer's blanks": lambda n: CHUNKED + b"0\r\nX:" + b" " * n + b"a\r\n\r\n",
}


RUNS = 5


def seconds(data: bytes, pieces: int) -> float:
    """Processor time of one request."""
    began = time.process_time()
    received(data, pieces)
    return time.process_time() - began


def least_seconds(data: bytes, pieces: int) -> float:
    return min(seconds(data, pieces) for _ in range(RUNS))


def takes_at_most(limit: float, data: bytes, pieces: int) -> bool:
    """One of ``RUNS`` measurements within the limit is enough: noise only adds."""
    return any(seconds(data, pieces) <= limit for _ in range(RUNS))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", GROWING)
def test_parsing_takes_linear_time(name: str) -> None:
    make = GROWING[name]
    limit = max(least_seconds(make(1_900), 8192), FLOOR_SECONDS / 8) * MOST_TIMES
    assert takes_at_most(limit, make(15_200), 8192)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", GROWING)
def test_parsing_takes_little_time_when_bytes_arrive_one_at_a_time(name: str) -> None:
    """Bytes that have arrived are copied and searched again, which is quick; parsing is not."""
    make = GROWING[name]
    limit = max(least_seconds(make(1_900), 1), FLOOR_SECONDS) * 2 * MOST_TIMES
    assert takes_at_most(limit, make(15_200), 1)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(line=b"GET http://[ HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET http://[::zz]/health HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET http://x:99999999999/ HTTP/1.1"), None),
        (head(b"Content-Length: " + b"9" * 5_000), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (head(b"Content-Length: 99999999"), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (head(b"Content-Length: -1"), HTTPStatus.BAD_REQUEST),
        (head(b"Content-Length: 1, 1"), HTTPStatus.BAD_REQUEST),
        (head(b"Content-Length: \xb2"), HTTPStatus.BAD_REQUEST),
        (head(b"X: a", b" folded"), HTTPStatus.BAD_REQUEST),
        (head(b"Expect: a miracle"), HTTPStatus.EXPECTATION_FAILED),
        (head(b"Transfer-Encoding: gzip"), HTTPStatus.NOT_IMPLEMENTED),
        (head(b"Transfer-Encoding: chunked, chunked"), HTTPStatus.BAD_REQUEST),
        (head(*[b"Transfer-Encoding: chunked"] * 2), HTTPStatus.BAD_REQUEST),
        (head(b"Transfer-Encoding:", b"Content-Length: 0"), HTTPStatus.BAD_REQUEST),
        (head(b"transfer-encoding:\tCHUNKED", b"content-length: 3"), HTTPStatus.BAD_REQUEST),
        (
            head(b"Transfer-Encoding: chunked", line=b"POST /orders HTTP/1.0"),
            HTTPStatus.BAD_REQUEST,
        ),
        (CHUNKED + b"0\r\nA: b\n\nGET /x HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (CHUNKED + b"0\r\nA: b\r\nno field\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (CHUNKED + b"0\r\n: b\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (CHUNKED + b"0\r\nA: b\r\nC:\r\n\r\n", None),
        (b"GET /health HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /health HTTP/1.0\r\n\r\n", None),
        (b"GET /health HTTP/1.1\r\nHost:\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /health HTTP/1.1\r\nHost: order.shop.svc:80\r\n\r\n", None),
        (b"GET /health HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", None),
        (head(b"Host: order"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET ?x HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET health HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET http://order HTTP/1.1"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET http://order/health HTTP/1.1"), None),
        (head(line=b"OPTIONS * HTTP/1.1"), None),
        (CHUNKED + b"10001\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (CHUNKED + b"2\r\n{}\r\nffff\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (CHUNKED + b"f" * 200 + b"\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (head(line=b"GET /health HTTP/3.0"), HTTPStatus.BAD_REQUEST),
        (head(line=b"GET /" + b"a" * 9_000 + b" HTTP/1.1"), HTTPStatus.REQUEST_URI_TOO_LONG),
        (head(*[b"X: y"] * 101), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (head(line=b"GET /orders/x: HTTP/1.1"), None),
        (head(b"X:     blanks before the value"), None),
    ],
)
def test_invalid_request_gets_its_status(data: bytes, status: HTTPStatus | None) -> None:
    request = received(data)
    assert request.completed
    assert (request.error.code if request.error else None) == status


@pytest.mark.parametrize("coding", [b"Transfer-Encoding:\tCHUNKED ", b"transfer-encoding:chunked"])
def test_chunked_body_is_received(coding: bytes) -> None:
    body = b"1\r\n[\r\n1;a=b\r\n]\r\n0\r\n\r\n"
    request = received(head(coding, line=b"POST /orders HTTP/1.1") + body)
    assert request.completed
    assert not request.error
    assert request.get_body_stream().read() == b"[]"


@pytest.mark.parametrize("pieces", [1, 2, 3, 8192])
@pytest.mark.parametrize("trailers", [b"", b"A: b\r\nC: d\r\n"])
def test_chunked_body_is_received_in_pieces(pieces: int, trailers: bytes) -> None:
    request = received(CHUNKED + b"2\r\n[]\r\n0\r\n" + trailers + b"\r\n", pieces)
    assert request.completed
    assert not request.error
    assert request.get_body_stream().read() == b"[]"


def test_chunked_body_of_the_maximum_is_received_further() -> None:
    request = received(CHUNKED + b"%x\r\n" % MAX_BODY)
    assert not request.completed


@pytest.mark.parametrize(
    ("options", "kept"),
    [(b"close", False), (b"Keep-Alive, CLOSE", False), (b"closed", True), (b"keep-alive", True)],
)
def test_connection_is_kept_unless_one_of_its_options_is_close(
    options: bytes, *, kept: bool
) -> None:
    assert received(head(b"Connection: " + options)).connection_close is not kept


def test_header_value_excludes_surrounding_blanks() -> None:
    request = received(head(b"X:  \t a b \t"))
    assert request.headers["X"] == "a b"


@pytest.mark.parametrize("length", [b"", b"Content-Length: 0"])
def test_request_is_complete_when_it_expects_100_but_has_no_body(length: bytes) -> None:
    request = received(head(b"Expect: 100-continue", *filter(None, [length])))
    assert request.completed
    assert not request.expect_continue
