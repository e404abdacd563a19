"""``POST /products:import``: each line by itself, once for each key, within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.apps import ORDER, inventory_app, signed
from support.stores.builders import stocked, units

from functions_common.http.parsing import MAX_BODY
from inventory_function import domain
from inventory_function.service import IMPORT_BATCH

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from support.stores.fakes import MemoryStock

KEY = {"Idempotency-Key": "import-1"}
NDJSON = "application/x-ndjson"


@pytest.fixture
def store() -> MemoryStock:
    return stocked(P001=50)


@pytest.fixture
def client(store: MemoryStock) -> FlaskClient:
    return inventory_app(store).test_client()


def line(product_id: str, **changes: object) -> dict[str, object]:
    return {"product_id": product_id, "name": "Lamp", "price": 9.5} | changes


def send(client: FlaskClient, *lines: object, **headers: str) -> list[dict[str, Any]]:
    data = b"\n".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines
    )
    response = client.post(
        "/products:import",
        data=data,
        content_type=NDJSON,
        headers=signed("/products") | KEY | {n.replace("_", "-"): v for n, v in headers.items()},
    )
    assert (response.status_code, response.content_type) == (200, NDJSON), response.text
    return [json.loads(each) for each in response.text.splitlines()]


def test_import_creates_and_changes_products_with_stock(
    client: FlaskClient, store: MemoryStock
) -> None:
    found = send(client, line("P001", add_stock=5, active=False), line("P009", max_per_order=2))
    assert found == [
        {"line": 1, "status": 200, "product_id": "P001", "available_quantity": 55},
        {"line": 2, "status": 201, "product_id": "P009", "available_quantity": 0},
    ]
    assert units(store, "P001")[0] == 55
    shown = client.get("/products/P001").get_json()
    assert (shown["name"], shown["active"]) == ("Lamp", False)
    assert client.get("/products/P009").get_json()["max_per_order"] == 2


def test_import_repeated_under_its_key_adds_no_stock_twice(
    client: FlaskClient, store: MemoryStock
) -> None:
    send(client, line("P001", add_stock=5))
    (again,) = send(client, line("P001", add_stock=5))
    assert (again["status"], again["replayed"], units(store, "P001")[0]) == (200, True, 55)
    send(client, line("P001", add_stock=5), Idempotency_Key="import-2")
    assert units(store, "P001")[0] == 60


def test_repeated_import_does_not_undo_a_later_change(client: FlaskClient) -> None:
    send(client, line("P001", add_stock=5))
    client.patch("/products/P001", json={"price": 1}, headers=signed("/products"))
    send(client, line("P001", add_stock=5))
    assert client.get("/products/P001").get_json()["price"] == 1


def test_key_of_another_import_of_the_product_is_422(client: FlaskClient) -> None:
    send(client, line("P001", add_stock=5))
    (found,) = send(client, line("P001", add_stock=6))
    assert (found["status"], found["problem"]["type"]) == (
        422,
        "urn:problem-type:idempotency-key-reused",
    )


@pytest.mark.parametrize(
    ("bad", "status", "pointer"),
    [
        (b"", 400, "#"),
        (b"{", 400, "#"),
        (b"\xff", 400, "#"),
        (b"[]", 400, "#"),
        (line("P002", colour="red"), 400, "#/colour"),
        ({"product_id": "P002", "price": 1}, 400, "#/name"),
        (line("P002", add_stock="5"), 400, "#/add_stock"),
        (line("P002", add_stock=None), 400, "#/add_stock"),
        (line("a/b"), 422, "#/product_id"),
        (line("P002", price=-1), 422, "#/price"),
        (line("P002", price=1.999), 422, "#/price"),
        (line("P002", name=" "), 422, "#/name"),
        (line("P002", add_stock=-1), 422, "#/add_stock"),
        (line("P002", add_stock=1.5), 422, "#/add_stock"),
        (line("P002", add_stock=10**7), 422, "#/add_stock"),
        (line("P002", max_per_order=0), 422, "#/max_per_order"),
        (line("P001"), 422, "#/product_id"),
        (b" " * (domain.MAX_IMPORT_LINE + 1), 422, "#"),
    ],
)
def test_bad_line_has_its_own_error_and_affects_no_other(
    client: FlaskClient, bad: object, status: int, pointer: str
) -> None:
    first, second, third = send(client, line("P001", add_stock=1), bad, line("P003"))
    assert (first["status"], third["status"]) == (200, 201)
    assert (second["line"], second["status"]) == (2, status)
    assert second["problem"]["errors"][0]["pointer"] == pointer
    assert client.get("/products/P002").status_code == 404


def test_import_of_more_than_a_batch_has_a_result_for_each_line(client: FlaskClient) -> None:
    count = 2 * IMPORT_BATCH + 1
    found = send(client, *(line(f"Q{n:04}", add_stock=1) for n in range(count)))
    assert [each["line"] for each in found] == list(range(1, count + 1))
    assert {each["status"] for each in found} == {201}


def test_lines_that_the_deadline_leaves_no_time_for_say_so(store: MemoryStock) -> None:
    client = inventory_app(store, deadline_seconds=0.1).test_client()
    (found,) = send(client, line("P001", add_stock=5))
    assert (found["status"], found["problem"]["type"]) == (503, "urn:problem-type:not-begun")
    assert units(store, "P001")[0] == 50


def test_batch_that_fails_does_not_hide_the_results_of_the_others(
    client: FlaskClient, store: MemoryStock
) -> None:
    store.faults.coming.extend(["", "rejected", *["rejected"] * 300])
    found = send(client, *(line(f"Q{n:04}") for n in range(IMPORT_BATCH + 1)))
    assert [each["status"] for each in found] == [201] * IMPORT_BATCH + [500]


def test_line_break_at_the_end_is_no_line(client: FlaskClient) -> None:
    assert len(send(client, line("P001"), b"")) == 1


def post(client: FlaskClient, data: bytes, **headers: str) -> Any:
    sent = signed("/products") | KEY | {n.replace("_", "-"): v for n, v in headers.items()}
    return client.post("/products:import", data=data, headers={"Content-Type": NDJSON} | sent)


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\n"])
def test_import_without_lines_is_422(client: FlaskClient, data: bytes) -> None:
    response = post(client, data)
    assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "#")


def test_import_of_too_many_lines_is_422_and_changes_nothing(client: FlaskClient) -> None:
    lines = [json.dumps(line("P009")).encode(), *[b"{}"] * domain.MAX_IMPORT_LINES]
    assert post(client, b"\n".join(lines)).status_code == 422
    assert client.get("/products/P009").status_code == 404


def test_only_the_operator_can_send_more_than_other_bodies_have(client: FlaskClient) -> None:
    data = b"\n".join([json.dumps(line("P009")).encode(), b" " * MAX_BODY])
    assert post(client, data).status_code == 200
    for token in (ORDER, "unknown-to-everyone"):
        assert post(client, data, Authorization=f"Bearer {token}").status_code == 413
    assert post(client, b" " * (domain.MAX_IMPORT_BODY + 1)).status_code == 413
    other = client.put("/products/P009", data=data, headers=signed("/products"))
    assert other.status_code == 413


def test_import_needs_a_key_and_its_media_type(client: FlaskClient) -> None:
    data = json.dumps(line("P009")).encode()
    assert post(client, data, Content_Type="application/json").status_code == 415
    response = client.post(
        "/products:import", data=data, content_type=NDJSON, headers=signed("/products")
    )
    assert (response.status_code, response.get_json()["errors"][0]["header"]) == (
        400,
        "Idempotency-Key",
    )
