"""inventory's HTTP interface: statuses, headers and bodies."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.in_process.apps import ORDER, inventory_app, signed
from support.stores.builders import stocked
from support.stores.fakes import MemoryStock

from inventory_function.group_commit import GroupCommit, TooManyWaitingError

KEY = {"Idempotency-Key": "delivery-1"}


@pytest.fixture
def store() -> MemoryStock:
    return stocked(P001=50, P002=0)


class SignedClient(FlaskClient):
    """Sends the right token for each path, unless a test sends another."""

    def open(self, path: Any, **options: Any) -> Any:  # type: ignore[override]
        headers = signed(path) | options.pop("headers", {})
        return super().open(path, headers=headers, **options)


def signed_client(app: Flask) -> Any:
    app.test_client_class = SignedClient
    return app.test_client()


@pytest.fixture
def client(store: MemoryStock) -> Any:
    return signed_client(inventory_app(store))


def items(**quantities: int) -> dict[str, list[dict[str, object]]]:
    return {"items": [{"product_id": name, "quantity": n} for name, n in quantities.items()]}


def test_product_is_shown_with_all_its_fields(client: Any) -> None:
    product = client.get("/products/P001").json
    assert product is not None
    assert product.pop("last_updated").endswith("+00:00")
    assert product == {
        "product_id": "P001",
        "name": "Laptop",
        "price": 999.99,
        "currency": "USD",
        "active": True,
        "available_quantity": 50,
        "reserved_quantity": 0,
        "max_per_order": None,
        "low_stock_threshold": None,
        "low_stock": False,
    }


def test_putting_a_product_is_201_then_200(client: Any) -> None:
    created = client.put("/products/P003", json={"name": "Mouse", "price": 24.9})
    assert created.status_code == 201
    changed = client.put("/products/P003", json={"name": "Mouse", "price": 25, "active": False})
    assert changed.status_code == 200
    assert (changed.json["price"], changed.json["active"]) == (25, False)
    assert changed.json["available_quantity"] == 0


def test_retired_product_stays_retired_when_its_price_changes(client: Any) -> None:
    client.put("/products/P001", json={"name": "Laptop", "price": 1, "active": False})
    response = client.put("/products/P001", json={"name": "Laptop", "price": 2})
    assert (response.json["price"], response.json["active"]) == (2, False)


def test_products_are_listed_in_pages(client: Any) -> None:
    first = client.get("/products?limit=1").json
    assert [product["product_id"] for product in first["products"]] == ["P001"]
    second = client.get(f"/products?limit=1&cursor={first['next_cursor']}").json
    assert [product["product_id"] for product in second["products"]] == ["P002"]
    assert second["next_cursor"] is None


def test_adjustment_is_replayed_under_its_key(client: Any) -> None:
    body = {"delta": 5, "reason": "delivery", "reference": "D-17"}
    first = client.post("/products/P001/adjustments", json=body, headers=KEY)
    again = client.post("/products/P001/adjustments", json=body, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert client.get("/products/P001").json["available_quantity"] == 55
    other = client.post("/products/P001/adjustments", json={"delta": 6, "reason": "x"}, headers=KEY)
    assert other.status_code == 422


def test_adjustment_without_a_key_is_400(client: Any) -> None:
    response = client.post("/products/P001/adjustments", json={"delta": 5, "reason": "x"})
    assert response.status_code == 400
    assert response.json["errors"][0]["header"] == "Idempotency-Key"


def test_adjustments_are_listed_newest_first(client: Any) -> None:
    for n in range(3):
        client.post(
            "/products/P001/adjustments",
            json={"delta": n + 1, "reason": "counted"},
            headers={"Idempotency-Key": f"count-{n}"},
        )
    page = client.get("/products/P001/adjustments?limit=2").json
    assert [made["delta"] for made in page["adjustments"]] == [3, 2]
    rest = client.get(f"/products/P001/adjustments?cursor={page['next_cursor']}").json
    assert [made["delta"] for made in rest["adjustments"]] == [1, 50]
    assert rest["next_cursor"] is None


def test_adjustment_below_zero_is_409(client: Any) -> None:
    body = {"delta": -51, "reason": "broken"}
    assert client.post("/products/P001/adjustments", json=body, headers=KEY).status_code == 409


@pytest.mark.parametrize(
    ("product_id", "quantity", "available"),
    [("P001", 50, True), ("P001", 51, False), ("P002", 1, False)],
)
def test_availability_compares_the_quantity_with_the_stock(
    client: Any, product_id: str, quantity: int, *, available: bool
) -> None:
    response = client.get(f"/products/{product_id}/availability?quantity={quantity}").json
    assert (response["requested"], response["available"]) == (quantity, available)


def test_availability_respects_the_limit_of_an_order(client: Any) -> None:
    client.patch("/products/P001", json={"max_per_order": 5})
    found = [
        client.get(f"/products/P001/availability?quantity={quantity}").json["available"]
        for quantity in (5, 6)
    ]
    assert found == [True, False]


def test_retired_product_is_not_available(client: Any) -> None:
    client.put("/products/P001", json={"name": "Laptop", "price": 1, "active": False})
    response = client.get("/products/P001/availability").json
    assert response == {
        "product_id": "P001",
        "requested": 1,
        "available": False,
        "available_quantity": 50,
    }
    assert client.put("/reservations/R", json=items(P001=1)).status_code == 404


def test_reserving_is_201_then_200_with_the_same_body(client: Any) -> None:
    first = client.put("/reservations/R", json=items(P001=2))
    again = client.put("/reservations/R", json=items(P001=2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json == client.get("/reservations/R").json
    assert first.json == {
        "reservation_id": "R",
        "status": "held",
        "currency": "USD",
        "items": [{"product_id": "P001", "quantity": 2, "unit_price": 999.99, "name": "Laptop"}],
    }


def test_reservation_is_rejected_with_a_problem_of_its_own_type(client: Any) -> None:
    short = client.put("/reservations/R", json=items(P001=51, P002=1))
    assert (short.status_code, short.json["type"]) == (409, "urn:problem-type:insufficient-stock")
    assert [line["product_id"] for line in short.json["lines"]] == ["P001", "P002"]
    unknown = client.put("/reservations/R", json=items(P001=1, P999=1))
    assert (unknown.status_code, unknown.json["product_ids"]) == (404, ["P999"])
    client.post("/reservations:release", json={"ids": ["R"]})
    gone = client.put("/reservations/R", json=items(P001=1))
    assert (gone.status_code, gone.json["type"]) == (410, "urn:problem-type:reservation-released")


def test_batch_of_reservations_gets_the_responses_of_single_requests() -> None:
    wanted = {
        "R1": items(P001=2),
        "R2": items(P001=99, P002=1),
        "R3": items(P999=1),
        "R4": items(P002=1),
    }
    alone = signed_client(inventory_app(stocked(P001=5, P002=2)))
    together = signed_client(inventory_app(stocked(P001=5, P002=2)))
    together.post("/reservations:release", json={"ids": ["R5"]})
    alone.post("/reservations:release", json={"ids": ["R5"]})
    wanted |= {"R5": items(P001=1)}
    for status in (201, 200):  # new, and the same again
        body = {"reservations": [{"reservation_id": name} | each for name, each in wanted.items()]}
        answers = together.post("/reservations:reserve", json=body).json["answers"]
        assert [answer["reservation_id"] for answer in answers] == [*wanted]
        assert [answer["status"] for answer in answers] == [status, 409, 404, status, 410]
        for answer, (name, each) in zip(answers, wanted.items(), strict=True):
            single = alone.put(f"/reservations/{name}", json=each)
            assert answer["status"] == single.status_code
            result = answer.get("reservation") or answer["problem"]
            assert _without_trace(result) == _without_trace(single.json)


def _without_trace(body: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in body.items() if name not in ("instance", "trace_id")}


def test_reservation_with_other_lines_is_422(client: Any) -> None:
    client.put("/reservations/R", json=items(P001=2))
    assert client.put("/reservations/R", json=items(P001=3)).status_code == 422


def test_reservations_are_confirmed_consumed_and_released(client: Any) -> None:
    for name in ("R1", "R2"):
        client.put(f"/reservations/{name}", json=items(P001=2))
    seen = []
    for verb in ("confirm", "consume", "release"):
        response = client.post(f"/reservations:{verb}", json={"ids": ["R1"]}).json
        seen += [found["status"] for found in response["reservations"]]
    assert seen == ["confirmed", "consumed", "consumed"]
    client.post("/reservations:release", json={"ids": ["R2"]})
    product = client.get("/products/P001").json
    assert (product["available_quantity"], product["reserved_quantity"]) == (48, 0)


def movement(kind: str = "release", **quantities: int) -> dict[str, object]:
    return {"kind": kind, **items(**quantities)}


@pytest.fixture
def reserved(client: Any) -> Any:
    """A client; three units of P001 are reserved for R."""
    assert client.put("/reservations/R", json=items(P001=3)).status_code == 201
    return client


def test_movement_is_201_then_200_with_the_same_body(reserved: Any) -> None:
    first = reserved.put("/reservations/R/movements/1", json=movement("consume", P001=2))
    again = reserved.put("/reservations/R/movements/1", json=movement("consume", P001=2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json == reserved.get("/reservations/R").json
    assert first.json == {
        "reservation_id": "R",
        "status": "partial",
        "currency": "USD",
        "items": [
            {
                "product_id": "P001",
                "quantity": 3,
                "unit_price": 999.99,
                "name": "Laptop",
                "consumed": 2,
            }
        ],
        "last_movement": 1,
    }
    product = reserved.get("/products/P001").json
    assert (product["available_quantity"], product["reserved_quantity"]) == (47, 1)


def test_movement_merges_items_of_one_product(reserved: Any) -> None:
    twice = {"kind": "release", "items": 2 * items(P001=1)["items"]}
    assert reserved.put("/reservations/R/movements/1", json=twice).status_code == 201
    merged = reserved.put("/reservations/R/movements/1", json=movement(P001=2))
    assert (merged.status_code, merged.json["items"][0]["released"]) == (200, 2)


def test_movement_that_exceeds_the_reservation_is_409_with_the_counts(reserved: Any) -> None:
    reserved.put("/reservations/R/movements/1", json=movement(P001=1))
    response = reserved.put("/reservations/R/movements/2", json=movement(P001=3, P002=1))
    assert response.status_code == 409
    assert response.json["type"] == "urn:problem-type:movement-exceeds-reservation"
    counts = {"quantity": 3, "released": 1, "consumed": 0, "returned": 0}
    assert response.json["excess_lines"] == [
        {"product_id": "P001", "requested": 3, "movable_quantity": 2} | counts,
        {"product_id": "P002", "requested": 1, "movable_quantity": 0} | dict.fromkeys(counts, 0),
    ]


@pytest.mark.parametrize("seq", [1, 4])
def test_movement_out_of_order_is_409_with_the_last_number(reserved: Any, seq: int) -> None:
    for n in (1, 2):
        reserved.put(f"/reservations/R/movements/{n}", json=movement(P001=1))
    response = reserved.put(f"/reservations/R/movements/{seq}", json=movement(P001=1))
    assert response.status_code == 409
    assert response.json["type"] == "urn:problem-type:movement-out-of-order"
    assert response.json["last_movement"] == 2


def test_movement_that_is_not_applied_is_logged_with_its_reason(
    reserved: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reserved.put("/reservations/R/movements/1", json=movement(P001=4))
    (record,) = (each for each in caplog.records if each.message == "Movement not applied")
    fields = record.__dict__["fields"]
    assert (record.levelname, fields["reservation_id"], fields["movement"]) == ("WARNING", "R", 1)
    assert "P001 (3 can move, 4 requested)" in fields["reason"]


def test_movement_with_another_body_is_422(reserved: Any) -> None:
    reserved.put("/reservations/R/movements/1", json=movement(P001=1))
    response = reserved.put("/reservations/R/movements/1", json=movement(P001=2))
    assert response.status_code == 422
    assert response.json["type"] == "urn:problem-type:movement-mismatch"


def test_unknown_reservation_is_404(client: Any) -> None:
    shown = client.get("/reservations/R")
    moved = client.put("/reservations/R/movements/1", json=movement(P001=1))
    for response in (shown, moved):
        assert response.status_code == 404
        assert response.json["type"] == "urn:problem-type:unknown-reservation"
        assert response.json["detail"] == "There is no reservation R"


def test_rest_of_a_partly_shipped_reservation_is_released(reserved: Any) -> None:
    reserved.put("/reservations/R/movements/1", json=movement("consume", P001=1))
    response = reserved.post("/reservations:release", json={"ids": ["R"]}).json
    assert response["reservations"][0]["status"] == "consumed"
    product = reserved.get("/products/P001").json
    assert (product["available_quantity"], product["reserved_quantity"]) == (49, 0)


def test_ledger_adds_up_when_parts_of_a_reservation_have_moved(reserved: Any) -> None:
    for n, (kind, units) in enumerate([("release", 1), ("consume", 2), ("restock", 1)], start=1):
        path = f"/reservations/R/movements/{n}"
        assert reserved.put(path, json=movement(kind, P001=units)).status_code == 201
    entries = [each for each in ledger(reserved, "P001") if each["reference"] == "R"]
    assert [
        (each["kind"], each["available_change"], each["reserved_change"], each["shipped_change"])
        for each in entries
    ] == [
        ("reserved", -3, 3, 0),
        ("released", 1, -1, 0),
        ("shipped", 0, -2, 2),
        ("returned", 1, 0, -1),
    ]
    assert [each["reason"] for each in entries][1:] == [
        "order cancelled or not placed",
        "order fulfilled",
        "goods returned",
    ]


def test_unknown_resource_is_404(client: Any) -> None:
    for path in ("/products/P999", "/products/P999/adjustments", "/reservations/R", "/nowhere"):
        response = client.get(path)
        assert (response.status_code, response.content_type) == (404, "application/problem+json")


def test_request_is_503_when_the_database_is_unavailable(store: MemoryStock) -> None:
    client = signed_client(inventory_app(store, deadline_seconds=0.1))
    store.faults.coming.extend(["away"] * 100)
    response = client.put("/reservations/R", json=items(P001=1))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.content_type == "application/problem+json"


def test_request_is_503_of_its_own_type_when_the_queue_is_full(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise TooManyWaitingError("250 operations are queued already")

    monkeypatch.setattr(GroupCommit, "run", full)
    response = client.put("/reservations/R", json=items(P001=1))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json["type"] == "urn:problem-type:too-many-waiting"


def ledger(client: Any, product_id: str, limit: int = 200) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = client.get(f"/products/{product_id}/ledger?limit={limit}{cursor}").json
        entries += page["entries"]
        if page["next_cursor"] is None:
            return entries
        cursor = f"&cursor={page['next_cursor']}"


def use_stock(client: Any) -> None:
    """Reserve, release and ship units of P001, and adjust its stock."""
    for name in ("ORD1.0.F", "ORD2.0.F", "ORD3.0.F"):
        client.put(f"/reservations/{name}", json=items(P001=2))
    client.post("/reservations:release", json={"ids": ["ORD1.0.F"]})
    client.post("/reservations:consume", json={"ids": ["ORD2.0.F"]})
    body = {"delta": -3, "reason": "broken", "reference": "D-17", "actor": "warehouse 2"}
    client.post("/products/P001/adjustments", json=body, headers=KEY)


def test_ledger_adds_up_to_the_quantities_of_the_product(client: Any) -> None:
    use_stock(client)
    entries = ledger(client, "P001")
    product = client.get("/products/P001").json
    sums = [
        sum(entry[f"{place}_change"] for entry in entries)
        for place in ("available", "reserved", "shipped")
    ]
    assert sums == [product["available_quantity"], product["reserved_quantity"], 2]
    assert sums == [43, 2, 2]


def test_ledger_shows_actor_reason_and_reference(client: Any) -> None:
    use_stock(client)
    entries = ledger(client, "P001")
    shown = [(each["kind"], each["actor"], each["reason"], each["reference"]) for each in entries]
    assert shown == [
        ("adjusted", "warehouse 2", "broken", "D-17"),
        ("adjusted", "operator", "opening stock", None),
        ("reserved", "order", "order placed", "ORD1"),
        ("released", "order", "order cancelled or not placed", "ORD1"),
        ("reserved", "order", "order placed", "ORD2"),
        ("shipped", "order", "order fulfilled", "ORD2"),
        ("reserved", "order", "order placed", "ORD3"),
    ]
    assert all(each["at"].endswith("+00:00") for each in entries)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_ledger_is_the_same_in_pages_of_any_size(client: Any, limit: int) -> None:
    use_stock(client)
    assert ledger(client, "P001", limit) == ledger(client, "P001")


def test_ledger_of_an_unknown_product_is_404(client: Any) -> None:
    assert client.get("/products/P999/ledger").status_code == 404


def test_ledger_requires_the_operators_token(store: MemoryStock) -> None:
    client = inventory_app(store).test_client()
    assert client.get("/products/P001/ledger").status_code == 401
    order = {"Authorization": f"Bearer {ORDER}"}
    assert client.get("/products/P001/ledger", headers=order).status_code == 403


def test_adjustment_with_another_actor_under_the_same_key_is_422(client: Any) -> None:
    body = {"delta": 5, "reason": "delivery", "actor": "warehouse 2"}
    made = client.post("/products/P001/adjustments", json=body, headers=KEY)
    assert (made.status_code, made.json["actor"]) == (201, "warehouse 2")
    other = client.post(
        "/products/P001/adjustments", json=body | {"actor": "warehouse 3"}, headers=KEY
    )
    assert other.status_code == 422
