"""order's contract over HTTP: statuses, headers, bodies."""

from typing import Any

import pytest
from support.apps import order_app
from support.fakes import FakeInventory, MemoryOrders


class Shop:
    def __init__(self) -> None:
        self.store = MemoryOrders()
        self.inventory = FakeInventory(P001=50, P002=3)
        self.client: Any = order_app(self.store, self.inventory).test_client()

    def place(self, key: str | None = None, **body: Any) -> Any:
        wanted = {"customer_id": "C123", "product_id": "P001", "quantity": 2} | body
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.client.post("/orders", json=wanted, headers=headers)


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
