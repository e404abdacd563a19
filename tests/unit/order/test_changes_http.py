"""The HTTP contract of parts, holds and details of an order: statuses, bodies, who may do it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.in_process.apps import OPERATOR, PAYMENT, order_app
from support.stores.fakes import FakeInventory, MemoryOrders

from order_function.domain import CUSTOMER
from order_function.domain import OPERATOR as OPERATORS_ROLE
from order_function.ports import NotSettledError

ROLES = {"operator": OPERATOR, "payment": PAYMENT}
LINES = [{"product_id": "P002", "quantity": 3}, {"product_id": "P001", "quantity": 2}]
DETAILS: dict[str, Any] = {
    "reference": "WEB-10042",
    "note": "Please ring twice\nNot before 9",
    "metadata": {"channel": "web", "gift wrap": "yes", "a/b": "c"},
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "12 St James's Square",
        "city": "London",
        "postal_code": "SW1Y 4JH",
        "country": "GB",
    },
}


class Shop:
    def __init__(self) -> None:
        self.store = MemoryOrders()
        self.inventory = FakeInventory(P001=50, P002=50)
        self.client: Any = order_app(self.store, self.inventory).test_client()

    def place(self, **members: Any) -> Any:
        body = {"customer_id": "C123", "items": LINES} | members
        return self.client.post("/orders", json=body)

    def change(
        self, order: Any, verb: str, role: str = "", key: str | None = "K1", **body: Any
    ) -> Any:
        headers = {"Authorization": f"Bearer {ROLES[role]}"} if role else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        path = f"/orders/{order['order_id']}/{verb}"
        return self.client.post(path, json=body or None, headers=headers)

    def shown(self, order: Any) -> Any:
        return self.client.get(f"/orders/{order['order_id']}").json

    def let_expire(self, order: Any) -> None:
        """The moment at which the payment is due has passed, and the sweep has run."""
        found = self.store.documents[order["order_id"]]
        due = replace(found.order, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        expired = due.begin_expiry(datetime.now(UTC)).finish_cancel(datetime.now(UTC))
        self.store.documents[order["order_id"]] = found._replace(order=expired)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def order(shop: Shop) -> Any:
    return shop.place().json


def counts(order: Any) -> list[tuple[int, int, int]]:
    return [(each["cancelled"], each["fulfilled"], each["returned"]) for each in order["items"]]


def one(line_id: str = "1", quantity: int = 1) -> dict[str, Any]:
    return {"line_id": line_id, "quantity": quantity}


def test_lines_have_ids_in_the_sequence_of_the_request(order: Any) -> None:
    assert [(each["line_id"], each["product_id"]) for each in order["items"]] == [
        ("1", "P002"),
        ("2", "P001"),
    ]


def test_cancelling_a_part_is_200_with_the_counts(shop: Shop, order: Any) -> None:
    response = shop.change(order, "cancel", items=[one(quantity=2)], reason="too many")
    assert response.status_code == 200
    assert response.json["status"] == "confirmed"
    assert counts(response.json) == [(2, 0, 0), (0, 0, 0)]
    event = response.json["history"][-1]
    assert {name: event[name] for name in event if name != "at"} == {
        "seq": 3,
        "type": "line_cancelled",
        "actor": CUSTOMER,
        "reason": "too many",
        "items": [{"line_id": "1", "product_id": "P002", "quantity": 2}],
    }
    assert response.json["updated_at"] >= event["at"] > order["updated_at"]
    assert shop.shown(order) == response.json


def test_changing_a_part_is_200_without_a_second_change_when_it_is_repeated(
    shop: Shop, order: Any
) -> None:
    responses = [shop.change(order, "cancel", items=[one()]) for _ in range(2)]
    assert [each.status_code for each in responses] == [200, 200]
    assert responses[0].json == responses[1].json
    assert counts(responses[1].json) == [(1, 0, 0), (0, 0, 0)]


def test_another_change_is_422_when_it_uses_the_same_key(shop: Shop, order: Any) -> None:
    shop.change(order, "cancel", items=[one()])
    response = shop.change(order, "cancel", items=[one(quantity=2)])
    assert response.status_code == 422
    assert response.json["type"].endswith("idempotency-key-reused")
    assert counts(shop.shown(order)) == [(1, 0, 0), (0, 0, 0)]


def test_changing_a_part_is_400_without_a_key(shop: Shop, order: Any) -> None:
    response = shop.change(order, "cancel", key=None, items=[one()])
    assert response.status_code == 400
    assert response.json["errors"][0]["header"] == "Idempotency-Key"
    assert shop.shown(order) == order


@pytest.mark.parametrize("line_id", ["3", "100", "999"])
def test_changing_an_unknown_line_is_409_with_the_counts(
    shop: Shop, order: Any, line_id: str
) -> None:
    response = shop.change(order, "cancel", items=[one("2"), one(line_id)])
    assert response.status_code == 409
    assert response.json["type"].endswith("exceeds-remaining")
    assert response.json["order_status"] == "confirmed"
    assert response.json["items"] == order["items"]
    assert shop.shown(order) == order


@pytest.mark.parametrize("verb", ["cancel", "fulfil"])
def test_changing_more_than_is_left_is_409_with_the_counts(
    shop: Shop, order: Any, verb: str
) -> None:
    cancelled = shop.change(order, "cancel", items=[one(quantity=2)]).json
    response = shop.change(order, verb, "operator", "K2", items=[one("2"), one(quantity=2)])
    assert response.status_code == 409
    assert response.json["type"].endswith("exceeds-remaining")
    assert "line 1 (P002): 2 requested, and 1 of 3 are left" in response.json["detail"]
    assert counts(response.json) == [(2, 0, 0), (0, 0, 0)]
    assert shop.shown(order) == cancelled


def test_parts_are_fulfilled_and_returned(shop: Shop, order: Any) -> None:
    partly = shop.change(order, "fulfil", "operator", items=[one(quantity=2)]).json
    assert (partly["status"], counts(partly)[0]) == ("partially_fulfilled", (0, 2, 0))
    assert "fulfilled_at" not in partly
    whole = shop.change(order, "fulfil", "operator", None).json
    assert (whole["status"], counts(whole)) == ("fulfilled", [(0, 3, 0), (0, 2, 0)])
    assert whole["fulfilled_at"] == whole["history"][-1]["at"]
    excess = shop.change(order, "return", "operator", "K2", items=[one(quantity=4)])
    assert (excess.status_code, counts(excess.json)) == (409, counts(whole))
    returned = shop.change(order, "return", "operator", "K3", items=[one(quantity=2)]).json
    assert (returned["status"], counts(returned)) == ("fulfilled", [(0, 3, 2), (0, 2, 0)])
    rest = shop.change(order, "return", "operator", "K4").json
    assert counts(rest) == [(0, 3, 3), (0, 2, 2)]


def test_returning_is_409_when_nothing_was_fulfilled(shop: Shop, order: Any) -> None:
    response = shop.change(order, "return", "operator")
    assert response.status_code == 409
    assert response.json["type"].endswith("not-returnable")
    assert response.json["items"] == order["items"]


def test_history_names_the_operators_actor(shop: Shop, order: Any) -> None:
    changed = shop.change(order, "cancel", "operator", items=[one()], actor="Anna", reason="broken")
    event = changed.json["history"][-1]
    assert (event["actor"], event["reason"]) == ("Anna", "broken")
    changed = shop.change(order, "cancel", "operator", "K2", items=[one()])
    assert changed.json["history"][-1]["actor"] == OPERATORS_ROLE


def test_details_are_returned_as_they_were_sent(shop: Shop) -> None:
    placed = shop.place(**DETAILS)
    assert placed.status_code == 201
    assert {name: placed.json[name] for name in DETAILS} == DETAILS
    assert {name: shop.shown(placed.json)[name] for name in DETAILS} == DETAILS


def test_hold_is_placed_confirmed_and_fulfilled(shop: Shop) -> None:
    held = shop.place(hold_seconds=900)
    assert held.status_code == 201
    assert held.json["status"] == "awaiting_payment"
    placed, due = (datetime.fromisoformat(held.json[at]) for at in ("created_at", "expires_at"))
    assert due - placed == timedelta(seconds=900)
    assert shop.change(held.json, "fulfil", "operator").status_code == 409
    confirmed = shop.change(held.json, "confirm", "payment", None, reason="charge 4711")
    assert (confirmed.status_code, confirmed.json["status"]) == (200, "confirmed")
    event = confirmed.json["history"][-1]
    assert (event["type"], event["actor"], event["reason"]) == (
        "confirmed",
        "payment",
        "charge 4711",
    )
    assert confirmed.json["confirmed_at"] == event["at"]
    assert shop.change(held.json, "confirm", "payment").json == confirmed.json
    assert shop.change(held.json, "fulfil", "operator").json["status"] == "fulfilled"


def test_confirming_is_409_order_expired_when_the_sweep_was_first(shop: Shop) -> None:
    held = shop.place(hold_seconds=1).json
    shop.let_expire(held)
    for role in ("payment", "operator"):
        response = shop.change(held, "confirm", role)
        assert response.status_code == 409
        assert response.json["type"].endswith("order-expired")
        assert response.json["order_status"] == "cancelled"
    assert counts(response.json) == [(3, 0, 0), (2, 0, 0)]
    event = shop.shown(held)["history"][-1]
    assert (event["type"], event["actor"], event["reason"]) == ("cancelled", "reconcile", "expired")


def test_confirming_is_409_when_a_person_cancelled_the_order(shop: Shop) -> None:
    held = shop.place(hold_seconds=900).json
    assert shop.change(held, "cancel").json["status"] == "cancelled"
    response = shop.change(held, "confirm", "payment")
    assert response.status_code == 409
    assert response.json["type"].endswith("not-confirmable")


@pytest.mark.parametrize("verb", ["confirm", "fulfil", "return"])
def test_customer_may_not_make_a_change_of_staff(shop: Shop, order: Any, verb: str) -> None:
    assert shop.change(order, verb).status_code == 401
    assert shop.shown(order) == order


@pytest.mark.parametrize("verb", ["fulfil", "return"])
def test_payment_service_may_only_confirm(shop: Shop, order: Any, verb: str) -> None:
    assert shop.change(order, verb, "payment").status_code == 403
    assert shop.shown(order) == order


def test_operator_places_an_order_for_a_customer(shop: Shop) -> None:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    body = {"customer_id": "C9", "product_id": "P001", "quantity": 1}
    placed = shop.client.post("/orders", json=body, headers=headers)
    assert (placed.status_code, placed.json["customer_id"]) == (201, "C9")
    assert {each["actor"] for each in placed.json["history"]} == {OPERATORS_ROLE}


def test_change_that_inventory_does_not_apply_is_503_that_names_no_outage(
    shop: Shop, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reservation is missing, so waiting for inventory would not help."""

    def reject(reservation_id: str, *_: Any) -> None:
        raise NotSettledError({reservation_id: "There is no such reservation"})

    monkeypatch.setattr(shop.inventory, "move", reject)
    assert shop.change(order, "cancel", items=[one()]).status_code == 202
    response = shop.change(order, "cancel", key="K2", items=[one("2")])
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json["type"] == "urn:problem-type:temporarily-unavailable"
    assert "inventory did not change the stock of this order" in response.json["detail"]
