"""order's contract over HTTP: statuses, headers, bodies."""

from typing import Any

import pytest
from support.apps import OPERATOR, ORDER, order_app
from support.fakes import FakeInventory, MemoryOrders

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


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_new_order(shop: Shop) -> None:
    answer = shop.place()
    assert answer.status_code == 201
    order = answer.json
    assert answer.headers["Location"] == f"/orders/{order['order_id']}"
    assert order["order_id"].startswith("ORD")
    assert order["created_at"].endswith("+00:00")
    assert {name: order[name] for name in order if name not in ("order_id", "created_at")} == {
        "customer_id": "C123",
        "product_id": "P001",
        "quantity": 2,
        "items": [{"product_id": "P001", "quantity": 2, "unit_price": 999.99, "name": "Laptop"}],
        "status": "confirmed",
        "total_price": 1999.98,
        "currency": "USD",
    }
    assert shop.client.get(f"/orders/{order['order_id']}").json == order


def test_several_lines_are_merged_and_have_no_product_at_the_top(shop: Shop) -> None:
    items = [
        {"product_id": "P002", "quantity": 1},
        {"product_id": "P001", "quantity": 1},
        {"product_id": "P002", "quantity": 2},
    ]
    answer = shop.client.post("/orders", json={"customer_id": "C123", "items": items})
    assert answer.status_code == 201
    assert [(i["product_id"], i["quantity"]) for i in answer.json["items"]] == [
        ("P001", 1),
        ("P002", 3),
    ]
    assert "product_id" not in answer.json
    assert "quantity" not in answer.json


def test_a_replay_has_the_first_answer_and_says_so(shop: Shop) -> None:
    first, again = shop.place("key"), shop.place("key")
    assert (first.status_code, first.json) == (again.status_code, again.json)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_refusal_is_409_and_lists_what_is_short(shop: Shop) -> None:
    answer = shop.place(quantity=51)
    assert answer.status_code == 409
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "urn:problem-type:insufficient-stock"
    assert answer.json["lines"] == [
        {"product_id": "P001", "requested": 51, "available_quantity": 50}
    ]


def test_a_refusal_under_a_key_names_the_rejected_order(shop: Shop) -> None:
    first, again = shop.place("key", product_id="P999"), shop.place("key", product_id="P999")
    assert first.status_code == again.status_code == 409
    assert first.json["type"] == "urn:problem-type:unknown-product"
    assert first.json["product_ids"] == ["P999"]
    assert again.headers["Idempotent-Replayed"] == "true"
    rejected = shop.client.get(f"/orders/{first.json['order_id']}").json
    assert rejected["status"] == "rejected"
    assert "total_price" not in rejected


def test_another_body_under_the_same_key_is_422(shop: Shop) -> None:
    shop.place("key")
    answer = shop.place("key", quantity=3)
    assert answer.status_code == 422
    assert answer.json["type"] == "urn:problem-type:idempotency-key-reused"


def test_every_wrong_value_is_listed(shop: Shop) -> None:
    items = [{"product_id": "/", "quantity": 0}, {"product_id": "P001", "quantity": -3}]
    answer = shop.client.post("/orders", json={"customer_id": "", "items": items})
    assert [error["pointer"] for error in answer.json["errors"]] == [
        "#/customer_id",
        "#/items/0/product_id",
        "#/items/0/quantity",
        "#/items/1/quantity",
    ]


