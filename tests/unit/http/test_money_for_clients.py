"""Amounts in the API: their bounds in each currency, and products of another currency."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from support.in_process.apps import inventory_app, order_app, signed
from support.in_process.memory_shop import WholeShop
from support.stores.builders import product
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryStock

from functions_common.money import to_wire
from inventory_function.domain import MAX_PRICE
from order_function import schemas as wire
from order_function.domain import Attempt, Line, Order, PricedLine, Rejection
from order_function.order_documents import to_document

CURRENCIES = ("USD", "JPY", "KWD", "CLF")
INT64 = 2**63


@pytest.fixture(params=CURRENCIES)
def currency(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def maximum(client: Any, schema: str, member: str) -> int:
    """The maximum in the API description of this deployment."""
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    return int(schemas[schema]["properties"][member]["maximum"])


def beyond(most: int, currency: str) -> Decimal:
    """The next larger amount in the currency."""
    return most + to_wire(1, currency)


def sent(body: dict[str, Any], **amount: Decimal | int) -> dict[str, Any]:
    """The body with exact digits of an amount."""
    ((name, value),) = amount.items()
    text = json.dumps(body | {name: "AMOUNT"}).replace('"AMOUNT"', str(value))
    return {"data": text, "content_type": "application/json"}


def test_described_maximum_price_is_enforced(currency: str) -> None:
    client: Any = inventory_app(MemoryStock(), currency).test_client()
    most = maximum(client, "ProductRequest", "price")
    path, headers = "/products/P001", signed("/products/P001")
    fits = client.put(path, headers=headers, **sent({"name": "Yacht"}, price=most))
    assert (fits.status_code, fits.json["price"]) == (201, most)
    more = client.put(
        path, headers=headers, **sent({"name": "Yacht"}, price=beyond(most, currency))
    )
    assert (more.status_code, more.json["errors"][0]["pointer"]) == (422, "#/price")
    assert f"{most:,}" in more.json["errors"][0]["detail"]


def test_described_maximum_expected_total_is_enforced(currency: str) -> None:
    app = order_app(MemoryOrders(), FakeInventory(P001=5), currency=currency)
    client: Any = app.test_client()
    most = maximum(client, "OrderRequest", "expected_total")
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    fits = client.post("/orders", **sent(body, expected_total=most))
    assert fits.json["type"] == "urn:problem-type:price-changed"
    more = client.post("/orders", **sent(body, expected_total=beyond(most, currency)))
    assert (more.status_code, more.json["errors"][0]["pointer"]) == (422, "#/expected_total")
    assert f"{most:,}" in more.json["errors"][0]["detail"]


def test_no_other_amount_in_a_request_has_a_described_maximum(currency: str) -> None:
    """The two tests above cover all maximums: one function checks the prices of inventory."""
    found = set()
    for app in (
        inventory_app(MemoryStock(), currency),
        order_app(MemoryOrders(), FakeInventory(), currency=currency),
    ):
        text = app.test_client().get("/openapi.json").text
        assert "minor" not in text
        schemas = json.loads(text)["components"]["schemas"]
        for schema, described in schemas.items():
            for member, each in described.get("properties", {}).items():
                if each.get("type") == "number" and "maximum" in each:
                    found.add((schema, member))
    assert found == {
        ("ProductRequest", "price"),
        ("ProductPatchRequest", "price"),
        ("ImportedProductRequest", "price"),
        ("OrderRequest", "expected_total"),
    }


def test_order_is_rejected_when_its_total_exceeds_64_bits() -> None:
    """Firestore's integers cannot hold its total, but the rejection contains it."""
    lines = [Line(f"P{n:03}", 10**6) for n in range(100)]
    items = tuple(PricedLine(line.product_id, line.quantity, MAX_PRICE, "Yacht") for line in lines)
    total = sum(item.quantity * item.unit_price for item in items)
    assert total > INT64
    attempt = Attempt.begin("C1", lines, "key", 1)
    order = Order.new_reserved(attempt, items, "USD", datetime.now(UTC))
    stored = to_document(order)["rejection"]["extensions"]
    assert not [value for value in stored.values() if isinstance(value, int) and value >= INT64]
    assert order.rejection is not None
    shown = wire.extensions_of(Rejection("price-changed", "", stored))
    assert shown["total_price"] == Decimal(total) / 100


# A product of another currency: the deployment's currency has changed, or the document is old.


@pytest.fixture
def shop() -> Any:
    store = MemoryStock()
    for name, found in {
        "P001": product("P001", available=5),
        "P002": product("P002", available=5, currency="EUR"),
    }.items():
        store.documents["products", name] = (found, store.clock.next())
    return inventory_app(store).test_client()


def test_product_of_another_currency_is_inactive(shop: Any) -> None:
    headers = signed("/products")
    found = shop.get("/products", headers=headers).json["products"]
    listed = {each["product_id"]: each for each in found}
    assert (listed["P001"]["active"], listed["P002"]["active"]) == (True, False)
    assert shop.get("/products/P002").json == listed["P002"]
    assert listed["P002"]["currency"] == "EUR"


def test_inactive_product_cannot_be_reserved(shop: Any) -> None:
    for name in ("P001", "P002"):
        active = shop.get(f"/products/{name}").json["active"]
        assert shop.get(f"/products/{name}/availability").json["available"] == active
        items = {"items": [{"product_id": name, "quantity": 1}]}
        path = f"/reservations/R-{name}"
        reserved = shop.put(path, json=items, headers=signed(path))
        assert reserved.status_code == (201 if active else 404)


def test_product_is_active_again_after_a_price_in_the_currency_of_the_shop(shop: Any) -> None:
    path, body = "/products/P002", {"name": "Lamp", "price": 10}
    answer = shop.put(path, json=body, headers=signed(path))
    assert (answer.json["active"], answer.json["currency"]) == (True, "USD")
    assert shop.get("/products/P002/availability").json["available"] is True


# The price of a pending order is the price at its decision (docs/api.md).


@pytest.mark.parametrize(("expected", "status"), [(None, "confirmed"), (19.98, "rejected")])
def test_pending_order_has_the_price_at_its_decision(expected: float | None, status: str) -> None:
    shop = WholeShop(P001=5)
    shop.stock_price(999)
    client: Any = order_app(shop.store, shop.inventory, deadline_seconds=0.05).test_client()
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 2}
    if expected is not None:
        body |= {"expected_total": expected}
    shop.inventory.away = True
    pending = client.post("/orders", json=body, headers={"Prefer": "respond-async"})
    assert (pending.status_code, pending.json["status"]) == (202, "pending")
    shop.inventory.away = False
    shop.stock_price(1500)
    shop.sweep_up()
    decided = client.get(pending.headers["Location"]).json
    assert decided["status"] == status
    if expected is None:
        assert decided["total_price"] == 30.0
    else:
        assert decided["rejection"]["total_price"] == 30.0
