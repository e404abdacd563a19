"""inventory's HTTP interface of the catalogue: patches, conditions, filters, and limits."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
from support.in_process.apps import ORDER, inventory_app, signed
from support.stores.builders import product, put_product, soon, stocked
from support.stores.fakes import MemoryStock

from functions_common.firestore.errors import StoreUnavailableError
from functions_common.http.etags import MAX_CONDITION
from functions_common.http.paging import encode_cursor
from inventory_function.catalogue import PatchProduct
from inventory_function.domain import (
    ChangeSupersededError,
    Precondition,
    PreconditionFailedError,
    Product,
    crossed_low_stock,
)
from inventory_function.transactions import Transactions

OPERATOR = signed("/products")
LAPTOP = {"name": "Laptop", "price": 999.99}
OTHER_TAG = '"AAAAAAAAAAAAAAAA.0123456789abcdef"'


@pytest.fixture
def store() -> MemoryStock:
    return stocked(P001=50, P002=0)


@pytest.fixture
def client(store: MemoryStock) -> Any:
    return inventory_app(store).test_client()


def patch(client: Any, body: object, product_id: str = "P001", **headers: str) -> Any:
    sent = OPERATOR | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(f"/products/{product_id}", json=body, headers=sent)


def put(client: Any, product_id: str, body: object = LAPTOP, **headers: str) -> Any:
    sent = OPERATOR | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(f"/products/{product_id}", json=body, headers=sent)


def etag(client: Any, product_id: str = "P001") -> str:
    return str(client.get(f"/products/{product_id}").headers["ETag"])


def sell(client: Any, quantity: int = 1, reservation_id: str = "R") -> Any:
    path = f"/reservations/{reservation_id}"
    body = {"items": [{"product_id": "P001", "quantity": quantity}]}
    return client.put(path, json=body, headers=signed(path))


def listed(client: Any, query: str = "", headers: dict[str, str] = OPERATOR) -> list[str]:
    response = client.get(f"/products?{query}", headers=headers)
    assert response.status_code == 200, response.text
    return [each["product_id"] for each in response.json["products"]]


# PATCH


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"name": "Laptop 2"}, {"name": "Laptop 2"}),
        ({"price": 12.5}, {"price": 12.5}),
        ({"active": False}, {"active": False}),
        ({"max_per_order": 5}, {"max_per_order": 5}),
        ({"low_stock_threshold": 50}, {"low_stock_threshold": 50, "low_stock": True}),
        ({"low_stock_threshold": 49}, {"low_stock_threshold": 49}),
    ],
)
def test_patch_changes_only_the_given_fields(client: Any, body: object, changed: object) -> None:
    before = client.get("/products/P001").json
    response = patch(client, body)
    assert response.status_code == 200
    before.pop("last_updated")
    after = {name: value for name, value in response.json.items() if name != "last_updated"}
    assert after == before | changed


def test_patch_with_null_removes_a_limit(client: Any) -> None:
    patch(client, {"max_per_order": 5, "low_stock_threshold": 100})
    after = patch(client, {"max_per_order": None, "low_stock_threshold": None}).json
    assert (after["max_per_order"], after["low_stock_threshold"]) == (None, None)
    assert after["low_stock"] is False


def test_put_without_limits_keeps_them(client: Any) -> None:
    patch(client, {"max_per_order": 5, "low_stock_threshold": 10})
    after = put(client, "P001", {"name": "Laptop 2", "price": 1}).json
    assert (after["max_per_order"], after["low_stock_threshold"]) == (5, 10)


def test_patch_of_an_unknown_product_is_404_even_with_a_condition(client: Any) -> None:
    for headers in ({}, {"If_Match": "*"}, {"If_Match": OTHER_TAG}):
        response = patch(client, {"price": 1}, "P999", **headers)
        assert (response.status_code, response.json["product_ids"]) == (404, ["P999"])


def test_new_price_has_the_currency_of_the_shop_and_a_new_name_keeps_the_other_one() -> None:
    store = MemoryStock()
    found = product("P001", currency="EUR")
    store.documents[found.key] = (found, store.clock.next())
    client = inventory_app(store).test_client()
    assert patch(client, {"name": "Lamp"}).json["currency"] == "EUR"
    after = patch(client, {"price": 1}).json
    assert (after["currency"], after["active"]) == ("USD", True)


# Conditions


def test_etag_changes_with_the_stock(client: Any) -> None:
    before = etag(client)
    assert etag(client) == before
    sell(client)
    assert etag(client) != before


def test_unchanged_product_is_304_without_a_body(client: Any) -> None:
    tag = etag(client)
    for copies in (tag, f"W/{tag}", f"{OTHER_TAG}, {tag}", "*"):
        response = client.get("/products/P001", headers={"If-None-Match": copies})
        assert (response.status_code, response.data) == (304, b"")
        assert (response.headers["ETag"], response.headers["Cache-Control"]) == (tag, "no-cache")


def test_product_is_sent_again_after_a_sale(client: Any) -> None:
    tag = etag(client)
    sell(client)
    response = client.get("/products/P001", headers={"If-None-Match": tag})
    assert (response.status_code, response.json["available_quantity"]) == (200, 49)


@pytest.mark.parametrize("change", [put, patch])
def test_second_clerk_gets_412_and_changes_nothing(client: Any, change: Any) -> None:
    tag = etag(client)
    assert patch(client, {"name": "Laptop 2"}, If_Match=tag).status_code == 200
    arguments = ("P001", {"name": "Laptop", "price": 1}) if change is put else ({"price": 1},)
    response = change(client, *arguments, If_Match=tag)
    assert (response.status_code, response.json["type"]) == (
        412,
        "urn:problem-type:precondition-failed",
    )
    after = client.get("/products/P001").json
    assert (after["name"], after["price"]) == ("Laptop 2", 999.99)


def test_clerk_can_change_a_product_that_sells(client: Any) -> None:
    tag = etag(client)
    sell(client)
    response = patch(client, {"price": 1}, If_Match=tag)
    assert (response.status_code, response.json["available_quantity"]) == (200, 49)


def test_etag_of_a_response_to_a_change_is_that_of_the_next_read(client: Any) -> None:
    changes = (partial(put, client, "P001"), partial(put, client, "P003"))
    for change in (*changes, partial(patch, client, {"price": 2})):
        response = change()
        product_id = response.json["product_id"]
        assert response.headers["ETag"] == etag(client, product_id)


def test_tag_of_an_earlier_state_does_not_match_after_a_change_back(client: Any) -> None:
    tag = etag(client)
    patch(client, {"price": 1})
    patch(client, {"price": 999.99})
    assert patch(client, {"name": "Lamp"}, If_Match=tag).status_code == 412


def test_change_that_changes_nothing_keeps_the_tag(client: Any) -> None:
    tag = etag(client)
    assert patch(client, {"price": 999.99}).headers["ETag"] == tag


@pytest.mark.parametrize(
    ("product_id", "headers", "status"),
    [
        ("P003", {"If_None_Match": "*"}, 201),
        ("P001", {"If_None_Match": "*"}, 412),
        ("P003", {"If_Match": "*"}, 412),
        ("P001", {"If_Match": "*"}, 200),
        ("P003", {"If_Match": OTHER_TAG}, 412),
        ("P001", {"If_Match": OTHER_TAG}, 412),
        ("P001", {"If_None_Match": OTHER_TAG}, 200),
        ("P001", {"If_Match": '"*"'}, 412),
        ("P001", {"If_Match": '"*.1"'}, 412),
        ("P001", {"If_None_Match": '"*.1"'}, 200),
        ("P001", {"If_Match": "*", "If_None_Match": "*"}, 412),
    ],
)
def test_put_is_made_only_if_its_condition_holds(
    client: Any, product_id: str, headers: dict[str, str], status: int
) -> None:
    assert put(client, product_id, **headers).status_code == status


def test_weak_tag_never_matches_in_if_match(client: Any) -> None:
    assert patch(client, {"price": 1}, If_Match=f"W/{etag(client)}").status_code == 412


def test_one_of_several_tags_is_enough(client: Any) -> None:
    tags = f"{OTHER_TAG} ,\t{etag(client)}"
    assert patch(client, {"price": 1}, If_Match=tags).status_code == 200


@pytest.mark.parametrize(
    "value", ["", "x", '"a', "*, *", '"a",', '"a" "b"', "W/*", f'"{"a" * MAX_CONDITION}"', '"\x7f"']
)
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_malformed_condition_is_422_and_named(client: Any, name: str, value: str) -> None:
    headers = OPERATOR | {name: value}
    responses = [
        client.patch("/products/P001", json={"price": 1}, headers=headers),
        client.put("/products/P001", json=LAPTOP, headers=headers),
    ]
    if name == "If-None-Match":
        responses.append(client.get("/products/P001", headers=headers))
    for response in responses:
        assert (response.status_code, response.json["errors"][0]["header"]) == (422, name)


def test_retried_commit_recognises_its_own_change() -> None:
    """The response to the first commit was lost, so the transaction decides again."""
    store = stocked(P001=1)
    found = store.documents[product("P001").key][0]
    assert isinstance(found, Product)
    condition = Precondition(match=frozenset((found.catalogue_tag,)))
    change = PatchProduct("P001", {"price": 5}, condition, "mine")
    store.faults.coming.append("lost")
    (outcome,) = Transactions(store).execute([change], soon())
    assert outcome.error is None


@pytest.mark.parametrize(
    ("unknown", "error"), [(True, ChangeSupersededError), (False, PreconditionFailedError)]
)
def test_change_is_not_reported_as_absent_when_it_may_have_been_superseded(
    *, unknown: bool, error: type[Exception]
) -> None:
    store = stocked(P001=1)
    condition = Precondition(match=frozenset(("an older tag",)))
    change = PatchProduct("P001", {"price": 5}, condition, "mine")
    transactions = Transactions(store)
    other = PatchProduct("P001", {"price": 6}, condition, "another's")
    outcomes = transactions.execute([change, other], soon(), [change] if unknown else [])
    assert [type(each.error) for each in outcomes] == [error, PreconditionFailedError]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_change_that_was_made_is_named_when_the_product_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    store = stocked(P001=1)
    client: Any = inventory_app(store).test_client()

    def fail(*_: object) -> None:
        raise StoreUnavailableError("no connection")

    with monkeypatch.context() as patched:
        patched.setattr(store, "get", fail)
        response = client.open(
            "/products/P001", method=method.upper(), json=LAPTOP, headers=OPERATOR
        )
    assert (response.status_code, response.json["type"]) == (
        503,
        "urn:problem-type:temporarily-unavailable",
    )
    assert "P001 was changed" in response.json["detail"]
    assert client.get("/products/P001").json["price"] == LAPTOP["price"]


# Limits


def test_reservation_beyond_the_limit_of_an_order_is_409_with_the_limit(client: Any) -> None:
    patch(client, {"max_per_order": 2})
    response = sell(client, 3)
    assert (response.status_code, response.json["type"]) == (
        409,
        "urn:problem-type:max-per-order-exceeded",
    )
    assert response.json["limits"] == [{"product_id": "P001", "requested": 3, "max_per_order": 2}]
    assert sell(client, 2).status_code == 201


def test_limit_does_not_change_a_reservation_that_exists(client: Any) -> None:
    assert sell(client, 5).status_code == 201
    patch(client, {"max_per_order": 2})
    assert sell(client, 5).status_code == 200


@pytest.mark.parametrize(
    ("before", "after", "crossed"),
    [(11, 10, True), (11, 11, False), (10, 9, False), (9, 11, False)],
)
def test_stock_crosses_its_threshold_once(before: int, after: int, *, crossed: bool) -> None:
    there, here = (product(available=units, low_stock_threshold=10) for units in (before, after))
    assert crossed_low_stock(there, here) is crossed


def test_low_stock_is_logged_once_for_each_crossing(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    patch(client, {"low_stock_threshold": 48})
    for number in range(4):
        sell(client, 1, f"R{number}")
    found = [each for each in caplog.records if each.getMessage() == "Low stock"]
    assert len(found) == 1


# Lists


def test_public_list_has_only_products_on_sale(client: Any) -> None:
    patch(client, {"active": False})
    assert listed(client) == ["P001", "P002"]
    for headers in ({}, signed("/reservations"), {"Authorization": "Bearer unknown-to-everyone"}):
        assert listed(client, headers=headers) == ["P002"]
        assert listed(client, "ids=P001,P002", headers=headers) == ["P002"]
    assert client.get("/products/P001").json["active"] is False


@pytest.fixture
def filled() -> Any:
    store = MemoryStock()
    for found in (
        product("P1", available=5, name="Lamp"),
        product("P2", available=1, name="Laptop"),
        product("P3", available=0, name="lap"),
        product("P4", available=9, name="Mouse", active=False),
        product("P5", available=9, name="Lap", currency="EUR"),
        product("P0", available=9, name="Lap", currency="CHF"),
    ):
        store.documents[found.key] = (found, store.clock.next())
    return inventory_app(store).test_client()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["P0", "P1", "P2", "P3", "P4", "P5"]),
        ("active=true", ["P1", "P2", "P3"]),
        ("active=false", ["P4", "P0", "P5"]),
        ("ids=P5,P1,P9,P1", ["P1", "P5"]),
        ("ids=P5,P1&active=false", ["P5"]),
        ("ids=P1,P2,P3&max_available=1&name_prefix=L", ["P2"]),
        ("name_prefix=La", ["P1", "P0", "P5", "P2"]),
        ("name_prefix=La&active=true", ["P1", "P2"]),
        ("name_prefix=%F0%9F%98%80", []),
        ("max_available=1", ["P3", "P2"]),
        ("max_available=5&active=true", ["P3", "P2", "P1"]),
        ("max_available=0", ["P3"]),
    ],
)
def test_list_has_the_products_that_the_filter_accepts_in_pages_of_each_size(
    filled: Any, query: str, found: list[str]
) -> None:
    expected = found if "name_prefix" not in query else listed(filled, query)
    assert sorted(expected) == sorted(found)
    for limit in (1, 2, 200):
        pages: list[str] = []
        cursor = ""
        while True:
            response = filled.get(f"/products?limit={limit}&{query}{cursor}", headers=OPERATOR)
            pages += [each["product_id"] for each in response.json["products"]]
            if response.json["next_cursor"] is None:
                break
            cursor = f"&cursor={response.json['next_cursor']}"
        assert pages == expected


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("active=yes", {"active"}),
        ("active=", {"active"}),
        ("ids=", {"ids"}),
        ("ids=a,,b", {"ids"}),
        ("ids=__x__", {"ids"}),
        ("ids=" + ",".join(map(str, range(101))), {"ids"}),
        ("name_prefix=", {"name_prefix"}),
        ("name_prefix=" + "x" * 201, {"name_prefix"}),
        ("max_available=-1", {"max_available"}),
        ("max_available=1.5", {"max_available"}),
        ("max_available=1000001", {"max_available"}),
        ("name_prefix=a&max_available=1", {"name_prefix", "max_available"}),
        ("active=false&max_available=1", {"active", "max_available"}),
        ("active=false&name_prefix=a", {"active", "name_prefix"}),
        ("cursor=WyJhIiwiUDEiXQ", {"cursor"}),
        *(
            (f"{listed}cursor={encode_cursor(parts)}", {"cursor"})
            for listed in ("", "name_prefix=a&", "max_available=1&", "active=false&", "ids=P1&")
            for parts in ([], ["1", "P1", "P2"], ["", ""])
        ),
        ("max_available=1&cursor=WyJQMSJd", {"cursor"}),
        ("max_available=1&cursor=WyJhIiwiUDEiXQ", {"cursor"}),
        ("name_prefix=a&cursor=WyJcdWQ4MDAiLCJQMSJd", {"cursor"}),
        (f"max_available=1&cursor={encode_cursor(['9' * 40, 'P1'])}", {"cursor"}),
        (f"max_available=1&cursor={encode_cursor(['-1', 'P1'])}", {"cursor"}),
        (f"name_prefix=a&cursor={encode_cursor(['a', 'b', 'P1'])}", {"cursor"}),
        (f"ids=P1&cursor={encode_cursor(['a', 'P1'])}", {"cursor"}),
    ],
)
def test_wrong_filter_is_422_and_named(client: Any, query: str, named: set[str]) -> None:
    response = client.get(f"/products?{query}", headers=OPERATOR)
    assert response.status_code == 422
    assert {each["parameter"] for each in response.json["errors"]} == named
    details = response.json["detail"].split("; ")
    assert len(details) == len(set(details)), "no sentence is repeated"


def test_products_that_are_not_on_sale_are_only_for_the_operator(client: Any) -> None:
    assert client.get("/products?active=false").status_code == 401
    other = {"Authorization": f"Bearer {ORDER}"}
    assert client.get("/products?active=false", headers=other).status_code == 403


# The start page


@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "text/html; charset=utf-8"])
def test_browser_is_sent_to_the_documentation(client: Any, accept: str) -> None:
    response = client.get("/?utm_source=x", headers={"Accept": accept})
    assert (response.status_code, response.headers["Location"]) == (302, "/docs")
    assert response.headers["Vary"] == "Accept"
    for headers in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
        assert client.get("/", headers=headers).status_code == 404


def test_put_product_operation_creates_a_product_with_its_nonce() -> None:
    store = MemoryStock()
    operation = put_product("P9")
    Transactions(store).execute([operation], soon())
    found = store.documents[product("P9").key][0]
    assert isinstance(found, Product)
    assert found.catalogue_nonce == operation.nonce
