"""Every flow, interrupted at each of its remote calls in each of four modes.

A flow is a generator. Its first part prepares the shop. Its second part acts as a client that
retries after a 503 or no response. Its third part contains the assertions. Before the third part
reconcile runs until it finds no work. The audit must then have no findings: no unit is oversold or
leaked, and no order is unfinished.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.in_process.apps import OPERATOR, PAYMENT
from support.in_process.crashing import CrashingShop, Cut
from support.in_process.documented_client import DocumentedClient, Reply
from support.in_process.dying import ProcessDiedError
from support.stores.builders import BY, soon

from functions_common.events.cloud_event import EventRequest
from order_function.domain import (
    MOVING_STATUSES,
    Attempt,
    Line,
    MovementKind,
    Order,
    ReservationName,
    Status,
)

Flow = Callable[[CrashingShop], Iterator[None]]

TRIES = 10
STOCK = 10
AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}
AS_PAYMENT = {"Authorization": f"Bearer {PAYMENT}"}
BODY = {"customer_id": "C1", "product_id": "P1", "quantity": 2}
ATTEMPT = Attempt.begin("C1", [Line("P1", 2)], "key")


def until_response(shop: CrashingShop, app: str, method: str, path: str, **request: Any) -> Any:
    """Repeat the request until there is a response other than 503."""
    for _ in range(TRIES):
        with suppress(ProcessDiedError):
            answer = getattr(shop, app).test_client().open(path, method=method, **request)
            if answer.status_code != 503:
                return answer
            continue
        shop.restart()
    raise AssertionError(f"{method} {path} never got a response")


def once(shop: CrashingShop, body: dict[str, Any]) -> Any:
    """Send the request once, as a client without a key must. None if no response arrives."""
    try:
        return shop.order.test_client().post("/orders", json=body)
    except ProcessDiedError:
        shop.restart()
        return None


def order_as_documented(shop: CrashingShop, **body: Any) -> str | None:
    """The order id that a client without a key gets if it follows docs/api.md. No call is late."""

    def send(method: str, path: str, body: Any = None, headers: Any = None) -> Reply | None:
        client: Any = shop.order.test_client()
        try:
            answer = client.open(path, method=method, json=body, headers=headers)
        except ProcessDiedError:
            shop.restart()
            return None
        return Reply(answer.status_code, answer.json, answer.headers)

    return DocumentedClient(send, lambda _: None, BODY | body).order()


def place(shop: CrashingShop, key: str = "key", headers: Any = None, **changes: Any) -> Any:
    headers = {"Idempotency-Key": key, **(headers or {})}
    return until_response(shop, "order", "POST", "/orders", json=BODY | changes, headers=headers)


def move(shop: CrashingShop, order_id: str, verb: str) -> Any:
    path = f"/orders/{order_id}/{verb}"
    return until_response(shop, "order", "POST", path, headers=AS_OPERATOR)


def move_part(shop: CrashingShop, order_id: str, verb: str, quantity: int = 1) -> Any:
    body = {"items": [{"line_id": "1", "quantity": quantity}]}
    headers = {**AS_OPERATOR, "Idempotency-Key": f"{verb}-{quantity}"}
    path = f"/orders/{order_id}/{verb}"
    return until_response(shop, "order", "POST", path, json=body, headers=headers)


def confirm(shop: CrashingShop, order_id: str) -> Any:
    path = f"/orders/{order_id}/confirm"
    return until_response(shop, "order", "POST", path, headers=AS_PAYMENT)


def offer(shop: CrashingShop, product_id: str = "P1", stock: int = STOCK) -> None:
    url, product = f"/products/{product_id}", {"name": "Lamp", "price": 10}
    answer = until_response(shop, "inventory", "PUT", url, json=product, headers=AS_OPERATOR)
    assert answer.status_code in (200, 201)
    body, headers = {"delta": stock, "reason": "opening stock"}, {"Idempotency-Key": "opening"}
    answer = until_response(
        shop,
        "inventory",
        "POST",
        f"{url}/adjustments",
        json=body,
        headers={**AS_OPERATOR, **headers},
    )
    assert answer.status_code == 201


def sweep(shop: CrashingShop) -> None:
    """Run reconcile until it finds no work. Restart crashed processes."""
    for _ in range(TRIES):
        with suppress(ProcessDiedError):
            report = shop.sweep()
            if not report.done and not report.failures:
                return
            continue
        shop.restart()
    raise AssertionError(f"reconcile does not run out of work: {report}")


def shown(shop: CrashingShop, order_id: str) -> str | None:
    """The status of the order in order's API. None for 404."""
    answer: Any = shop.order.test_client().get(f"/orders/{order_id}")
    return answer.json["status"] if answer.status_code == 200 else None


