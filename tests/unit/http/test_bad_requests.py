"""Bad requests get a problem that names the field, and change nothing. No server is needed."""

from __future__ import annotations

import copy
import re
from functools import cache
from io import BytesIO, IOBase, RawIOBase
from json import dumps
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.clients import bad_requests
from support.clients.bad_requests import BadRequest
from support.in_process.apps import OPERATOR, PAYMENT, inventory_app, order_app, signed
from support.in_process.apps import ORDER as ORDER_TOKEN
from support.stores.builders import stocked
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryStock
from tools import openapi
from werkzeug.test import TestResponse

from order_function.domain import Status


def send(client: FlaskClient, bad: BadRequest, token: dict[str, str]) -> None:
    headers = token | bad.headers
    answer = client.open(bad.path, method=bad.method, data=bad.body, headers=headers)
    bad_requests.check(bad, answer.status_code, answer.content_type, answer.data)
    if bad.status == 405:
        assert answer.headers["Allow"]


@cache
def shared_order() -> Server:
    """One app for all bad requests: none of them changes anything."""
    return Server()


@cache
def shared_inventory() -> tuple[FlaskClient, MemoryStock]:
    store = stocked(P001=50)
    return inventory_app(store).test_client(), store


@pytest.mark.parametrize("bad", bad_requests.ORDER, ids=lambda bad: bad.name)
def test_order_rejects(bad: BadRequest) -> None:
    server = shared_order()
    send(server.client, bad, {})
    assert not server.store.documents
    assert not server.inventory.calls


@pytest.mark.parametrize("bad", bad_requests.INVENTORY, ids=lambda bad: bad.name)
def test_inventory_rejects(bad: BadRequest) -> None:
    client, store = shared_inventory()
    before = copy.copy(store.documents)
    send(client, bad, signed(bad.path))
    assert store.documents == before


@pytest.mark.parametrize("path", ["/orders", "/products"])
def test_query_is_rejected_when_it_is_not_utf_8(path: str) -> None:
    client = order_app(MemoryOrders(), FakeInventory(P001=1)).test_client()
    answer = client.get(path, environ_overrides={"QUERY_STRING": "customer_id=\xe8"})
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")


class Server:
    """Calls the app of order like a WSGI server, with the variables that only a server sets."""

    def __init__(self) -> None:
        self.store, self.inventory = MemoryOrders(), FakeInventory(P001=50)
        self.client = order_app(self.store, self.inventory).test_client()

    def post(self, body: bytes | IOBase, /, path: str = "/orders", **environ: Any) -> TestResponse:
        stream = BytesIO(body) if isinstance(body, bytes) else body
        given = {"wsgi.input": stream, "CONTENT_TYPE": "application/json"} | environ
        return self.client.post(path, environ_overrides=given)

    def place(self) -> str:
        """The id of an order."""
        placed = self.post(ORDER, CONTENT_LENGTH=str(len(ORDER)))
        assert placed.status_code == 201
        return str(placed.json["order_id"])  # type: ignore[index]


TERMINATED: dict[str, Any] = {"wsgi.input_terminated": True}
ORDER = b'{"customer_id":"C1","product_id":"P001","quantity":1}'


@pytest.mark.parametrize("terminated", [True, False], ids=["terminated", "not terminated"])
def test_truncated_body_is_rejected_although_its_json_is_complete(terminated: bool) -> None:  # noqa: FBT001
    server = Server()
    environ: dict[str, Any] = {"wsgi.input_terminated": True} if terminated else {}
    answer = server.post(ORDER, CONTENT_LENGTH=str(len(ORDER) + 1), **environ)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert "is incomplete" in answer.json["detail"]  # type: ignore[index]
    assert not server.store.documents


class Failing(RawIOBase):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, _size: int = -1, /) -> bytes:
        raise self._error

    def readinto(self, _buffer: object, /) -> int:
        raise self._error


class ServersOwnError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [OSError(), ValueError(), EOFError(), ServersOwnError()], ids=repr
)
@pytest.mark.parametrize("path", ["/orders", "/orders/ORD00000000000000000000000000/cancel"])
def test_unreadable_body_is_rejected(path: str, error: Exception) -> None:
    server = Server()
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    answer = server.post(Failing(error), path, CONTENT_LENGTH=None, **chunked)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert not server.store.documents


