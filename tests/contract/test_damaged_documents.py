"""Damaged documents: each is reported, and affects no other document."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud.firestore import DELETE_FIELD, GeoPoint
from support.in_process.apps import signed
from support.in_process.fixture_documents import NO_TIME, Shop, load
from support.stores.builders import soon

from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
from order_function.audit import __main__ as audit
from order_function.audit.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = {"product_id": "P001", "quantity": 1, "unit_price": 1, "name": "Laptop"}


@pytest.fixture
def shop(emulator: str) -> Iterator[Shop]:
    settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    connection = FirestoreConnection(settings)
    load(connection, "previous")
    yield Shop(connection)
    connection.close()


def damage(shop: Shop, path: str, fields: dict[str, Any]) -> None:
    shop.connection.client.document(path).update(fields)


ORDERS: dict[str, dict[str, Any]] = {
    "no status": {"status": DELETE_FIELD},
    "status is a number": {"status": 7},
    "no lines": {"lines": DELETE_FIELD},
    "lines are null": {"lines": None},
    "lines are text": {"lines": "P001"},
    "a line is null": {"lines": [None]},
    "a line lacks its quantity": {"lines": [{"product_id": "P001"}]},
    "a quantity is text": {"lines": [{"product_id": "P001", "quantity": "1"}]},
    "a quantity is a fraction": {"lines": [{"product_id": "P001", "quantity": 1.5}]},
    "a quantity is true": {"lines": [{"product_id": "P001", "quantity": True}]},
    "a price is text": {"items": [{**LINE, "unit_price": "1"}]},
    "items are a map": {"items": {"0": LINE}},
    "the customer is a list": {"fingerprint": ["x"]},
    "the fingerprint has a line break": {"fingerprint": "a\r\nb"},
    "the fingerprint is in another script": {"fingerprint": "日本"},
    "the fingerprint is a path": {"fingerprint": "a/b"},
    "the number of sent events is negative": {"events_sent": -1},
    "the attempt is a place": {"attempt": GeoPoint(1, 2)},
    "the currency is a number": {"currency": 840},
    "the rejection is text": {"rejection": "no"},
    "the rejection lacks its kind": {"rejection": {"detail": "no"}},
    "a short line is a place": {
        "rejection": {"kind": "x", "detail": "no", "extensions": {"lines": [GeoPoint(1, 2)]}}
    },
    "a limit is a place": {
        "rejection": {
            "kind": "x",
            "detail": "no",
            "extensions": {
                "limits": [{"product_id": "P", "requested": 2, "max_per_order": GeoPoint(1, 2)}]
            },
        }
    },
    "an unknown product is a place": {
        "rejection": {"kind": "x", "detail": "no", "extensions": {"product_ids": [GeoPoint(1, 2)]}}
    },
    "the new total lacks its currency": {
        "rejection": {"kind": "price-changed", "detail": "no", "extensions": {"total_price": 1}}
    },
    "the new total is text": {
        "rejection": {
            "kind": "price-changed",
            "detail": "no",
            "extensions": {"total_price": "x", "currency": "USD"},
        }
    },
}


@pytest.mark.parametrize("fields", ORDERS.values(), ids=ORDERS)
def test_damaged_order_is_left_out_of_lists_and_reported(
    shop: Shop, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    whole = {each["order_id"] for each in shop.list_orders()}
    (order_id,) = shop.ids("confirmed")
    damage(shop, f"orders/{order_id}", fields)
    with caplog.at_level(logging.ERROR):
        assert {each["order_id"] for each in shop.list_orders()} == whole - {order_id}
    logged = [getattr(each, "fields", {}) for each in caplog.records]
    assert any(each.get("document") == f"orders/{order_id}" for each in logged)
    shown = shop.order_http.get(f"/orders/{order_id}")
    assert shown.status_code == 500
    assert shown.json is not None
    assert shown.json["type"] == "urn:problem-type:damaged-document"
    assert f"orders/{order_id}" in shown.json["detail"]
    report = shop.sweep()
    assert (report.completed, report.cancelled, report.fulfilled) == (1, 1, 1)
    found = audit.findings(Snapshot(shop.connection), NO_TIME)
    assert [(each.invariant, each.subject) for each in found] == [
        ("document-is-whole", f"orders/{order_id}")
    ]


def test_next_page_is_reached_when_every_order_of_a_page_is_damaged(shop: Shop) -> None:
    """Pages of three: damaged documents must not make a page short or empty."""
    found = [each["order_id"] for each in shop.list_orders()]
    for order_id in found[:7]:
        damage(shop, f"orders/{order_id}", {"lines": None})
    assert [each["order_id"] for each in shop.list_orders()] == found[7:]


@pytest.mark.parametrize(
    "value",
    [7, 1.5, b"\xff", GeoPoint(1, 2), ["a"], {"a": 1}, "x", True, None],
    ids=lambda value: type(value).__name__,
)
def test_list_continues_after_a_page_that_ends_with_a_damaged_time(shop: Shop, value: Any) -> None:
    """Every type that a field can have is a position in a list."""
    found = [each["order_id"] for each in shop.list_orders()]
    damaged = found[:4]
    for order_id in damaged:
        damage(shop, f"orders/{order_id}", {"created_at": value})
    assert [each["order_id"] for each in shop.list_orders()] == found[4:]


def test_list_continues_after_a_page_that_ends_with_a_reference(shop: Shop) -> None:
    found = [each["order_id"] for each in shop.list_orders()]
    for order_id in found[:4]:
        path = f"orders/{order_id}"
        damage(shop, path, {"created_at": shop.connection.client.document(path)})
    assert [each["order_id"] for each in shop.list_orders()] == found[4:]


PRODUCTS: dict[str, dict[str, Any]] = {
    "no price": {"price": DELETE_FIELD},
    "the price is text": {"price": "9.99"},
    "available is null": {"available": None},
    "available is a fraction": {"available": 1.5},
    "the name is a list": {"name": ["Laptop"]},
    "active is a number": {"active": 1},
    "the name is long": {"name": "x" * 201},
    "the price is negative": {"price": -1},
    "the price is above every limit": {"price": 10**12 + 1},
    "the currency is empty": {"currency": ""},
    "the currency ends with a line break": {"currency": "USD\n"},
    "available is negative": {"available": -1},
    "reserved is negative": {"reserved": -1},
    "shipped is negative": {"shipped": -1},
    "no order may have the product": {"max_per_order": 0},
    "the threshold is negative": {"low_stock_threshold": -1},
}


@pytest.mark.parametrize("fields", PRODUCTS.values(), ids=PRODUCTS)
def test_damaged_product_is_left_out_of_the_catalogue_and_others_are_sold(
    shop: Shop, fields: dict[str, Any]
) -> None:
    damage(shop, "products/P001", fields)
    products = shop.inventory("/products?limit=1").json["products"]
    assert [each["product_id"] for each in products] == ["P002"]
    assert shop.list_products() == ["P002"]
    assert shop.inventory("/products/P001").status_code == 500
    bodies = [{"customer_id": "C9", "product_id": name, "quantity": 1} for name in ("P001", "P002")]
    placed = [shop.order_http.post("/orders", json=body).status_code for body in bodies]
    assert placed == [503, 201]
    found = audit.findings(Snapshot(shop.connection), NO_TIME)
    reported = {each.invariant for each in found if each.subject == "products/P001"}
    assert reported & {"document-is-whole", "stock-not-negative"}


def test_product_of_an_invalid_id_is_left_out_of_the_catalogue(shop: Shop) -> None:
    product = shop.stored("products/P002")
    shop.connection.client.document("products/a product").set(product)
    assert shop.list_products() == ["P001", "P002"]


RESERVATIONS: dict[str, dict[str, Any]] = {
    "no status": {"status": DELETE_FIELD},
    "status is null": {"status": None},
    "lines are null": {"lines": None},
    "a quantity is negative": {"lines": [{**LINE, "quantity": -1}]},
    "a quantity is text": {"lines": [{**LINE, "quantity": "1"}]},
    "a product is a path": {"lines": [{**LINE, "product_id": "a/b"}]},
    "a product is reserved by Firestore": {"lines": [{**LINE, "product_id": "__x__"}]},
    "a product is nothing": {"lines": [{**LINE, "product_id": ""}]},
    "a product is missing": {"lines": [{**LINE, "product_id": "P999"}]},
    "no currency": {"currency": DELETE_FIELD},
}


@pytest.mark.parametrize("fields", RESERVATIONS.values(), ids=RESERVATIONS)
@pytest.mark.parametrize("verb", ["release", "consume"])
def test_damaged_reservation_is_left_as_it_is_and_the_others_are_settled(
    shop: Shop, verb: str, fields: dict[str, Any]
) -> None:
    for name in ("R1", "POISON", "R2"):
        path, body = f"/reservations/{name}", {"items": [{"product_id": "P002", "quantity": 1}]}
        held = shop.inventory_http.put(path, json=body, headers=signed(path))
        assert held.status_code == 201
    damage(shop, "reservations/POISON", fields)
    before = shop.stored("reservations/POISON")
    path = f"/reservations:{verb}"
    response = shop.inventory_http.post(
        path, json={"ids": ["R1", "POISON", "R2"]}, headers=signed(path)
    )
    assert response.status_code == 200
    assert response.json is not None
    assert [each["reservation_id"] for each in response.json["reservations"]] == ["R1", "R2"]
    assert [each["reservation_id"] for each in response.json["problems"]] == ["POISON"]
    assert shop.stored("reservations/POISON") == before


@pytest.mark.parametrize("fields", RESERVATIONS.values(), ids=RESERVATIONS)
def test_ledger_leaves_out_a_damaged_reservation(shop: Shop, fields: dict[str, Any]) -> None:
    whole = shop.inventory("/products/P001/ledger").json["entries"]
    (order_id,) = shop.ids("confirmed")
    found = shop.orders.get(order_id, soon())
    assert found is not None
    damage(shop, f"reservations/{found[0].reservation_id}", fields)
    response = shop.inventory("/products/P001/ledger")
    assert response.status_code == 200
    assert len(response.json["entries"]) in (len(whole), len(whole) - 1)


@pytest.mark.parametrize("fields", RESERVATIONS.values(), ids=RESERVATIONS)
def test_audit_reports_a_damaged_reservation_and_ends(shop: Shop, fields: dict[str, Any]) -> None:
    shop.sweep()
    (order_id, *_) = shop.ids("confirmed")
    found = shop.orders.get(order_id, soon())
    assert found is not None
    damage(shop, f"reservations/{found[0].reservation_id}", fields)
    subjects = {each.subject for each in audit.findings(Snapshot(shop.connection), NO_TIME)}
    about = {f"reservations/{found[0].reservation_id}", f"orders/{order_id}"}
    assert subjects & about, "an invariant is broken, or the document is not whole"


@pytest.mark.parametrize("fields", [{"delta": "5"}, {"delta": None}, {"delta": DELETE_FIELD}])
def test_audit_reports_a_damaged_adjustment_and_concludes_nothing_from_it(
    shop: Shop, fields: dict[str, Any]
) -> None:
    shop.sweep()
    adjustments = shop.connection.client.collection("products/P001/adjustments")
    (path,) = (each.path for each in adjustments.list_documents())
    damage(shop, path, fields)
    found = audit.findings(Snapshot(shop.connection), NO_TIME)
    assert [(each.invariant, each.subject) for each in found] == [("document-is-whole", path)]


def test_audit_names_a_reservation_of_a_missing_product(shop: Shop) -> None:
    shop.connection.client.document("products/P002").delete()
    found = audit.findings(Snapshot(shop.connection), NO_TIME)
    (missing,) = (each for each in found if each.invariant == "product-exists")
    assert "first by reservations/ORD" in missing.detail
