"""The HTTP contract of order: statuses, headers, bodies."""

from typing import Any

import pytest
from support.in_process.apps import OPERATOR, ORDER, order_app
from support.stores.fakes import FakeInventory, MemoryOrders

from order_function.ports import CatalogueBusyError


class Shop:
    def __init__(self) -> None:
        self.store = MemoryOrders()
        self.inventory = FakeInventory(P001=50, P002=3)
        self.client: Any = order_app(self.store, self.inventory).test_client()

    def place(self, key: str | None = None, prefer: str | None = None, **body: Any) -> Any:
        wanted = {"customer_id": "C123", "product_id": "P001", "quantity": 2} | body
        headers = {} if key is None else {"Idempotency-Key": key}
        if prefer is not None:
            headers["Prefer"] = prefer
        return self.client.post("/orders", json=wanted, headers=headers)

    def fulfil(self, order_id: str, token: str | None = OPERATOR) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.client.post(f"/orders/{order_id}/fulfil", headers=headers)


ITEM = {
    "line_id": "1",
    "product_id": "P001",
    "quantity": 2,
    "cancelled": 0,
    "fulfilled": 0,
    "returned": 0,
}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_new_order_is_201(shop: Shop) -> None:
    response = shop.place()
    assert response.status_code == 201
    order = response.json
    assert response.headers["Location"] == f"/orders/{order['order_id']}"
    assert order["order_id"].startswith("ORD")
    assert order["created_at"].endswith("+00:00")
    at = order["created_at"]
    assert {name: order[name] for name in order if name not in ("order_id", "created_at")} == {
        "customer_id": "C123",
        "product_id": "P001",
        "quantity": 2,
        "items": [{**ITEM, "unit_price": 999.99, "name": "Laptop"}],
        "status": "confirmed",
        "total_price": 1999.98,
        "currency": "USD",
        "updated_at": at,
        "confirmed_at": at,
        "history": [
            {"seq": 1, "type": "placed", "at": at, "actor": "customer"},
            {"seq": 2, "type": "confirmed", "at": at, "actor": "customer"},
        ],
    }
    assert shop.client.get(f"/orders/{order['order_id']}").json == order


def test_several_lines_are_merged_and_have_no_product_at_the_top(shop: Shop) -> None:
    items = [
        {"product_id": "P002", "quantity": 1},
        {"product_id": "P001", "quantity": 1},
        {"product_id": "P002", "quantity": 2},
    ]
    response = shop.client.post("/orders", json={"customer_id": "C123", "items": items})
    assert response.status_code == 201
    assert [(i["product_id"], i["quantity"]) for i in response.json["items"]] == [
        ("P002", 3),
        ("P001", 1),
    ]
    assert "product_id" not in response.json
    assert "quantity" not in response.json


def test_a_replay_has_the_first_response_and_is_marked(shop: Shop) -> None:
    first, again = shop.place("key"), shop.place("key")
    assert (first.status_code, first.json) == (again.status_code, again.json)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_order_is_409_with_the_short_lines_when_stock_is_short(shop: Shop) -> None:
    response = shop.place(quantity=51)
    assert response.status_code == 409
    assert response.content_type == "application/problem+json"
    assert response.json["type"] == "urn:problem-type:insufficient-stock"
    assert response.json["lines"] == [
        {"product_id": "P001", "requested": 51, "available_quantity": 50}
    ]


def test_a_rejection_names_the_order_when_the_request_has_a_key(shop: Shop) -> None:
    first, again = shop.place("key", product_id="P999"), shop.place("key", product_id="P999")
    assert first.status_code == again.status_code == 409
    assert first.json["type"] == "urn:problem-type:unknown-product"
    assert first.json["product_ids"] == ["P999"]
    assert again.headers["Idempotent-Replayed"] == "true"
    rejected = shop.client.get(f"/orders/{first.json['order_id']}").json
    assert rejected["status"] == "rejected"
    assert "total_price" not in rejected


def test_another_body_is_422_when_it_uses_the_same_key(shop: Shop) -> None:
    shop.place("key")
    response = shop.place("key", quantity=3)
    assert response.status_code == 422
    assert response.json["type"] == "urn:problem-type:idempotency-key-reused"


def test_every_invalid_value_is_listed(shop: Shop) -> None:
    items = [{"product_id": "/", "quantity": 0}, {"product_id": "P001", "quantity": -3}]
    response = shop.client.post("/orders", json={"customer_id": "", "items": items})
    assert [error["pointer"] for error in response.json["errors"]] == [
        "#/customer_id",
        "#/items/0/product_id",
        "#/items/0/quantity",
        "#/items/1/quantity",
    ]


