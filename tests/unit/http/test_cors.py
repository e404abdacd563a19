"""Pages of allowed origins may call order from a browser. No server is needed."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from support.in_process.apps import order_app
from support.stores.fakes import FakeInventory, MemoryOrders
from werkzeug.datastructures import Headers

from functions_common.http import cors
from functions_common.http.health import with_service_operations
from functions_common.http.openapi import HEADERS_OF_ALL_RESPONSES
from order_function.routes import API

SHOP, OTHER = "https://shop.example", "https://other.example"
ORDER = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,idempotency-key",
}


@pytest.fixture
def client() -> FlaskClient:
    inventory = FakeInventory(P001=5)
    app = order_app(MemoryOrders(), inventory, allowed_origins=(SHOP, "http://localhost:3000"))
    return app.test_client()


def cors_headers(headers: Headers) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name.lower().startswith("access-control-")
    }


def test_preflight_lists_methods_and_headers(client: FlaskClient) -> None:
    response = client.options("/orders", headers={"Origin": SHOP, **PREFLIGHT})
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Vary"] == "Origin"
    assert cors_headers(response.headers) == {
        "Access-Control-Allow-Origin": SHOP,
        "Access-Control-Expose-Headers": ", ".join(cors.RESPONSE_HEADERS),
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match,"
        " If-None-Match, Prefer, traceparent",
        "Access-Control-Max-Age": "7200",
    }


def test_preflight_lists_only_the_methods_of_its_path(client: FlaskClient) -> None:
    headers = {"Origin": SHOP, **PREFLIGHT}
    cancel = client.options("/orders/ORD1/cancel", headers=headers)
    products = client.options("/products", headers=headers)
    assert cancel.headers["Access-Control-Allow-Methods"] == "OPTIONS, POST"
    assert products.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"


def test_preflight_of_an_unknown_path_is_404(client: FlaskClient) -> None:
    response = client.options("/nothing", headers={"Origin": SHOP, **PREFLIGHT})
    assert response.status_code == 404
    assert "Access-Control-Allow-Methods" not in response.headers


def test_page_of_an_allowed_origin_sees_responses_and_errors(client: FlaskClient) -> None:
    headers = {"Origin": SHOP}
    responses = [
        client.post("/orders", json=ORDER, headers=headers),
        client.post("/orders", json=ORDER | {"quantity": 0}, headers=headers),
        client.post("/orders", data=b"{", headers=headers),
        client.post("/orders", data=b"x" * 1_100_000, headers=headers),
        client.post("/orders", json=ORDER | {"quantity": 100}, headers=headers),
        client.get("/nothing", headers=headers),
        client.delete("/orders", headers=headers),
        client.post("/orders/ORD1/confirm", headers=headers),
    ]
    statuses = [response.status_code for response in responses]
    assert statuses == [201, 422, 415, 413, 409, 404, 405, 401]
    for response in responses:
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.vary.find("Origin") >= 0


@pytest.mark.parametrize("origin", [OTHER, "null", "http://shop.example", SHOP + ":8443", None])
def test_other_origin_gets_the_same_response_without_cors_headers(
    client: FlaskClient, origin: str | None
) -> None:
    headers = {"Origin": origin} if origin else {}
    response = client.post("/orders", json=ORDER, headers=headers)
    assert response.status_code == 201
    assert cors_headers(response.headers) == {}
    assert response.headers["Vary"] == "Origin"


def test_preflight_of_another_origin_has_no_cors_headers(client: FlaskClient) -> None:
    response = client.options("/orders", headers={"Origin": OTHER, **PREFLIGHT})
    assert response.status_code == 204
    assert cors_headers(response.headers) == {}


def test_options_request_that_is_no_preflight_is_unchanged(client: FlaskClient) -> None:
    off = order_app(MemoryOrders(), FakeInventory()).test_client().options("/orders")
    on = client.options("/orders", headers={"Origin": OTHER})
    assert (on.status_code, on.allow) == (off.status_code, off.allow)


def test_page_keeps_its_own_vary_header(client: FlaskClient) -> None:
    response = client.get("/", headers={"Accept": "text/html", "Origin": SHOP})
    assert response.vary.as_set() == {"accept", "origin"}


def test_responses_are_unchanged_without_allowed_origins() -> None:
    client = order_app(MemoryOrders(), FakeInventory(P001=5)).test_client()
    headers = {"Origin": SHOP}
    preflight = client.options("/orders", headers={**headers, **PREFLIGHT})
    assert preflight.status_code == 200
    for response in (preflight, client.post("/orders", json=ORDER, headers=headers)):
        assert cors_headers(response.headers) == {}
        assert "Vary" not in response.headers


def test_pages_may_send_and_read_every_header_of_the_api() -> None:
    sent, read = {"Authorization", "Content-Type"}, {"Allow", *HEADERS_OF_ALL_RESPONSES}
    for operation in with_service_operations(API).operations:
        sent |= {each.name for each in operation.parameters if each.location == "header"}
        read |= {name for each in operation.responses.values() for name in each.headers}
        read |= {name for each in operation.problems for name in each.headers}
    assert sent <= set(cors.REQUEST_HEADERS)
    assert read - {"Content-Security-Policy"} <= set(cors.RESPONSE_HEADERS)
