"""Requests made of bytes, to the apps alone: ``python tests/fuzz/from_bytes.py CORPUS -runs=1000``.

atheris (libFuzzer) chooses bytes that reach new code in the functions and in PyJWT. The run ends at
a response with 500, at a status that the description does not have, and when memory grows.
"""

from __future__ import annotations

import json
import logging
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(
    include=["functions_common", "order_function", "inventory_function", "jwt"]
):
    from support.in_process.apps import OPERATOR, ORDER, PAYMENT, inventory_app, order_app
    from support.peers import tokens
    from support.stores.builders import stocked
    from support.stores.fakes import FakeInventory, MemoryOrders

from flask import Flask
from tools import openapi
from werkzeug.exceptions import HTTPException
from werkzeug.test import run_wsgi_app

FRESH_EVERY = 2000
"""Inputs after which the stores are emptied, so that stored orders do not grow the memory."""
MOST_GROWTH = 64.0
"""MB above the memory after the first round."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
TOKEN = tokens.token("C1", exp=9_999_999_999)
KNOWN = ("P001", "R1", "C1", "1", "ORD" + "0" * 26)
BODIES = (
    {"customer_id": "C1", "product_id": "P001", "quantity": 1},
    {"items": [{"product_id": "P001", "quantity": 1}], "expected_total": 999.99},
    {"name": "Laptop", "price": 999.99, "active": True},
    {"delta": 1, "reason": "delivery", "reference": "D-1", "actor": "A"},
    {"ids": ["R1", "R2"]},
    {"kind": "release", "items": [{"product_id": "P001", "quantity": 1}]},
    {"price": 1, "active": False, "max_per_order": 5, "low_stock_threshold": None},
    {"product_id": "P001", "name": "Laptop", "price": 1, "add_stock": 5},
    {"items": [{"line_id": "1", "quantity": 1}], "actor": "A", "reason": "damaged"},
    {
        "customer_id": "C1",
        "product_id": "P001",
        "quantity": 1,
        "hold_seconds": 60,
        "reference": "W-1",
        "note": "a\nb",
        "metadata": {"channel": "web"},
        "shipping_address": {"name": "A", "line1": "1", "city": "B", "country": "GB"},
    },
)
QUERIES = (
    "", "customer_id=C1", "limit=2", "quantity=1", "status=pending,confirmed", "order_id=ORD0",
    "updated_since=2025-11-23T00:00:00Z", "product_id=P001&created_from=2025-11-23T00:00:00Z",
)  # fmt: skip
HEADERS = (
    "HTTP_AUTHORIZATION", "HTTP_IDEMPOTENCY_KEY", "HTTP_PREFER", "HTTP_ACCEPT", "HTTP_TRACEPARENT",
    "HTTP_TRACESTATE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_COOKIE", "HTTP_X_FORWARDED_FOR",
    "HTTP_HOST",
)  # fmt: skip


class Functions:
    """Three apps, each with the statuses of its description."""

    def __init__(self, folder: Path) -> None:
        self._settings = tokens.in_file(folder)
        self._described = {name: _statuses(name) for name in openapi.APIS}
        self._first_memory = 0.0
        self._asked = 0
        self._renew()

    def _renew(self) -> None:
        stock = {"P001": 1_000_000}
        self._apps: list[tuple[str, Flask]] = [
            ("order", order_app(MemoryOrders(), FakeInventory(**stock))),
            ("order", order_app(MemoryOrders(), FakeInventory(**stock), issuer=self._settings)),
            ("inventory", inventory_app(stocked(**stock))),
        ]

    def ask(self, data: bytes) -> None:
        self._asked += 1
        if self._asked % FRESH_EVERY == 0:
            self._renew()
            self._look_at_memory()
        bytes_of = atheris.FuzzedDataProvider(data)
        name, app = self._apps[bytes_of.ConsumeIntInRange(0, 2)]
        environ = _request(bytes_of, [rule.rule for rule in app.url_map.iter_rules()])
        body, status, headers = run_wsgi_app(app, environ, buffered=True)
        self._check(name, app, environ, int(status.split()[0]), headers, b"".join(body))

    def _check(
        self, name: str, app: Flask, environ: dict[str, Any], status: int, headers: Any, body: bytes
    ) -> None:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']!r}"
        assert status < 500, f"{asked}: {body!r}"
        if environ["REQUEST_METHOD"] in ("HEAD", "OPTIONS"):
            return
        try:
            endpoint, _ = app.create_url_adapter(app.request_class(environ)).match()  # type: ignore[union-attr]
        except HTTPException as error:
            expected = {error.code or 0, 400, 413}
        else:
            expected = self._described[name][endpoint]
        assert status in expected, f"{asked} got {status}"
        if status >= 400:
            assert headers["Content-Type"] == "application/problem+json", asked
            assert isinstance(json.loads(body), dict), asked
            assert TOKEN not in body.decode()
        assert headers["X-Content-Type-Options"] == "nosniff"

    def _look_at_memory(self) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        now = pages * 4096 / 2**20
        self._first_memory = self._first_memory or now
        if self._asked % (10 * FRESH_EVERY) == 0:
            print(f"RSS {self._first_memory:.1f} MB at first, {now:.1f} MB", file=sys.stderr)
        assert now - self._first_memory < MOST_GROWTH, f"{self._first_memory} MB became {now} MB"


def _statuses(name: str) -> dict[str, set[int]]:
    """The statuses by operation. Statuses of limits apply to every operation."""
    return {
        operation["operationId"]: {int(status) for status in operation["responses"]} | {404, 413}
        for operations in openapi.served(name)["paths"].values()
        for operation in operations.values()
    }


def _request(bytes_of: Any, rules: list[str]) -> dict[str, Any]:
    """A WSGI environment as a server would build it: no header has a line break."""
    path = bytes_of.PickValueInList(rules)
    while "<" in path:
        before, _, rest = path.partition("<")
        name = bytes_of.PickValueInList([*KNOWN, _text(bytes_of, 40)])
        path = before + name + rest.partition(">")[2]
    if bytes_of.ConsumeIntInRange(0, 7) == 0:
        path += _text(bytes_of, 40)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": bytes_of.PickValueInList(list(METHODS)),
        "PATH_INFO": path,
        "QUERY_STRING": bytes_of.PickValueInList([*QUERIES, _text(bytes_of, 60)]),
        "SERVER_NAME": "fuzz",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.input_terminated": True,
        "CONTENT_TYPE": bytes_of.PickValueInList(
            ["application/json", "application/x-ndjson", _text(bytes_of, 30)]
        ),
    }
    for name in HEADERS:
        if bytes_of.ConsumeBool():
            environ[name] = bytes_of.PickValueInList(_values(name, bytes_of))
    body = _body(bytes_of)
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return environ


def _values(header: str, bytes_of: Any) -> list[str]:
    free = _text(bytes_of, 80)
    if header != "HTTP_AUTHORIZATION":
        return ["text/html", "respond-async", "key-1", free]
    place = bytes_of.ConsumeIntInRange(0, len(TOKEN))
    spliced = TOKEN[:place] + free + TOKEN[place + len(free) :]
    return [f"Bearer {each}" for each in (TOKEN, OPERATOR, ORDER, PAYMENT, spliced, free)] + [free]


def _text(bytes_of: Any, most: int) -> str:
    text: str = bytes_of.ConsumeBytes(bytes_of.ConsumeIntInRange(0, most)).decode("latin-1")
    return text.translate(dict.fromkeys((*range(32), 127)))


def _body(bytes_of: Any) -> bytes:
    good = json.dumps(bytes_of.PickValueInList(list(BODIES))).encode()
    place = bytes_of.ConsumeIntInRange(0, len(good))
    cut = bytes_of.ConsumeIntInRange(0, 8)
    free: bytes = bytes_of.ConsumeBytes(bytes_of.ConsumeIntInRange(0, 2000))
    return good[:place] + free + good[place + cut :] if free else good


def main() -> None:
    logging.disable(logging.CRITICAL)
    folder = Path(next(each for each in sys.argv[1:] if not each.startswith("-")))
    functions = Functions(folder.parent)
    atheris.Setup(sys.argv, functions.ask)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