@pytest.mark.parametrize(
    ("length", "status"),
    [
        *((length, 400) for length in ("abc", "-1", "+53", "5_3", "53.0", "\u0665\u0663")),
        ("9" * 30, 413),
    ],
)
@pytest.mark.parametrize("path", ["/orders", "/orders/ORD00000000000000000000000000/cancel"])
def test_content_length_must_be_a_number(path: str, length: str, status: int) -> None:
    server = Server()
    answer = server.post(ORDER, path, CONTENT_LENGTH=length, **TERMINATED)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert not server.store.documents


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity", "chunked, chunked", "gzip", "x"])
def test_unsupported_transfer_coding_is_rejected(coding: str) -> None:
    server = Server()
    answer = server.post(ORDER, HTTP_TRANSFER_ENCODING=coding, **TERMINATED)
    assert answer.status_code == 400
    assert answer.json["errors"][0]["header"] == "Transfer-Encoding"  # type: ignore[index]
    assert not server.store.documents


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 200), (b"{}", 200), (b'{"items":[]}', 422), (b"{not", 400)]
)
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with a length"])
def test_cancel_accepts_an_empty_body(body: bytes, status: int, chunked: bool) -> None:  # noqa: FBT001
    server = Server()
    order_id = server.place()
    environ: dict[str, Any] = {"CONTENT_LENGTH": str(len(body))}
    if chunked:
        environ = {
            "CONTENT_LENGTH": None,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
        }
    answer = server.post(body, f"/orders/{order_id}/cancel", **environ)
    assert answer.status_code == status
    cancelled = server.store.documents[order_id].order.status is Status.CANCELLED
    assert cancelled == (status == 200)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'APPLICATION/JSON;Charset="UTF-8"',
        "application/json; charset=utf8",
        "application/json; profile=order",
    ],
)
def test_utf_8_json_is_accepted(content_type: str) -> None:
    server = Server()
    environ = {"CONTENT_TYPE": content_type, "HTTP_CONTENT_ENCODING": "identity"}
    assert server.post(ORDER, CONTENT_LENGTH=str(len(ORDER)), **environ).status_code == 201


def test_compressed_body_gets_415_with_the_accepted_encoding() -> None:
    answer = Server().post(ORDER, CONTENT_LENGTH=str(len(ORDER)), HTTP_CONTENT_ENCODING="gzip")
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"


def test_unknown_preference_is_ignored() -> None:
    prefer = "handling=strict, x; y=z"
    answer = Server().post(ORDER, CONTENT_LENGTH=str(len(ORDER)), HTTP_PREFER=prefer)
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/icon.svg", "/docs"])
def test_page_ignores_unknown_parameters(path: str) -> None:
    client = order_app(MemoryOrders(), FakeInventory()).test_client()
    query = "?utm_source=mail&utm_source=mail&fbclid=1"
    assert client.get(path + query, headers={"Accept": "text/html"}).status_code == 200


def test_token_is_checked_before_the_request() -> None:
    client = inventory_app(stocked(P001=1)).test_client()
    answer = client.get("/products/P001/ledger?x=1", data=b"{}")
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["order", "inventory"])
def test_every_operation_rejects_undeclared_parameters_and_bodies(name: str) -> None:
    """Uses the API description, so that it covers each new operation."""
    app = {
        "order": order_app(MemoryOrders(), FakeInventory(P001=1)),
        "inventory": inventory_app(stocked(P001=1)),
    }[name]
    client, tried = app.test_client(), 0
    for path, operations in openapi.served(name)["paths"].items():
        for method, operation in operations.items():
            assert {"400", "414"} <= operation["responses"].keys()
            address = re.sub(r"\{\w+\}", "X1", path)
            roles = [role for each in operation.get("security", []) for role in each]
            shared = {"order": ORDER_TOKEN, "operator": OPERATOR, "payment": PAYMENT}
            token = shared.get(roles[0] if roles else "", "")
            headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
            json: Any = {} if "requestBody" in operation else None
            wrong: list[dict[str, Any]] = [{"query_string": "no_such=1", "json": json}]
            if json is None:
                wrong.append({"data": b"{}"})
            for each in wrong[path in PAGES :]:
                answer = client.open(address, method=method.upper(), headers=headers, **each)
                assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
                tried += 1
    assert tried > 10


PAGES = {"/", "/page.js", "/page.css", "/icon.svg", "/docs"}


def test_problem_names_a_byte_order_mark() -> None:
    """Excel and PowerShell write it at the beginning of a file."""
    body = b'\xef\xbb\xbf{"customer_id":"C123","product_id":"P001","quantity":1}'
    response = shared_order().client.post("/orders", data=body, content_type="application/json")
    assert response.status_code == 400
    assert response.json["detail"] == (  # type: ignore[index]
        "The body is not valid JSON: it begins with a byte order mark; send UTF-8 without one"
    )


def test_problem_lists_twenty_errors_and_counts_the_rest() -> None:
    items = [{"product_id": "", "quantity": 0}] * 100
    body = dumps({"customer_id": "C1", "items": items}).encode()
    answer = Server().post(body, CONTENT_LENGTH=str(len(body)))
    assert answer.status_code == 422
    assert [each["detail"] for each in answer.json["errors"]][20:] == [  # type: ignore[index]
        "180 more errors are not listed"
    ]
    assert len(answer.data) < 10_000


def test_problem_does_not_repeat_a_long_value() -> None:
    items = [{"product_id": "x" * 60_000, "quantity": 600_000}] * 1
    client = inventory_app(stocked()).test_client()
    path = "/reservations/R"
    answer = client.put(path, json={"items": items * 1}, headers=signed(path))
    assert answer.status_code == 422
    assert len(answer.data) < 2_000
