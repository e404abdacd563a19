"""The HTTP contract between the functions: order's client against inventory's app.

The same suite runs against the fakes of order's unit tests, so that they behave alike.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import requests
from flask import Flask
from support.in_process.apps import OPERATOR, inventory_app, order_app
from support.in_process.client import client_of
from support.in_process.memory_shop import InventoryInProcess
from support.in_process.queues import wait_until_queued
from support.stores.builders import soon, stocked, units
from support.stores.fakes import FakeInventory, MemoryOrders

from order_function.domain import Line, MovementKind
from order_function.inventory import client as inventory_client
from order_function.ports import (
    InventoryFailedError,
    NotSettledError,
    ReservationRejectedError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from order_function.ports import Inventory

TWO_LINES = (Line("P001", 2), Line("P002", 1))


@pytest.fixture(params=["inventory", "in process", "fake"])
def inventory(request: pytest.FixtureRequest) -> Inventory:
    if request.param == "fake":
        return FakeInventory(P001=5, P002=3)
    store = stocked(P001=5, P002=3)
    return (
        InventoryInProcess(store)
        if request.param == "in process"
        else client_of(inventory_app(store))
    )


def test_reserve_returns_names_and_prices(inventory: Inventory) -> None:
    items, currency = inventory.reserve("R", TWO_LINES, soon())
    assert currency == "USD"
    assert [(i.product_id, i.quantity, i.unit_price, i.name) for i in items] == [
        ("P001", 2, 99_999, "Laptop"),
        ("P002", 1, 99_999, "Laptop"),
    ]


def test_repeated_reserve_returns_the_same_and_holds_no_more(inventory: Inventory) -> None:
    first = inventory.reserve("R", (Line("P001", 5),), soon())
    assert inventory.reserve("R", (Line("P001", 5),), soon()) == first


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_asked_for_together_is_held_once(
    monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    """Whether the answer to all of them arrives, or all have to ask again."""
    monkeypatch.setattr(inventory_client, "MAX_QUEUE_SECONDS", 10)
    store = stocked(P001=7)
    client = client_of(inventory_app(store))
    adapter = client.http.session.get_adapter("http://inventory")
    deliver, first, go_on = adapter.send, Event(), Event()
    carried: list[str] = []

    def send(request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if not first.is_set():
            first.set()
            assert go_on.wait(10)
        answer = deliver(request, **options)
        carried.append(request.path_url)
        if lost and carried[1:] == ["/reservations:reserve"]:
            raise requests.ConnectionError("the response was lost")
        return answer

    monkeypatch.setattr(adapter, "send", send)

    def hold(name: str) -> str:
        try:
            client.reserve(name, (Line("P001", 1),), soon())
        except ReservationRejectedError as refused:
            return refused.rejection.kind
        return "held"

    with ThreadPoolExecutor(10) as pool:
        told = [pool.submit(hold, "R0")]
        assert first.wait(10)
        told += [pool.submit(hold, f"R{n}") for n in range(1, 9)]
        wait_until_queued(client, 8)
        go_on.set()
        assert sorted(each.result() for each in told) == ["held"] * 7 + ["insufficient-stock"] * 2
    assert "/reservations:reserve" in carried
    assert units(store, "P001") == (0, 7, 0)


def test_short_lines_are_listed(inventory: Inventory) -> None:
    with pytest.raises(ReservationRejectedError) as refused:
        inventory.reserve("R", (Line("P001", 6), Line("P002", 3)), soon())
    assert refused.value.rejection.kind == "insufficient-stock"
    assert refused.value.rejection.extensions == {
        "lines": [{"product_id": "P001", "requested": 6, "available_quantity": 5}]
    }
    inventory.reserve("R2", (Line("P002", 3),), soon())


def test_unknown_products_are_listed(inventory: Inventory) -> None:
    with pytest.raises(ReservationRejectedError) as refused:
        inventory.reserve("R", (Line("P001", 1), Line("P999", 1)), soon())
    assert refused.value.rejection.kind == "unknown-product"
    assert refused.value.rejection.extensions == {"product_ids": ["P999"]}


def test_released_stock_is_available_and_its_reservation_is_final(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 5),), soon())
    inventory.release(["R"], soon())
    inventory.release(["R"], soon())
    with pytest.raises(ReservationReleasedError):
        inventory.reserve("R", (Line("P001", 5),), soon())
    inventory.reserve("R2", (Line("P001", 5),), soon())


def test_late_reserve_holds_nothing_when_it_was_released_first(inventory: Inventory) -> None:
    inventory.release(["late"], soon())
    with pytest.raises(ReservationReleasedError):
        inventory.reserve("late", (Line("P001", 1),), soon())


def test_confirmed_reservation_can_be_released(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 5),), soon())
    for _ in range(2):
        inventory.confirm(["R", "unknown"], soon())
    inventory.release(["R"], soon())
    inventory.reserve("R2", (Line("P001", 5),), soon())


def test_late_confirm_does_not_restore_a_released_reservation(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 5),), soon())
    inventory.release(["R"], soon())
    inventory.confirm(["R"], soon())
    with pytest.raises(ReservationReleasedError):
        inventory.reserve("R", (Line("P001", 5),), soon())
    inventory.reserve("R2", (Line("P001", 5),), soon())


def test_consumed_stock_is_never_released(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 5),), soon())
    for _ in range(2):
        inventory.consume(["R"], soon())
    inventory.release(["R"], soon())
    with pytest.raises(ReservationRejectedError):
        inventory.reserve("R2", (Line("P001", 1),), soon())


def test_consume_fails_when_the_reservation_is_not_held(inventory: Inventory) -> None:
    with pytest.raises(InventoryFailedError):
        inventory.consume(["unknown"], soon())


def available(inventory: Inventory, product_id: str) -> int:
    """The units that can be reserved, as a reservation of too many reports them."""
    with pytest.raises(ReservationRejectedError) as rejected:
        inventory.reserve("too-many", (Line(product_id, 1_000_000),), soon())
    (line,) = rejected.value.rejection.extensions["lines"]
    units: int = line["available_quantity"]
    return units


def test_movements_are_each_applied_once(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 4), Line("P002", 1)), soon())
    for number, (kind, quantity, left) in enumerate(
        [("release", 1, 2), ("consume", 2, 2), ("restock", 1, 3), ("release", 1, 4)], start=1
    ):
        for _ in range(2):
            inventory.move("R", number, MovementKind(kind), (Line("P001", quantity),), soon())
            assert available(inventory, "P001") == left
    assert available(inventory, "P002") == 2


@pytest.mark.parametrize(
    ("number", "kind", "lines"),
    [
        (1, MovementKind.CONSUME, (Line("P001", 1),)),
        (1, MovementKind.RELEASE, (Line("P001", 2),)),
        (3, MovementKind.RELEASE, (Line("P001", 1),)),
        (2, MovementKind.RELEASE, (Line("P001", 4),)),
        (2, MovementKind.RESTOCK, (Line("P001", 1),)),
        (2, MovementKind.RELEASE, (Line("P001", 1), Line("P002", 1))),
    ],
    ids=["other kind", "other lines", "gap", "too many", "not shipped", "unknown line"],
)
def test_movement_that_is_not_possible_changes_nothing(
    inventory: Inventory, number: int, kind: MovementKind, lines: tuple[Line, ...]
) -> None:
    inventory.reserve("R", (Line("P001", 4),), soon())
    inventory.move("R", 1, MovementKind.RELEASE, (Line("P001", 1),), soon())
    with pytest.raises(NotSettledError):
        inventory.move("R", number, kind, lines, soon())
    assert available(inventory, "P001") == 2


def test_stale_movement_is_not_applied(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 4),), soon())
    for number in (1, 2):
        inventory.move("R", number, MovementKind.RELEASE, (Line("P001", 1),), soon())
    with pytest.raises(NotSettledError):
        inventory.move("R", 1, MovementKind.RELEASE, (Line("P001", 1),), soon())


def test_movement_of_an_unknown_reservation_is_not_applied(inventory: Inventory) -> None:
    with pytest.raises(NotSettledError):
        inventory.move("R", 1, MovementKind.RELEASE, (Line("P001", 1),), soon())
    inventory.reserve("R", (Line("P001", 1),), soon())


@pytest.mark.parametrize("first", ["release", "consume"])
@pytest.mark.parametrize("verb", ["release", "consume"])
def test_release_and_consume_move_all_that_movements_left(
    inventory: Inventory, first: str, verb: str
) -> None:
    inventory.reserve("R", (Line("P001", 5),), soon())
    inventory.move("R", 1, MovementKind(first), (Line("P001", 2),), soon())
    inventory.confirm(["R"], soon())
    for _ in range(2):
        getattr(inventory, verb)(["R"], soon())
    released = (2 if first == "release" else 0) + (3 if verb == "release" else 0)
    assert available(inventory, "P001") == released


def test_reservation_of_which_all_parts_are_released_is_final(inventory: Inventory) -> None:
    inventory.reserve("R", (Line("P001", 2),), soon())
    for number in (1, 2):
        inventory.move("R", number, MovementKind.RELEASE, (Line("P001", 1),), soon())
    with pytest.raises(ReservationReleasedError):
        inventory.reserve("R", (Line("P001", 2),), soon())


def test_partly_moved_reservation_keeps_its_items(inventory: Inventory) -> None:
    first = inventory.reserve("R", TWO_LINES, soon())
    inventory.move("R", 1, MovementKind.CONSUME, (Line("P001", 1),), soon())
    assert inventory.reserve("R", TWO_LINES, soon()) == first


def test_catalogue_is_passed_through(inventory: Inventory) -> None:
    status, body = inventory.catalogue("/products", {}, soon())
    assert (status, b'"products"' in body) == (200, True)
    assert inventory.catalogue("/products/P999", {}, soon())[0] == 404


def test_gateway_404_is_not_an_unknown_product() -> None:
    with pytest.raises(InventoryFailedError) as unavailable:
        client_of(Flask("gateway")).reserve("R", TWO_LINES, soon())
    assert unavailable.value.outcome_unknown


def test_inactive_product_is_not_sold_and_its_orders_are_finished() -> None:
    """``active: false`` rejects new orders. Existing ones are cancelled and fulfilled as before."""
    store = stocked(P001=5)
    app = inventory_app(store)
    shop = order_app(MemoryOrders(), client_of(app)).test_client()
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    cancelled, fulfilled = (shop.post("/orders", json=body).json["order_id"] for _ in range(2))  # type: ignore[index]

    operator = {"Authorization": f"Bearer {OPERATOR}"}
    retired = {"name": "Laptop", "price": 999.99, "active": False}
    app.test_client().put("/products/P001", json=retired, headers=operator)

    refused = shop.post("/orders", json=body)
    assert refused.status_code == 409
    assert refused.json["type"] == "urn:problem-type:unknown-product"  # type: ignore[index]
    assert shop.post(f"/orders/{cancelled}/cancel").status_code == 200
    assert shop.post(f"/orders/{fulfilled}/fulfil", headers=operator).status_code == 200
    assert units(store, "P001") == (4, 0, 1)


@pytest.mark.parametrize(
    "tracestate",
    ["vendor=1", ",".join(f"k{n}=v" for n in range(30)), "a=b," + " " * 8000 + "!", "x" * 8000],
)
def test_only_the_trace_id_of_a_client_is_sent_to_inventory(
    monkeypatch: pytest.MonkeyPatch, tracestate: str
) -> None:
    client = client_of(inventory_app(stocked(P001=1)))
    adapter = client.http.session.get_adapter("http://inventory")
    deliver, sent = adapter.send, list[requests.PreparedRequest]()

    def send(request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(request)
        return deliver(request, **options)

    monkeypatch.setattr(adapter, "send", send)
    headers = {
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "tracestate": tracestate,
        "baggage": tracestate,
        "User-Agent": tracestate,
        "Cookie": tracestate,
    }
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    shop = order_app(MemoryOrders(), client).test_client()
    assert shop.post("/orders", json=body, headers=headers).status_code == 201
    (request,) = sent
    assert {name.lower() for name in request.headers} == {
        "authorization",
        "content-type",
        "content-length",
        "traceparent",
    }
    assert request.headers["traceparent"].startswith(f"00-{'a' * 32}-")