def test_cancelling(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    for _ in range(2):
        answer = shop.client.post(f"/orders/{order_id}/cancel")
        assert (answer.status_code, answer.json["status"]) == (200, "cancelled")


def test_cancelling_while_inventory_is_away_is_202(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.inventory.away.append(None)
    answer = shop.client.post(f"/orders/{order_id}/cancel")
    assert (answer.status_code, answer.json["status"]) == (202, "cancelling")


def test_cancelling_what_was_rejected_is_409(shop: Shop) -> None:
    order_id = shop.place("key", quantity=51).json["order_id"]
    answer = shop.client.post(f"/orders/{order_id}/cancel")
    assert answer.status_code == 409
    assert answer.json["type"] == "urn:problem-type:not-cancellable"


def test_inventory_away_is_503_with_retry_after(shop: Shop) -> None:
    shop.inventory.away.append(False)
    answer = shop.place()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "order_id" not in answer.json


def test_an_unknown_outcome_names_the_order_to_look_for(shop: Shop) -> None:
    shop.inventory.away.append(None)
    answer = shop.place("key")
    assert answer.status_code == 503
    assert answer.json["order_id"] == shop.place("key").json["order_id"]


def test_a_customers_orders_newest_first_in_pages(shop: Shop) -> None:
    placed = [shop.place().json["order_id"] for _ in range(5)]
    shop.place(customer_id="another")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = shop.client.get(f"/orders?customer_id=C123&limit=2{cursor}").json
        seen += [order["order_id"] for order in page["orders"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == placed[::-1]


def test_a_customers_orders_of_one_status(shop: Shop) -> None:
    kept, cancelled = (shop.place().json["order_id"] for _ in range(2))
    shop.client.post(f"/orders/{cancelled}/cancel")
    for status, expected in (("confirmed", [kept]), ("cancelled", [cancelled]), ("pending", [])):
        answer = shop.client.get(f"/orders?customer_id=C123&status={status}").json
        assert [order["order_id"] for order in answer["orders"]] == expected


def test_the_catalogue_is_passed_through(shop: Shop) -> None:
    assert shop.client.get("/products").json == {"products": []}
    missing = shop.client.get("/products/P999")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/products", "/products/P001"])
def test_a_busy_catalogue_is_orders_own_503_with_the_reason_and_the_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def busy(*_: object) -> Any:
        raise CatalogueBusyError("Too many list requests at once: 16 wait; try again.", 7)

    monkeypatch.setattr(shop.inventory, "catalogue", busy)
    response: Any = shop.client.get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    problem = response.json
    assert problem["type"] == "urn:problem-type:temporarily-unavailable"
    assert problem["detail"] == "Too many list requests at once: 16 wait; try again."
    assert problem["instance"] == path
    assert problem["trace_id"] == response.headers["X-Trace-Id"]


def test_health_asks_nobody(shop: Shop) -> None:
    shop.inventory.away.extend([None] * 9)
    assert shop.client.get("/health").json == {"status": "ok"}


def test_a_trace_is_continued_and_told(shop: Shop) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    assert shop.client.get("/health", headers=headers).headers["X-Trace-Id"] == trace_id
    assert shop.client.get("/nowhere", headers=headers).json["trace_id"] == trace_id


def test_an_error_of_our_own_is_a_problem_without_its_inside(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(shop.inventory, "reserve", broken)
    answer = shop.place()
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "secret" not in answer.text


def test_fulfilling_and_again(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    for _ in range(2):
        answer = shop.fulfil(order_id)
        assert (answer.status_code, answer.json["status"]) == (200, "fulfilled")
    assert len(shop.inventory.consumed) == 1
    cancelled = shop.client.post(f"/orders/{order_id}/cancel")
    assert (cancelled.status_code, cancelled.json["type"]) == (
        409,
        "urn:problem-type:not-cancellable",
    )


def test_fulfilling_what_is_not_confirmed_is_409(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.client.post(f"/orders/{order_id}/cancel")
    answer = shop.fulfil(order_id)
    assert (answer.status_code, answer.json["type"]) == (409, "urn:problem-type:not-fulfillable")
    assert not shop.inventory.consumed


@pytest.mark.parametrize("token", [None, ORDER, "nobody-gave-this-out"])
def test_fulfilling_is_the_operators(shop: Shop, token: str | None) -> None:
    """No other token is known here, so any other is 401, never 403."""
    order_id = shop.place().json["order_id"]
    answer = shop.fulfil(order_id, token)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert shop.client.get(f"/orders/{order_id}").json["status"] == "confirmed"


def test_fulfilling_while_inventory_is_away_is_202_and_ends_when_repeated(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.inventory.away.append(None)
    answer = shop.fulfil(order_id)
    assert (answer.status_code, answer.json["status"]) == (202, "fulfilling")
    answer = shop.fulfil(order_id)
    assert (answer.status_code, answer.json["status"]) == (200, "fulfilled")


def test_fulfilling_what_is_not_there_is_404(shop: Shop) -> None:
    for order_id in ("ORD" + "0" * 26, "ORD1"):
        answer = shop.fulfil(order_id)
        assert (answer.status_code, answer.json["type"]) == (404, "urn:problem-type:unknown-order")


@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async; x=1"])
def test_an_order_is_rather_pending_than_refused_where_that_is_preferred(
    shop: Shop, prefer: str
) -> None:
    shop.inventory.away.append(None)
    answer = shop.place("key", prefer)
    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    assert answer.headers["Location"] == f"/orders/{answer.json['order_id']}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.json["items"] == [{"product_id": "P001", "quantity": 2}]
    assert "total_price" not in answer.json
    again = shop.place("key", prefer)
    assert (again.status_code, again.json) == (202, answer.json)
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("prefer", [None, "respond-asynchronously", "return=minimal"])
def test_no_order_is_pending_where_nobody_prefers_that(shop: Shop, prefer: str | None) -> None:
    shop.inventory.away.append(False)
    assert shop.place(prefer=prefer).status_code == 503


def test_a_preference_changes_nothing_while_inventory_is_there(shop: Shop) -> None:
    answer = shop.place(prefer="respond-async")
    assert (answer.status_code, answer.json["status"]) == (201, "confirmed")
    assert "Preference-Applied" not in answer.headers


def test_an_order_at_the_price_that_was_shown(shop: Shop) -> None:
    answer = shop.place(expected_total=1999.98)
    assert (answer.status_code, answer.json["total_price"]) == (201, 1999.98)


def test_an_order_at_another_price_is_409_with_the_price_of_now(shop: Shop) -> None:
    answer = shop.place("key", expected_total=1999.97)
    assert (answer.status_code, answer.json["type"]) == (409, "urn:problem-type:price-changed")
    assert '"total_price":1999.98' in answer.text
    assert answer.json["currency"] == "USD"
    assert shop.inventory.available["P001"] == 50
    rejected = shop.client.get(f"/orders/{answer.json['order_id']}")
    assert rejected.json["rejection"] == {
        "type": "urn:problem-type:price-changed",
        "detail": answer.json["detail"],
        "total_price": 1999.98,
        "currency": "USD",
    }
    assert '"total_price":1999.98' in rejected.text


@pytest.mark.parametrize("total", [1999.985, -1, 10**17])
def test_a_total_that_cannot_be_is_422(shop: Shop, total: float) -> None:
    answer = shop.place(expected_total=total)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/expected_total")
    assert not shop.inventory.reservations


def test_a_rejected_order_says_why_as_the_refusal_did(shop: Shop) -> None:
    refused = shop.place("key", quantity=51)
    rejection = shop.client.get(f"/orders/{refused.json['order_id']}").json["rejection"]
    assert rejection == {name: refused.json[name] for name in ("type", "detail", "lines")}