def counts(shop: CrashingShop, order_id: str) -> tuple[int, int, int]:
    """The cancelled, fulfilled and returned units of the order's first line."""
    answer: Any = shop.order.test_client().get(f"/orders/{order_id}")
    line = answer.json["items"][0]
    return line["cancelled"], line["fulfilled"], line["returned"]


def history(shop: CrashingShop, order_id: str) -> list[str]:
    answer: Any = shop.order.test_client().get(f"/orders/{order_id}")
    return [event["type"] for event in answer.json["history"]]


def held(shop: CrashingShop, attempt: Attempt = ATTEMPT) -> None:
    """The state after a crash between the reservation and the order."""
    shop.client.reserve(attempt.reservation_id, attempt.lines, soon())


# The flows: preparation; yield; the client's requests; yield; assertions.


def an_order_with_a_key(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    answer = place(shop)
    yield
    assert answer.status_code == 201
    assert shown(shop, answer.json["order_id"]) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def an_order_of_three_lines(shop: CrashingShop) -> Iterator[None]:
    names = ("P1", "P2", "P3")
    for name in names:
        offer(shop, name)
    yield
    items = [{"product_id": name, "quantity": 2} for name in names]
    body = {"customer_id": "C1", "items": items}
    headers = {"Idempotency-Key": "key"}
    answer = until_response(shop, "order", "POST", "/orders", json=body, headers=headers)
    yield
    assert answer.status_code == 201
    assert [shop.units(name) for name in names] == [(8, 2, 0)] * 3


def an_order_without_a_key(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    order_id = order_as_documented(shop)
    yield
    assert order_id is not None
    assert [each for each in shop.documents("orders") if shown(shop, each)] == [order_id]
    assert shown(shop, order_id) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def an_order_without_a_key_by_a_client_that_asks_once(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    answer = once(shop, BODY)
    yield
    if answer is not None and answer.status_code == 201:
        assert shown(shop, answer.json["order_id"]) == "confirmed"
        assert shop.units("P1") == (8, 2, 0)
    elif answer is not None and "order_id" not in answer.json:
        assert shop.units("P1") == (10, 0, 0), "no order was placed"
    else:
        assert shop.units("P1") in ((8, 2, 0), (10, 0, 0)), "the order exists or does not exist"


def a_refusal_with_a_key(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    answer = place(shop, quantity=11)
    yield
    assert answer.status_code == 409
    assert shown(shop, answer.json["order_id"]) == "rejected"
    offer(shop, stock=STOCK)
    assert place(shop, quantity=11).status_code == 409, "it is final"
    assert shop.units("P1") == (10, 0, 0)


def a_refusal_without_a_key(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    answer = once(shop, BODY | {"quantity": 11})
    yield
    assert answer is None or answer.status_code in (409, 503)
    assert not shop.documents("orders")
    assert shop.units("P1") == (10, 0, 0)


def a_replay(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    first = place(shop)
    yield
    again = place(shop)
    yield
    assert (again.status_code, again.json) == (201, first.json)
    assert shop.units("P1") == (8, 2, 0)


def a_replay_while_inventory_is_away(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    first = place(shop)
    shop.order_deadline = 0.5
    shop.restart()
    shop.inventory_is_away = True
    yield
    again = place(shop)
    shop.inventory_is_away = False
    shop.order_deadline = 5
    shop.restart()
    yield
    assert (again.status_code, again.json) == (201, first.json)
    assert shop.units("P1") == (8, 2, 0)


def another_body_under_the_key(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    first = place(shop)
    yield
    answer = place(shop, quantity=3)
    yield
    assert answer.status_code == 422
    assert shown(shop, first.json["order_id"]) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def a_price_that_has_changed(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    answer = place(shop, expected_total=19)
    yield
    assert answer.status_code == 409
    assert answer.json["type"] == "urn:problem-type:price-changed"
    assert shown(shop, answer.json["order_id"]) == "rejected"
    assert shop.units("P1") == (10, 0, 0)


def a_price_that_has_changed_without_a_key(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    answer = once(shop, BODY | {"expected_total": 19})
    yield
    assert answer is None or answer.status_code in (409, 503)
    assert shop.units("P1") == (10, 0, 0)


def a_retry_after_the_first_attempt_died(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    held(shop)
    yield
    answer = place(shop)
    yield
    assert answer.status_code == 201
    assert shop.units("P1") == (8, 2, 0)


def a_retry_after_the_first_attempt_was_abandoned(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    held(shop)
    sweep(shop)
    assert shop.units("P1") == (10, 0, 0)
    assert shown(shop, ATTEMPT.order_id) is None
    yield
    answer = place(shop)
    yield
    assert (answer.status_code, answer.json["order_id"]) == (201, ATTEMPT.order_id)
    assert shop.units("P1") == (8, 2, 0)
    document = shop.documents("orders")[ATTEMPT.order_id]
    assert document["attempt"] >= 1


def a_last_unit_that_an_abandoned_attempt_held(shop: CrashingShop) -> Iterator[None]:
    """The mark exists and the stock is not yet released: the next attempt releases it."""
    offer(shop, stock=2)
    held(shop)
    name = ReservationName.parse(ATTEMPT.reservation_id)
    assert name is not None
    shop.store.create(Order.new_abandoned_mark(name, datetime.now(UTC)), soon())
    yield
    answer = place(shop)
    yield
    assert answer.status_code == 201
    assert shop.units("P1") == (0, 2, 0)


def an_answer_while_inventory_is_away(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    shop.order_deadline = 0.5
    shop.restart()
    shop.inventory_is_away = True
    yield
    answer = place(shop, headers={"Prefer": "respond-async"})
    shop.inventory_is_away = False
    shop.order_deadline = 5
    shop.restart()
    yield
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/orders/{answer.json['order_id']}"
    assert shown(shop, answer.json["order_id"]) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def cancelling(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    answer = move(shop, order_id, "cancel")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "cancelled"
    assert shop.units("P1") == (10, 0, 0)


def cancelling_a_pending_order(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    shop.store.create(Order.new_pending(ATTEMPT, datetime.now(UTC)), soon())
    yield
    answer = move(shop, ATTEMPT.order_id, "cancel")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, ATTEMPT.order_id) == "cancelled"
    assert shop.units("P1") == (10, 0, 0)


def cancelling_an_order_of_a_retired_product(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    retired = {"name": "Lamp", "price": 10, "active": False}
    until_response(shop, "inventory", "PUT", "/products/P1", json=retired, headers=AS_OPERATOR)
    yield
    move(shop, order_id, "cancel")
    yield
    assert shown(shop, order_id) == "cancelled"
    assert shop.units("P1") == (10, 0, 0)


def fulfilling(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    answer = move(shop, order_id, "fulfil")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "fulfilled"
    assert shop.units("P1") == (8, 0, 2)
    assert move(shop, order_id, "cancel").status_code == 409


def cancelling_a_part(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    answer = move_part(shop, order_id, "cancel")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "confirmed"
    assert counts(shop, order_id) == (1, 0, 0)
    assert shop.units("P1") == (9, 1, 0)
    assert move_part(shop, order_id, "cancel").status_code == 200
    assert history(shop, order_id) == ["placed", "confirmed", "line_cancelled"]


def cancelling_part_after_part(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop, quantity=3).json["order_id"]
    yield
    move_part(shop, order_id, "cancel", 1)
    move_part(shop, order_id, "cancel", 2)
    yield
    assert shown(shop, order_id) == "cancelled"
    assert counts(shop, order_id) == (3, 0, 0)
    assert shop.units("P1") == (10, 0, 0)
    assert history(shop, order_id)[2:] == ["line_cancelled", "line_cancelled", "cancelled"]


def fulfilling_a_part(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    answer = move_part(shop, order_id, "fulfil")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "partially_fulfilled"
    assert counts(shop, order_id) == (0, 1, 0)
    assert shop.units("P1") == (8, 1, 1)


def returning_a_part(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    assert move(shop, order_id, "fulfil").status_code == 200
    yield
    answer = move_part(shop, order_id, "return")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "fulfilled"
    assert counts(shop, order_id) == (0, 2, 1)
    assert shop.units("P1") == (9, 0, 1)


def returning_everything(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    assert move(shop, order_id, "fulfil").status_code == 200
    path = f"/orders/{order_id}/return"
    headers = {**AS_OPERATOR, "Idempotency-Key": "everything"}
    yield
    answer = until_response(shop, "order", "POST", path, headers=headers)
    yield
    assert answer.status_code in (200, 202)
    assert counts(shop, order_id) == (0, 2, 2)
    assert shop.units("P1") == (10, 0, 0)


def cancelling_the_rest_of_a_partly_fulfilled_order(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    move_part(shop, order_id, "fulfil")
    answer = move(shop, order_id, "cancel")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "fulfilled"
    assert counts(shop, order_id) == (1, 1, 0)
    assert shop.units("P1") == (9, 0, 1)
    assert move(shop, order_id, "cancel").status_code == 200
    assert history(shop, order_id)[2:] == ["line_fulfilled", "line_cancelled", "fulfilled"]


def fulfilling_the_rest_of_a_partly_cancelled_order(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    move_part(shop, order_id, "cancel")
    answer = move(shop, order_id, "fulfil")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "fulfilled"
    assert counts(shop, order_id) == (1, 1, 0)
    assert shop.units("P1") == (9, 0, 1)


def moving_a_part_while_inventory_is_away(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    shop.order_deadline = 0.5
    shop.restart()
    shop.inventory_is_away = True
    yield
    answer = move_part(shop, order_id, "cancel")
    shop.inventory_is_away = False
    shop.order_deadline = 5
    shop.restart()
    yield
    assert answer.status_code == 202
    assert shown(shop, order_id) == "confirmed"
    assert counts(shop, order_id) == (1, 0, 0)
    assert shop.units("P1") == (9, 1, 0)


def a_hold_and_its_payment(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    placed = place(shop, hold_seconds=3600)
    answer = confirm(shop, placed.json["order_id"])
    yield
    assert (placed.status_code, answer.status_code) == (201, 200)
    assert answer.json["status"] == "confirmed"
    assert shown(shop, answer.json["order_id"]) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)
    assert history(shop, answer.json["order_id"]) == ["placed", "awaiting_payment", "confirmed"]


def a_hold_that_is_cancelled(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    order_id = place(shop, hold_seconds=3600).json["order_id"]
    answer = move(shop, order_id, "cancel")
    yield
    assert answer.status_code in (200, 202)
    assert shown(shop, order_id) == "cancelled"
    assert shop.units("P1") == (10, 0, 0)
    late = confirm(shop, order_id)
    assert (late.status_code, late.json["type"]) == (409, "urn:problem-type:not-confirmable")


def a_hold_while_inventory_is_away(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    attempt = replace(ATTEMPT, hold_seconds=3600)
    shop.store.create(Order.new_pending(attempt, datetime.now(UTC)), soon())
    yield
    sweep(shop)
    yield
    assert shown(shop, attempt.order_id) == "awaiting_payment"
    assert confirm(shop, attempt.order_id).status_code == 200
    assert shop.units("P1") == (8, 2, 0)


def an_overdue_hold(shop: CrashingShop) -> str:
    held(shop)
    items, currency = shop.client.reserve(ATTEMPT.reservation_id, ATTEMPT.lines, soon())
    attempt = replace(ATTEMPT, hold_seconds=0)
    order = Order.new_reserved(attempt, items, currency, datetime.now(UTC))
    shop.store.create(order, soon())
    return order.order_id


def a_hold_that_expires(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = an_overdue_hold(shop)
    yield
    sweep(shop)
    yield
    assert shown(shop, order_id) == "cancelled"
    assert shop.units("P1") == (10, 0, 0)
    late = confirm(shop, order_id)
    assert (late.status_code, late.json["type"]) == (409, "urn:problem-type:order-expired")


def a_payment_that_is_late_but_in_time(shop: CrashingShop) -> Iterator[None]:
    """No sweep has tried the expiry, so the order still awaits its payment."""
    offer(shop)
    order_id = an_overdue_hold(shop)
    yield
    answer = confirm(shop, order_id)
    yield
    assert answer.status_code == 200
    assert shown(shop, order_id) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def sweeping_up_a_dead_attempt(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    held(shop)
    yield
    sweep(shop)
    yield
    assert shown(shop, ATTEMPT.order_id) is None
    assert shop.units("P1") == (10, 0, 0)


def sweeping_up_a_second_dead_attempt(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    held(shop)
    sweep(shop)
    name = ReservationName.parse(ATTEMPT.reservation_id)
    assert name is not None
    held(shop, ATTEMPT.after(name.attempt_number))
    yield
    sweep(shop)
    yield
    assert shop.units("P1") == (10, 0, 0)
    assert shop.documents("orders")[ATTEMPT.order_id]["attempt"] == 1
    assert place(shop).status_code == 201


def sweeping_up_what_nobody_has_named(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    shop.client.reserve("made-by-hand", [Line("P1", 2)], soon())
    yield
    sweep(shop)
    yield
    assert shop.units("P1") == (10, 0, 0)


def confirming(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    yield
    sweep(shop)
    yield
    (reservation,) = shop.documents("reservations").values()
    assert reservation["status"] == "confirmed"
    assert shown(shop, order_id) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def completing_a_pending_order(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    shop.store.create(Order.new_pending(ATTEMPT, datetime.now(UTC)), soon())
    yield
    sweep(shop)
    yield
    assert shown(shop, ATTEMPT.order_id) == "confirmed"
    assert shop.units("P1") == (8, 2, 0)


def rejecting_a_pending_order(shop: CrashingShop) -> Iterator[None]:
    offer(shop, stock=1)
    shop.store.create(Order.new_pending(ATTEMPT, datetime.now(UTC)), soon())
    yield
    sweep(shop)
    yield
    assert shown(shop, ATTEMPT.order_id) == "rejected"
    assert place(shop).status_code == 409
    assert shop.units("P1") == (1, 0, 0)


def a_pending_order_whose_price_has_changed(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    attempt = Attempt.begin("C1", [Line("P1", 2)], "key", expected_total=1900)
    shop.store.create(Order.new_pending(attempt, datetime.now(UTC)), soon())
    yield
    sweep(shop)
    yield
    assert shown(shop, attempt.order_id) == "rejected"
    assert shop.units("P1") == (10, 0, 0)


def finishing_a_cancel(shop: CrashingShop) -> Iterator[None]:
    yield from _finishing(shop, lambda order: order.begin_cancel(BY), "cancelled", (10, 0, 0))


def finishing_a_fulfilment(shop: CrashingShop) -> Iterator[None]:
    yield from _finishing(shop, lambda order: order.begin_fulfil(BY), "fulfilled", (8, 0, 2))


def finishing_a_movement(shop: CrashingShop) -> Iterator[None]:
    def begin(order: Order) -> Order:
        return order.begin_movement(MovementKind.CONSUME, {"1": 1}, BY, "key")

    yield from _finishing(shop, begin, "partially_fulfilled", (8, 1, 1))


def _finishing(
    shop: CrashingShop,
    begin: Callable[[Order], Order],
    status: str,
    units: tuple[int, int, int],
) -> Iterator[None]:
    offer(shop)
    order_id = place(shop).json["order_id"]
    found = shop.store.get(order_id, soon())
    assert found is not None
    order, version = found
    shop.store.replace(begin(order), version, soon())
    yield
    sweep(shop)
    yield
    assert shown(shop, order_id) == status
    assert shop.units("P1") == units


def erasing_a_customer(shop: CrashingShop) -> Iterator[None]:
    """Of three orders. One is pending, and its flow goes on under the same key."""
    offer(shop)
    placed = [place(shop, key, note="Ring twice").json["order_id"] for key in ("1", "2")]
    shop.store.create(Order.new_pending(ATTEMPT, datetime.now(UTC)), soon())
    yield
    answer = until_response(shop, "order", "POST", "/customers/C1/erase", headers=AS_OPERATOR)
    replay = place(shop, "1", note="Ring twice")
    yield
    assert (answer.status_code, answer.json["complete"]) == (200, True)
    assert (replay.status_code, replay.json["order_id"]) == (201, placed[0])
    orders = shop.documents("orders")
    assert {each["customer_id"] for each in orders.values()} == {"erased"}
    assert not [each for each in orders.values() if "note" in each]
    assert shown(shop, ATTEMPT.order_id) == "confirmed"
    assert shop.units("P1") == (4, 6, 0)


def a_new_product_and_its_stock(shop: CrashingShop) -> Iterator[None]:
    yield
    offer(shop)
    yield
    assert shop.units("P1") == (10, 0, 0)


def read(shop: CrashingShop, product_id: str = "P1") -> Any:
    return until_response(shop, "inventory", "GET", f"/products/{product_id}")


def change(shop: CrashingShop, **changes: object) -> Any:
    """A change as docs/api.md describes it: after a 412, read and repeat what is missing."""
    for _ in range(TRIES):
        found = read(shop)
        if all(found.json[field] == value for field, value in changes.items()):
            return found
        headers = AS_OPERATOR | {"If-Match": found.headers["ETag"]}
        answer = until_response(
            shop, "inventory", "PATCH", "/products/P1", json=changes, headers=headers
        )
        if answer.status_code == 200:
            return answer
        assert answer.status_code == 412
    raise AssertionError("the change was never made")


def changes_of_two_clerks(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    change(shop, name="Lantern")
    change(shop, price=12)
    yield
    found = read(shop).json
    assert (found["name"], found["price"]) == ("Lantern", 12)
    assert shop.units("P1") == (10, 0, 0)


def an_import_of_two_products(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    yield
    lines = [{"product_id": name, "name": "Lamp", "price": 9, "add_stock": 5} for name in "PQ"]
    for _ in range(TRIES):
        answer = until_response(
            shop,
            "inventory",
            "POST",
            "/products:import",
            data="\n".join(map(json.dumps, lines)),
            content_type="application/x-ndjson",
            headers=AS_OPERATOR | {"Idempotency-Key": "import"},
        )
        results = [json.loads(line) for line in answer.text.splitlines()]
        if all(result["status"] in (200, 201) for result in results):
            break
    yield
    assert [shop.units(name) for name in "PQ"] == [(5, 0, 0), (5, 0, 0)]


def an_order_beyond_the_limit(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    change(shop, max_per_order=1)
    yield
    answers = [place(shop) for _ in range(2)]
    yield
    assert {answer.status_code for answer in answers} == {409}
    limits = [{"product_id": "P1", "requested": 2, "max_per_order": 1}]
    assert all(answer.json["limits"] == limits for answer in answers)
    assert shop.units("P1") == (10, 0, 0)


def an_event_of_low_stock(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    change(shop, low_stock_threshold=8)
    shop.has_sink = True
    shop.restart()
    yield
    answer = place(shop)
    try:
        shop.publish_low_stock()
    except ProcessDiedError:
        shop.restart()
    yield
    assert answer.status_code == 201
    assert not shop.documents("low_stock_events")
    (event,) = _events_of_products(shop)
    assert json.loads(event.body)["available"] == 8


def an_event_of_low_stock_that_reconcile_sends(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    change(shop, low_stock_threshold=8)
    shop.has_sink = True
    shop.restart()
    place(shop)
    shop.restart()
    yield
    sweep(shop)
    yield
    assert not shop.documents("low_stock_events")
    assert len(_events_of_products(shop)) == 1


def _events_of_products(shop: CrashingShop) -> list[EventRequest]:
    """The different events that the sink has received, without those of orders."""
    found = {event.event_id: event for event in shop.received}
    of_products = [each for each in found.values() if not each.event_id.startswith("ORD")]
    assert all(event.body == found[event.event_id].body for event in shop.received)
    return of_products


def events_of_an_order(shop: CrashingShop) -> Iterator[None]:
    """The process publishes its own events; ``reconcile`` publishes what a crash left."""
    offer(shop)
    shop.has_sink = True
    shop.restart()
    yield
    order_id = place(shop).json["order_id"]
    for verb in (None, "cancel"):
        if verb is not None:
            move(shop, order_id, verb)
        try:
            shop.publish_order_events()
        except ProcessDiedError:
            shop.restart()
    yield
    _check_events(shop, order_id, ["placed", "confirmed", "cancelled"])


def events_of_an_order_that_reconcile_sends(shop: CrashingShop) -> Iterator[None]:
    offer(shop)
    shop.has_sink = True
    shop.restart()
    order_id = place(shop).json["order_id"]
    shop.cancel(order_id)
    shop.restart()
    yield
    sweep(shop)
    yield
    _check_events(shop, order_id, ["placed", "confirmed", "cancelled"])


def _check_events(shop: CrashingShop, order_id: str, types: list[str]) -> None:
    """Each event came, the first deliveries in sequence, and a repeated one is the same."""
    document = shop.documents("orders")[order_id]
    assert [each["type"] for each in document["history"]] == types
    assert (document["events_sent"], "unsent_events" in document) == (len(types), False)
    first = list(dict.fromkeys(event.event_id for event in shop.received))
    assert first == [f"{order_id}.{seq}" for seq in range(1, len(types) + 1)]
    assert len({(event.event_id, event.body) for event in shop.received}) == len(types)


FLOWS: tuple[Flow, ...] = (
    an_order_with_a_key,
    an_order_of_three_lines,
    an_order_without_a_key,
    an_order_without_a_key_by_a_client_that_asks_once,
    a_refusal_with_a_key,
    a_refusal_without_a_key,
    a_replay,
    a_replay_while_inventory_is_away,
    another_body_under_the_key,
    a_price_that_has_changed,
    a_price_that_has_changed_without_a_key,
    a_retry_after_the_first_attempt_died,
    a_retry_after_the_first_attempt_was_abandoned,
    a_last_unit_that_an_abandoned_attempt_held,
    an_answer_while_inventory_is_away,
    cancelling,
    cancelling_a_pending_order,
    cancelling_an_order_of_a_retired_product,
    fulfilling,
    cancelling_a_part,
    cancelling_part_after_part,
    fulfilling_a_part,
    returning_a_part,
    returning_everything,
    cancelling_the_rest_of_a_partly_fulfilled_order,
    fulfilling_the_rest_of_a_partly_cancelled_order,
    moving_a_part_while_inventory_is_away,
    a_hold_and_its_payment,
    a_hold_that_is_cancelled,
    a_hold_while_inventory_is_away,
    a_hold_that_expires,
    a_payment_that_is_late_but_in_time,
    sweeping_up_a_dead_attempt,
    sweeping_up_a_second_dead_attempt,
    sweeping_up_what_nobody_has_named,
    confirming,
    completing_a_pending_order,
    rejecting_a_pending_order,
    a_pending_order_whose_price_has_changed,
    finishing_a_cancel,
    finishing_a_fulfilment,
    finishing_a_movement,
    erasing_a_customer,
    a_new_product_and_its_stock,
    changes_of_two_clerks,
    an_import_of_two_products,
    an_order_beyond_the_limit,
    an_event_of_low_stock,
    events_of_an_order,
    events_of_an_order_that_reconcile_sends,
    an_event_of_low_stock_that_reconcile_sends,
)


def run(flow: Flow, shop: CrashingShop, place: int = 0, how: Cut = Cut.LOST) -> list[str]:
    """The remote calls of the flow's second part. Place 0 interrupts none of them."""
    shop.begin()
    steps = flow(shop)
    next(steps)
    shop.network.cut(place, how)
    next(steps)
    calls = shop.network.calls
    shop.network.heal()
    sweep(shop)
    assert not shop.findings()
    next(steps, None)
    assert not shop.findings()
    return calls


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_flow_recovers_when_a_remote_call_is_interrupted(
    shop: CrashingShop, flow: Flow, covered: list[tuple[str, int, int]]
) -> None:
    calls = run(flow, shop)
    assert calls
    points = [(place, how) for place in range(1, len(calls) + 1) for how in Cut]
    for place, how in points:
        try:
            run(flow, shop, place, how)
        except AssertionError as error:
            error.add_note(f"cut short {how} at call {place}: {calls[place - 1]}")
            raise
    covered.append((flow.__name__, len(calls), len(points)))


def test_unfinished_statuses_are_those_that_a_sweep_finishes() -> None:
    """An order that awaits its payment is not unfinished before it is overdue."""
    stable = {
        Status.AWAITING_PAYMENT,
        Status.CONFIRMED,
        Status.PARTIALLY_FULFILLED,
        Status.CANCELLED,
        Status.REJECTED,
        Status.FULFILLED,
        Status.ABANDONED,
    }
    assert set(Status) - stable == {Status.PENDING, *MOVING_STATUSES}
