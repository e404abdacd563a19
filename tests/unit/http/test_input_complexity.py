"""The work for each input that a client controls grows no faster than its length.

Each kind of input is sent through the whole WSGI app at one length and at eight times that length.
The test compares the processor time of this thread, the lowest of several runs. The bound is
generous: quadratic work takes 64 times as long, linear work eight times at most.

To add a kind of input, add a line to ORDER or INVENTORY.
"""

from __future__ import annotations

import base64
import gc
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from support.in_process.apps import OPERATOR, inventory_app, order_app, signed
from support.peers import tokens
from support.stores.builders import stocked
from support.stores.fakes import FakeInventory, MemoryOrders

TIMES = 8
BOUND = 2.5 * TIMES
RUNS, ATTEMPTS = 5, 4
FLOOR_SECONDS = 0.0005
"""Shorter times are too short for a ratio."""
MAX_INPUT = 64 * 1024
"""Bytes of an input. Servers accept headers of 8 kB at most, but the app does not rely on that."""


@dataclass(frozen=True)
class Sent:
    """A request."""

    path: str = "/health"
    method: str = "GET"
    query: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    name: str
    made: Callable[[int], Sent]
    """Makes a request whose input has about this number of bytes."""
    max_length: int = MAX_INPUT


def header(name: str, unit: str, *, end: str = "", start: str = "", **sent: Any) -> Kind:
    """A header that repeats ``unit``."""

    def made(length: int) -> Sent:
        value = start + unit * (length // len(unit)) + end
        given = Sent(**sent)
        return Sent(given.path, given.method, given.query, given.body, {name: value})

    return Kind(f"{name}: {start}{unit}…{end}", made)


def body(
    name: str, made: Callable[[int], bytes], path: str = "/orders", method: str = "POST"
) -> Kind:
    return Kind(f"body: {name}", lambda length: Sent(path, method, "", made(length)))


def repeated(name: str, start: bytes, unit: bytes, end: bytes, **where: str) -> Kind:
    return body(name, lambda length: start + unit * (length // len(unit)) + end, **where)


def numbered(name: str, start: bytes, unit: bytes, end: bytes, **where: str) -> Kind:
    """``unit`` contains ``%d`` for a number, so that no two units are equal."""

    def made(length: int) -> bytes:
        parts = itertools.islice((unit % n for n in itertools.count()), length // (len(unit) + 2))
        return start + b"".join(parts) + end

    return body(name, made, **where)


def query(name: str, unit: str, *, start: str = "", end: str = "", path: str = "/orders") -> Kind:
    made = lambda length: Sent(path, query=start + unit * (length // len(unit)) + end)  # noqa: E731
    return Kind(f"query of {path}: {name}", made)


def path(name: str, unit: str, *, start: str = "/", end: str = "", method: str = "GET") -> Kind:
    made = lambda length: Sent(start + unit * (length // len(unit)) + end, method)  # noqa: E731
    return Kind(f"path: {name}", made)


def cursor(name: str, made: Callable[[int], bytes], where: str) -> Kind:
    def sent(length: int) -> Sent:
        text = base64.urlsafe_b64encode(made(length)).decode().rstrip("=")
        return Sent(where, query=f"customer_id=C1&cursor={text}")

    return Kind(f"cursor: {name}", sent)


def escaped(text: str) -> str:
    """Non-ASCII text as WSGI servers pass it on."""
    return text.encode().decode("latin-1")


_HTML = {"path": "/"}
_ORDER = b'{"customer_id":"C1","product_id":"P001","quantity":1}'
_PLACE: dict[str, Any] = {"path": "/orders", "method": "POST", "body": _ORDER}
_SHOW: dict[str, Any] = {"path": "/orders/ORD00000000000000000000000000"}
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _with_trace(unit: str, end: str = "", start: str = "") -> Kind:
    def made(length: int) -> Sent:
        state = start + unit * (length // len(unit)) + end
        return Sent(headers={"traceparent": _TRACE, "tracestate": state})

    return Kind(f"tracestate: {start}{unit}…{end}", made, max_length=4096)


def _many_headers(length: int) -> Sent:
    return Sent(headers={f"X-{n}": "x" for n in range(length // 16)})


_EVERYWHERE = (
    *(
        header(name, unit, end=end, **where)
        for name, where in {
            "Accept": _HTML,
            "Accept-Encoding": _HTML,
            "Accept-Language": _HTML,
            "Cookie": _SHOW,
            "Host": {},
            "Forwarded": {},
            "X-Forwarded-For": {},
            "Origin": {},
            "Referer": {},
            "User-Agent": {},
            "Range": {"path": "/page.js"},
            "If-Range": {"path": "/page.js"},
            "If-Match": {"path": "/page.js"},
            "If-None-Match": {"path": "/page.js"},
            "If-Modified-Since": {"path": "/page.js"},
            "If-Unmodified-Since": {"path": "/page.js"},
            "Authorization": _SHOW,
            "Prefer": _PLACE,
            "Idempotency-Key": _PLACE,
            "Content-Type": _PLACE,
            "Content-Encoding": _PLACE,
            "Transfer-Encoding": _PLACE,
            "Expect": _PLACE,
            "traceparent": {},
            "X-Cloud-Trace-Context": {},
            "Function-Execution-Id": {},
            "X-Unknown": {},
        }.items()
        for unit, end in (("a", ""), (",", ""), (" ", "!"), ('"', ""), ("; a=b", ""), ("\\", '"'))
    ),
    header("Accept", "a/b, ", **_HTML),
    header("Accept", "text/html;q=0.1,", **_HTML),
    header("Accept", 'a/b;a="\\"', **_HTML),
    header("Accept", "a/b;a*0*=x;", **_HTML),
    header("If-None-Match", 'W/"a", ', path="/page.js"),
    header("If-None-Match", '"', path="/page.js", start="a"),
    header("If-None-Match", "a", path="/page.js", end='"'),
    header("Range", "1-2,", path="/page.js", start="bytes="),
    header("Content-Type", "; charset=utf-8", start="application/json", **_PLACE),
    header("Content-Type", '; a="', start="application/json", **_PLACE),
    header("Content-Type", "; a*0=b", start="application/json", **_PLACE),
    header("Prefer", "respond-async; a=b, ", **_PLACE),
    header("Idempotency-Key", "k", **_PLACE),
    header("Idempotency-Key", "k ", end="é", **_PLACE),
    header("Authorization", "a", start="Bearer ", **_SHOW),
    header("Authorization", ".", start="Bearer ", **_SHOW),
    header("Authorization", " ", start="Bearer", end="a", **_SHOW),
    header("Authorization", "a", start="Bearer ", end=".a.a", **_SHOW),
    header("Authorization", "a.", start="Bearer ", **_SHOW),
    header("Authorization", "a", start="Bearer eyJhbGciOiJSUzI1NiJ9.", end=".a", **_SHOW),
    header("traceparent", "-a", start=_TRACE),
    header("traceparent", "0"),
    _with_trace("a=b,"),
    _with_trace(" ", "!", "a=b,"),
    _with_trace(" ", ","),
    _with_trace("a", "=b"),
    _with_trace("\t "),
    _with_trace("=", "a"),
    _with_trace("a=", "\x7f"),
    Kind("many headers", _many_headers),
    path("a long segment", "a"),
    path("many segments", "a/"),
    path("many slashes", "/"),
    path("dots", "../"),
    path("not UTF-8", "\xff"),
    path("letters beyond ASCII", escaped("é")),
    path("line breaks", "\n"),
    path("percent signs", "%"),
    path("an unsupported method", "a", method="POST"),
    query("many parameters", "a=b&", path="/health"),
    query("many names", "&", end="x=1", path="/health"),
    query("a long name", "a", path="/health"),
    query("percent-encoded", "%41", path="/health"),
    query("not UTF-8", "%ff", path="/health"),
    query("percent signs", "%", path="/health"),
    query("semicolons", "a;", path="/health"),
    query("pluses", "+", path="/health"),
    query("bytes", "\xff", path="/health"),
    query("of a page", "a=b&", path="/docs"),
)

ORDER = (
    *_EVERYWHERE,
    path("an unknown order", "a", start="/orders/"),
    path("an order of dots", ".", start="/orders/"),
    path("cancelling an unknown order", "a", start="/orders/", end="/cancel", method="POST"),
    path("an unknown product", "_", start="/products/", end="!"),
    query("a long customer", "a", start="customer_id="),
    query("a customer of underscores", "_", start="customer_id=__", end="!"),
    query("many customers", "customer_id=a&"),
    query("a long status", "a", start="customer_id=C1&status="),
    query("a long limit", "1", start="customer_id=C1&limit="),
    query("a cursor that is not base64", "=", start="customer_id=C1&cursor="),
    query("a cursor of letters", "A", start="customer_id=C1&cursor="),
    cursor("nested", lambda length: b"[" * (length // 2), "/orders"),
    cursor("strings", lambda length: b'["' + b'","' * (length // 6) + b'"]', "/orders"),
    cursor("digits", lambda length: b"[" + b"9" * (length // 2) + b"]", "/orders"),
    cursor("a long time", lambda length: b'["' + b"1" * (length // 2) + b'","a"]', "/orders"),
    repeated("spaces", b"", b" ", b""),
    repeated("not JSON", b"", b"x", b""),
    repeated("nested lists", b"", b"[", b""),
    repeated("nested objects", b"", b'{"a":', b""),
    repeated("an open string", b'{"customer_id":"', b"a", b""),
    repeated("a long string", b'{"customer_id":"', b"a", b'"}'),
    repeated("escapes", b'{"customer_id":"', b"\\n", b'"}'),
    repeated("escaped surrogates", b'{"customer_id":"', b"\\ud83d\\ude00", b'"}'),
    repeated("lone surrogates", b'{"customer_id":"', b"\\ud83d", b'"}'),
    repeated("backslashes", b'{"customer_id":"', b"\\\\", b'"}'),
    repeated("not UTF-8", b'{"customer_id":"', b"\xff", b'"}'),
    repeated("a long number", b'{"quantity":', b"9", b"}"),
    repeated("a long fraction", b'{"quantity":1.', b"9", b"}"),
    repeated("a long exponent", b'{"quantity":1e', b"9", b"}"),
    repeated("a small number", b'{"expected_total":0.', b"0", b"1}"),
    repeated("many numbers", b"[", b"1e999999,", b"1]"),
    repeated("many long numbers", b"[", b"9" * 99 + b",", b"1]"),
    repeated("one repeated key", b"{", b'"a":1,', b'"a":1}'),
    numbered("many keys", b"{", b'"k%d":1,', b'"z":1}'),
    numbered("many keys, the last one twice", b"{", b'"k%d":1,', b'"z":1,"z":2}'),
    numbered("many keys, each twice", b"{", b'"k%d":1,', b'"k0":1}'),
    numbered("many objects of equal keys", b"[", b'{"a%d":1,"a":1,"a":1},', b"1]"),
    repeated("a long key", b'{"', b"a", b'":1}'),
    repeated("a key like an error", b'{"', b"unknown field `", b'":1}'),
    repeated("a key like a location", b'{"', b" - at `$", b'":1}'),
    repeated("a key of slashes", b'{"', b"/~", b'":1}'),
    repeated("a key of controls", b'{"', b"\\u0001", b'":1}'),
    repeated(
        "items", b'{"customer_id":"C1","items":[', b'{"product_id":"P","quantity":1},', b"1]}"
    ),
    repeated(
        "items of one product",
        b'{"customer_id":"C1","items":[',
        b'{"product_id":"P","quantity":1},',
        b'{"product_id":"P","quantity":1}]}',
    ),
    numbered(
        "items of many products",
        b'{"customer_id":"C1","items":[',
        b'{"product_id":"P%d","quantity":1},',
        b'{"product_id":"P","quantity":1}]}',
    ),
    repeated(
        "items with errors",
        b'{"customer_id":"C1","items":[',
        b'{"product_id":"","quantity":0},',
        b'{"product_id":"","quantity":0}]}',
    ),
    repeated("an undeclared body", b"", b"a", b"", path=_SHOW["path"] + "/cancel"),
)


def imported(name: str, unit: bytes, max_length: int = MAX_INPUT) -> Kind:
    """An import that repeats ``unit``."""

    def made(length: int) -> Sent:
        headers = {"Content-Type": "application/x-ndjson"}
        data = unit * (length // len(unit))
        return Sent("/products:import", "POST", "", data, headers)

    return Kind(f"import: {name}", made, max_length)


_PUT = {"path": "/products/P001", "method": "PUT"}
_PATCH: dict[str, Any] = {"path": "/products/P001", "method": "PATCH", "body": b'{"price":1}'}
_ADJUST = {"path": "/products/P001/adjustments"}
_NAME = b'{"price":1,"name":"'

INVENTORY = (
    *_EVERYWHERE,
    path("an unknown product", "a", start="/products/"),
    path("an unknown reservation", "_", start="/reservations/__"),
    query("a long quantity", "1", start="quantity=", path="/products/P001/availability"),
    query("a long cursor", "A", start="cursor=", path="/products"),
    query("many ids", "a,", start="ids=", path="/products"),
    query("a long id", "_", start="ids=__", end="!", path="/products"),
    query("a long prefix", "a", start="name_prefix=", path="/products"),
    query("a long stock", "1", start="max_available=", path="/products"),
    *(
        header(name, unit, end=end, **_PATCH)
        for name in ("If-Match", "If-None-Match")
        for unit, end in (('"a", ', ""), ('"a" ,', "x"), ("W/", '"a"'), ('"', ""), (" ", "!"))
    ),
    imported("a long line", b"a"),
    imported("line breaks", b"\n"),
    imported("bad lines", b"{}\n", 1024),
    imported("the same product", b'{"product_id":"P001","name":"a","price":1}\n', 4096),
    cursor("ids", lambda length: b'["' + b"a" * (length // 2) + b'"]', "/products"),
    cursor(
        "a time", lambda length: b'["' + b"2" * (length // 2) + b'","a"]', "/products/P001/ledger"
    ),
    repeated("a long name", _NAME, b"a", b'"}', **_PUT),
    repeated("a name of spaces", _NAME, b" ", b'"}', **_PUT),
    repeated("a name of spaces and a letter", _NAME, b" ", b'a"}', **_PUT),
    repeated("a name of marks", _NAME, "\u0301".encode(), b'"}', **_PUT),
    repeated("a name of stacked marks", _NAME + b"a", "\u0301".encode(), b'"}', **_PUT),
    repeated("a name of joiners", _NAME, "a\u200d".encode(), b'"}', **_PUT),
    repeated("a name of flags", _NAME, "\U0001f3f4\U000e0067".encode(), b'"}', **_PUT),
    repeated("an invisible name", _NAME, "\u200b".encode(), b'"}', **_PUT),
    repeated("a long price", b'{"name":"a","price":1.', b"0", b"}", **_PUT),
    repeated("a long reason", b'{"delta":1,"reason":"', b"a ", b'"}', **_ADJUST),
    repeated("ids", b'{"ids":[', b'"R",', b'"R"]}', path="/reservations:release"),
    numbered("other ids", b'{"ids":[', b'"R%d",', b'"R"]}', path="/reservations:release"),
    repeated("ids with errors", b'{"ids":[', b'"/",', b'"/"]}', path="/reservations:release"),
    repeated(
        "reservations",
        b'{"reservations":[',
        b'{"reservation_id":"","items":[]},',
        b'{"reservation_id":"","items":[]}]}',
        path="/reservations:reserve",
    ),
    repeated(
        "lines of a reservation",
        b'{"items":[',
        b'{"product_id":"/","quantity":0},',
        b'{"product_id":"/","quantity":0}]}',
        path="/reservations/R",
        method="PUT",
    ),
)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Disable logging, since pytest's copies of log lines would be measured too."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    issuer = tokens.in_file(tmp_path_factory.mktemp("keys"))
    return order_app(MemoryOrders(), FakeInventory(P001=10**9), issuer=issuer)


@pytest.fixture(scope="module")
def inventory() -> Flask:
    return inventory_app(stocked(P001=1_000_000))


def environ(sent: Sent, shown: dict[str, str]) -> dict[str, Any]:
    """The WSGI environment of a server."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": sent.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": sent.path,
        "QUERY_STRING": sent.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(sent.body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "CONTENT_TYPE": "application/json",
    }
    if sent.body:
        made["CONTENT_LENGTH"] = str(len(sent.body))
    for name, value in {"Accept": "text/html", **shown, **sent.headers}.items():
        key = name.upper().replace("-", "_")
        made[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return made


def seconds(app: Flask, sent: Sent, shown: dict[str, str]) -> float:
    """The processor time of one request, the lowest of several."""

    def once() -> float:
        given = environ(sent, shown)
        status: list[str] = []

        def start(line: str, *_: Any) -> Callable[[bytes], object]:
            status.append(line)
            return lambda _: None

        began = time.thread_time()
        parts = app(given, start)
        answer = b"".join(parts)
        spent = time.thread_time() - began
        assert not status[0].startswith("5"), answer
        assert len(answer) < 200_000
        return spent

    return min(once() for _ in range(RUNS))


def check(app: Flask, kind: Kind, shown: dict[str, str]) -> None:
    """One measurement within the bound is enough, because noise only adds time."""
    short, long = kind.made(kind.max_length // TIMES), kind.made(kind.max_length)
    gc.disable()
    try:
        found = []
        for _ in range(ATTEMPTS):
            base = max(seconds(app, short, shown), FLOOR_SECONDS)
            found.append(seconds(app, long, shown) / base)
            if found[-1] <= BOUND:
                return
    finally:
        gc.enable()
    pytest.fail(f"{TIMES} times the input took {min(found):.0f} times the work: {kind.name}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ORDER, ids=lambda kind: kind.name)
def test_order_takes_linear_time_for(kind: Kind, order: Flask) -> None:
    check(order, kind, tokens.shown("C1"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", INVENTORY, ids=lambda kind: kind.name)
def test_inventory_takes_linear_time_for(kind: Kind, inventory: Flask) -> None:
    path = kind.made(100).path
    shown = signed(path) | {"Idempotency-Key": "k"}
    check(inventory, kind, shown)


def test_operator_token_takes_linear_time(order: Flask) -> None:
    path = f"{_SHOW['path']}/fulfil"
    kind = header("Authorization", "a", start=f"Bearer {OPERATOR}", path=path, method="POST")
    check(order, kind, {})