def test_pointer_is_percent_encoded_and_its_text_is_not(shop: Shop) -> None:
    """A JSON pointer as a URI fragment: RFC 6901, 6."""
    response = shop.place(metadata={"gift/wrap 100%": ""})
    (error,) = response.json["errors"]
    assert error["pointer"] == "#/metadata/gift~1wrap%20100%25"
    assert error["detail"].startswith("#/metadata/gift~1wrap 100%: must be 1 to 500 characters")
    assert response.json["detail"] == error["detail"]


def test_cancelling_is_200_when_it_is_repeated(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    for _ in range(2):
        response = shop.client.post(f"/orders/{order_id}/cancel")
        assert (response.status_code, response.json["status"]) == (200, "cancelled")


def test_cancelling_is_202_when_inventory_is_unavailable(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.inventory.away.append(None)
    response = shop.client.post(f"/orders/{order_id}/cancel")
    assert (response.status_code, response.json["status"]) == (202, "cancelling")


def test_cancelling_is_409_when_the_order_was_rejected(shop: Shop) -> None:
    order_id = shop.place("key", quantity=51).json["order_id"]
    response = shop.client.post(f"/orders/{order_id}/cancel")
    assert response.status_code == 409
    assert response.json["type"] == "urn:problem-type:not-cancellable"


def test_an_order_is_503_with_retry_after_when_inventory_is_unavailable(shop: Shop) -> None:
    shop.inventory.away.append(False)
    response = shop.place()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "order_id" not in response.json


def test_an_unknown_outcome_names_the_order(shop: Shop) -> None:
    shop.inventory.away.append(None)
    response = shop.place("key")
    assert response.status_code == 503
    assert response.json["order_id"] == shop.place("key").json["order_id"]


def test_orders_are_listed_in_pages_newest_first(shop: Shop) -> None:
    placed = [shop.place().json["order_id"] for _ in range(5)]
    shop.place(customer_id="another")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = shop.client.get(f"/orders?customer_id=C123&limit=2{cursor}").json
        seen += [order["order_id"] for order in page["orders"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == placed[::-1]


def test_orders_are_listed_by_status(shop: Shop) -> None:
    kept, cancelled = (shop.place().json["order_id"] for _ in range(2))
    shop.client.post(f"/orders/{cancelled}/cancel")
    for status, expected in (("confirmed", [kept]), ("cancelled", [cancelled]), ("pending", [])):
        response = shop.client.get(f"/orders?customer_id=C123&status={status}").json
        assert [order["order_id"] for order in response["orders"]] == expected


def test_the_catalogue_is_passed_through(shop: Shop) -> None:
    assert shop.client.get("/products").json == {"products": []}
    missing = shop.client.get("/products/P999")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/products", "/products/P001"])
def test_a_busy_catalogue_is_503_with_its_reason_and_retry_after(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def busy(*_: object) -> Any:
        raise CatalogueBusyError("Too many concurrent list requests: 16 wait. Try again.", 7)

    monkeypatch.setattr(shop.inventory, "catalogue", busy)
    response: Any = shop.client.get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    problem = response.json
    assert problem["type"] == "urn:problem-type:temporarily-unavailable"
    assert problem["detail"] == "Too many concurrent list requests: 16 wait. Try again."
    assert problem["instance"] == path
    assert problem["trace_id"] == response.headers["X-Trace-Id"]


def test_health_calls_no_dependency(shop: Shop) -> None:
    shop.inventory.away.extend([None] * 9)
    assert shop.client.get("/health").json == {"status": "ok"}


def test_a_trace_is_continued_and_returned(shop: Shop) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    assert shop.client.get("/health", headers=headers).headers["X-Trace-Id"] == trace_id
    assert shop.client.get("/nowhere", headers=headers).json["trace_id"] == trace_id


def test_an_unexpected_error_is_500_without_its_text(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(shop.inventory, "reserve", broken)
    response = shop.place()
    assert (response.status_code, response.content_type) == (500, "application/problem+json")
    assert "secret" not in response.text


def test_fulfilling_is_200_when_it_is_repeated(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    for _ in range(2):
        response = shop.fulfil(order_id)
        assert (response.status_code, response.json["status"]) == (200, "fulfilled")
    assert len(shop.inventory.consumed) == 1
    cancelled = shop.client.post(f"/orders/{order_id}/cancel")
    assert (cancelled.status_code, cancelled.json["type"]) == (
        409,
        "urn:problem-type:not-cancellable",
    )


def test_fulfilling_is_409_when_the_order_is_not_confirmed(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.client.post(f"/orders/{order_id}/cancel")
    response = shop.fulfil(order_id)
    assert (response.status_code, response.json["type"]) == (
        409,
        "urn:problem-type:not-fulfillable",
    )
    assert not shop.inventory.consumed


@pytest.mark.parametrize("token", [None, ORDER, "an-unknown-token"])
def test_fulfilling_is_401_without_a_token_of_the_operator(shop: Shop, token: str | None) -> None:
    """Without an issuer no other token is valid, so the status is 401 and never 403."""
    order_id = shop.place().json["order_id"]
    response = shop.fulfil(order_id, token)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert shop.client.get(f"/orders/{order_id}").json["status"] == "confirmed"


def test_fulfilling_is_202_when_inventory_is_unavailable_and_200_when_repeated(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.inventory.away.append(None)
    response = shop.fulfil(order_id)
    assert (response.status_code, response.json["status"]) == (202, "fulfilling")
    response = shop.fulfil(order_id)
    assert (response.status_code, response.json["status"]) == (200, "fulfilled")


def test_fulfilling_is_404_when_there_is_no_such_order(shop: Shop) -> None:
    for order_id in ("ORD" + "0" * 26, "ORD1"):
        response = shop.fulfil(order_id)
        assert (response.status_code, response.json["type"]) == (
            404,
            "urn:problem-type:unknown-order",
        )


@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async; x=1"])
def test_an_order_is_pending_when_inventory_is_unavailable_and_the_client_prefers_it(
    shop: Shop, prefer: str
) -> None:
    shop.inventory.away.append(None)
    response = shop.place("key", prefer)
    assert (response.status_code, response.json["status"]) == (202, "pending")
    assert response.headers["Location"] == f"/orders/{response.json['order_id']}"
    assert response.headers["Preference-Applied"] == "respond-async"
    assert response.json["items"] == [ITEM]
    assert "total_price" not in response.json
    again = shop.place("key", prefer)
    assert (again.status_code, again.json) == (202, response.json)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("prefer", [None, "respond-asynchronously", "return=minimal"])
def test_an_order_is_503_when_the_client_does_not_prefer_pending(
    shop: Shop, prefer: str | None
) -> None:
    shop.inventory.away.append(False)
    assert shop.place(prefer=prefer).status_code == 503


def test_a_preference_changes_nothing_when_inventory_is_available(shop: Shop) -> None:
    response = shop.place(prefer="respond-async")
    assert (response.status_code, response.json["status"]) == (201, "confirmed")
    assert "Preference-Applied" not in response.headers


def test_an_order_is_201_at_the_expected_total(shop: Shop) -> None:
    response = shop.place(expected_total=1999.98)
    assert (response.status_code, response.json["total_price"]) == (201, 1999.98)


def test_an_order_is_409_with_the_current_total_when_the_price_changed(shop: Shop) -> None:
    response = shop.place("key", expected_total=1999.97)
    assert (response.status_code, response.json["type"]) == (409, "urn:problem-type:price-changed")
    assert '"total_price":1999.98' in response.text
    assert response.json["currency"] == "USD"
    assert shop.inventory.available["P001"] == 50
    rejected = shop.client.get(f"/orders/{response.json['order_id']}")
    assert rejected.json["rejection"] == {
        "type": "urn:problem-type:price-changed",
        "detail": response.json["detail"],
        "total_price": 1999.98,
        "currency": "USD",
    }
    assert '"total_price":1999.98' in rejected.text


@pytest.mark.parametrize("total", [1999.985, -1, 10**17])
def test_an_impossible_total_is_422(shop: Shop, total: float) -> None:
    response = shop.place(expected_total=total)
    assert (response.status_code, response.json["errors"][0]["pointer"]) == (
        422,
        "#/expected_total",
    )
    assert not shop.inventory.reservations


def test_a_rejected_order_has_the_same_reason_as_its_problem(shop: Shop) -> None:
    refused = shop.place("key", quantity=51)
    rejection = shop.client.get(f"/orders/{refused.json['order_id']}").json["rejection"]
    assert rejection == {name: refused.json[name] for name in ("type", "detail", "lines")}
