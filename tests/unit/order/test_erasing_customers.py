"""Erasing a customer: what goes, what stays, and what a repeated request finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.apps import OPERATOR, PAYMENT, order_app
from support.in_process.memory_shop import WholeShop
from support.stores.builders import NOW, soon
from support.stores.fakes import FakeInventory, MemoryOrders

from order_function import erasure
from order_function.domain import (
    ERASED,
    Attempt,
    By,
    EventType,
    Line,
    NewerStatus,
    Order,
    OrderNotFoundError,
    Rejection,
)

if TYPE_CHECKING:
    from functions_common.runtime.deadlines import Deadline

STAFF = {"Authorization": f"Bearer {OPERATOR}"}
ADDRESS = {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London"}
DETAILS: dict[str, Any] = {
    "note": "Please ring at Lovelace",
    "metadata": {"email": "ada@lovelace.example"},
    "shipping_address": {**ADDRESS, "country": "GB"},
    "reference": "WEB-10042",
}

PERSONAL = ("Ada", "Grace", "ada@", "Lovelace", "customer-one")


class Shop:
    def __init__(self) -> None:
        self.store = MemoryOrders()
        self.inventory = FakeInventory(P1=50)
        self.client: Any = order_app(self.store, self.inventory).test_client()

    def place(self, customer_id: str = "C1", key: str | None = None, **changes: Any) -> Any:
        body = {"customer_id": customer_id, "product_id": "P1", "quantity": 2, **changes}
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.client.post("/orders", json=body, headers=headers)

    def change(self, order_id: str, verb: str, key: str | None = None, **body: Any) -> Any:
        headers = STAFF | ({} if key is None else {"Idempotency-Key": key})
        return self.client.post(f"/orders/{order_id}/{verb}", json=body, headers=headers)

    def erase(self, customer_id: str = "C1", headers: dict[str, str] = STAFF) -> Any:
        return self.client.post(f"/customers/{customer_id}/erase", headers=headers)

    def show(self, order_id: str) -> Any:
        return self.client.get(f"/orders/{order_id}", headers=STAFF).json


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_erasing_removes_what_is_personal_and_keeps_the_rest(shop: Shop) -> None:
    order_id = shop.place("customer-one", key="key", **DETAILS).json["order_id"]
    one = [{"line_id": "1", "quantity": 1}]
    shop.change(order_id, "cancel", "part", items=one, actor="Grace", reason="Ada called")
    shop.change(order_id, "fulfil", actor="Grace", reason="sent to Ada")
    before = shop.show(order_id)
    response = shop.erase("customer-one")
    assert (response.status_code, response.json) == (200, {"erased": 1, "complete": True})
    after = shop.show(order_id)
    assert not [text for text in PERSONAL if text in str(after)]
    assert after["customer_id"] == ERASED
    assert after["reference"] == "WEB-10042"
    assert after["updated_at"] > before["updated_at"]
    for changed in ("customer_id", "note", "metadata", "shipping_address", "updated_at"):
        before.pop(changed)
        after.pop(changed, None)
    for event in before["history"]:
        event.pop("reason", None)
        event["actor"] = event["actor"].replace("Grace", "operator")
    assert after == before
    stored = shop.store.documents[order_id].order
    assert not [text for text in PERSONAL if text in str(stored)]


def test_erasing_keeps_the_reasons_of_the_system(shop: Shop) -> None:
    attempt = Attempt.begin("C1", [Line("P1", 2)], "key", hold_seconds=1)
    held, _ = shop.inventory.reserve(attempt.reservation_id, attempt.lines, soon())
    order = Order.new_reserved(attempt, held, "USD", NOW)
    assert order.expires_at is not None
    expiring = order.begin_expiry(order.expires_at)
    expired = expiring.finish_cancel(order.expires_at)
    assert expiring.erase_personal().movement == expiring.movement
    assert expired.erase_personal().history == expired.history
    rejection = Rejection("insufficient-stock", "Short", {})
    rejected = Order.new_rejected(attempt, rejection, NOW)
    assert rejected.erase_personal().history == rejected.history
    assert rejected.history[-1].reason == "insufficient-stock"


def test_erasing_removes_reasons_of_people_who_call_themselves_reconcile(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.change(order_id, "cancel", actor="reconcile", reason="Ada called")
    assert shop.erase().status_code == 200
    assert "Ada" not in str(shop.show(order_id))


def test_erasing_clears_the_open_movement(shop: Shop) -> None:
    order_id = shop.place().json["order_id"]
    shop.inventory.away.append(None)
    shop.change(order_id, "cancel", actor="Grace", reason="Ada called")
    assert shop.show(order_id)["status"] == "cancelling"
    assert shop.erase().json == {"erased": 1, "complete": True}
    assert shop.store.documents[order_id].order.movement is not None
    assert shop.change(order_id, "cancel").json["status"] == "cancelled"
    *_, cancelled = shop.store.documents[order_id].order.history
    assert (cancelled.type, cancelled.actor, cancelled.reason) == (
        EventType.CANCELLED,
        "operator",
        None,
    )


def test_erasing_is_idempotent_and_leaves_other_customers_alone(shop: Shop) -> None:
    shop.place("C1")
    other = shop.place("C2", **DETAILS).json
    assert shop.erase().json == {"erased": 1, "complete": True}
    assert shop.erase().json == {"erased": 0, "complete": True}
    assert shop.erase("C3").json == {"erased": 0, "complete": True}
    assert shop.show(other["order_id"]) == other


def test_rejected_and_cancelled_orders_are_erased_too(shop: Shop) -> None:
    rejected = shop.place(key="key", quantity=51, **DETAILS).json["order_id"]
    cancelled = shop.place(**DETAILS).json["order_id"]
    shop.change(cancelled, "cancel")
    assert shop.erase().json["erased"] == 2
    for order_id in (rejected, cancelled):
        assert shop.show(order_id)["customer_id"] == ERASED


def test_repeated_order_is_replayed_without_what_was_erased(shop: Shop) -> None:
    first = shop.place(key="key", **DETAILS).json
    shop.erase()
    again = shop.place(key="key", **DETAILS)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert (again.json["order_id"], again.json["customer_id"]) == (first["order_id"], ERASED)
    assert "note" not in again.json
    assert shop.place(key="key").status_code == 422, "another body"
    assert shop.erase().json["erased"] == 0, "the repeated request brings nothing back"


def test_erased_order_belongs_to_no_customer() -> None:
    order = replace(
        Order.new_pending(Attempt.begin("C1", [Line("P1", 1)], None), NOW), customer_id=ERASED
    )
    for customer_id in ("C1", ERASED):
        with pytest.raises(OrderNotFoundError):
            order.require_customer(customer_id)
    order.require_customer(None)


def test_customer_id_of_erased_orders_is_reserved(shop: Shop) -> None:
    shop.place()
    shop.erase()
    found = [
        shop.place(ERASED),
        shop.client.get(f"/orders?customer_id={ERASED}"),
    ]
    for response in found:
        assert response.status_code == 422
        assert "reserved" in response.json["detail"]
    listed = shop.client.get(f"/orders?customer_id={ERASED}", headers=STAFF).json
    assert len(listed["orders"]) == 1


def test_orders_are_erased_in_pages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "PAGE", 2)
    for _ in range(5):
        shop.place()
    assert shop.erase().json == {"erased": 5, "complete": True}


def test_erasing_stops_before_its_deadline_and_goes_on_when_repeated(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        shop.place()
    replace_order, writes = shop.store.replace, 0

    def slow(order: Order, version: Any, deadline: Deadline) -> None:
        nonlocal writes
        writes += 1
        replace_order(order, version, deadline)
        if writes == 2:
            deadline_over.append(True)

    deadline_over: list[bool] = []
    monkeypatch.setattr(shop.store, "replace", slow)
    monkeypatch.setattr(
        "functions_common.runtime.deadlines.Deadline.passed",
        property(lambda _: bool(deadline_over)),
    )
    assert shop.erase().json == {"erased": 2, "complete": False}
    deadline_over.clear()
    assert shop.erase().json == {"erased": 3, "complete": True}


def test_order_that_changes_at_the_same_time_is_erased_with_its_change(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.place(**DETAILS).json["order_id"]
    read = shop.store.orders_of

    def then_cancelled(*arguments: Any) -> Any:
        found = read(*arguments)
        monkeypatch.setattr(shop.store, "orders_of", read)
        shop.change(order_id, "cancel")
        return found

    monkeypatch.setattr(shop.store, "orders_of", then_cancelled)
    assert shop.erase().json == {"erased": 1, "complete": True}
    assert shop.show(order_id)["status"] == "cancelled"
    assert "note" not in shop.show(order_id)


@pytest.mark.parametrize("fault", ["conflict", "lost", "dropped"])
def test_order_is_erased_when_a_write_has_no_clear_outcome(shop: Shop, fault: str) -> None:
    placed = [shop.place().json["order_id"] for _ in range(3)]
    shop.store.faults.coming.append(fault)
    response = shop.erase()
    assert response.json["complete"] is True
    for order_id in placed:
        assert shop.show(order_id)["customer_id"] == ERASED


def test_erasing_is_503_when_the_database_is_unavailable(shop: Shop) -> None:
    for _ in range(3):
        shop.place()
    shop.store.faults.coming.extend(["", "away"])
    response = shop.erase()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert shop.erase().json == {"erased": 2, "complete": True}


@pytest.mark.parametrize("page", [1, 2, 50])
def test_damaged_order_is_named_after_the_others_are_erased(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(erasure, "PAGE", page)
    placed = sorted(shop.place().json["order_id"] for _ in range(5))
    for order_id in (placed[1], placed[4]):
        shop.store.damage(order_id)
    response = shop.erase()
    assert (response.status_code, response.json["type"]) == (
        500,
        "urn:problem-type:damaged-document",
    )
    assert placed[1] in response.json["detail"]
    for order_id in (placed[0], placed[2], placed[3]):
        assert shop.show(order_id)["customer_id"] == ERASED


def test_order_of_a_newer_revision_is_409_after_the_others_are_erased(shop: Shop) -> None:
    placed = sorted(shop.place().json["order_id"] for _ in range(3))
    found = shop.store.documents[placed[0]]
    newer = replace(found.order, status=NewerStatus("returning"))
    shop.store.documents[placed[0]] = found._replace(order=newer)
    response = shop.erase()
    assert (response.status_code, response.json["type"]) == (409, "urn:problem-type:newer-revision")
    assert [shop.show(each)["customer_id"] for each in placed] == ["C1", ERASED, ERASED]


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"Authorization": f"Bearer {PAYMENT}"}, 403)]
)
def test_only_the_operator_erases(shop: Shop, headers: dict[str, str], status: int) -> None:
    order_id = shop.place().json["order_id"]
    assert shop.erase(headers=headers).status_code == status
    assert shop.show(order_id)["customer_id"] == "C1"


@pytest.mark.parametrize("customer_id", [ERASED, "a b", "__x__", "x" * 129])
def test_invalid_customer_is_404(shop: Shop, customer_id: str) -> None:
    assert shop.erase(customer_id).status_code == 404


def test_audit_is_clean_after_erasing() -> None:
    shop = WholeShop(P001=9)
    by = By("Grace", "Ada called")
    for number in range(3):
        shop.orders.place(Attempt.begin("C1", [Line("P001", 2)], f"key-{number}"))
    first, second, _ = shop.store.documents
    shop.orders.cancel(first, by)
    shop.orders.fulfil(second, by)
    assert shop.orders.erase_customer("C1") == (3, True)
    assert shop.findings() == []
