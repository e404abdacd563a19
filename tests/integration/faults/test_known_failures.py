"""Known failures of other order systems, one test each. They must not happen here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import requests
from support.in_process.apps import OPERATOR
from support.in_process.crashing import CrashingShop, Cut
from support.in_process.dying import ProcessDiedError
from support.processes.shop import TIMEOUT, Shop, at_once, count

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}


def new_product(shop: Shop, stock: int, price: float = 10) -> str:
    product_id = f"P-{uuid.uuid4().hex[:8]}"
    shop.offer(product_id, stock, price)
    return product_id


def order(shop: Shop, body: dict[str, Any], key: str | None = None, n: int = 0) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    url = f"{shop.orders[n % len(shop.orders)]}/orders"
    whole = {"customer_id": "C123", **body}
    return requests.post(url, json=whole, headers=headers, timeout=TIMEOUT)


def put_product(shop: Shop, product_id: str, **body: Any) -> None:
    url = f"{shop.inventories[0]}/products/{product_id}"
    requests.put(url, json=body, headers=AS_OPERATOR, timeout=TIMEOUT).raise_for_status()


def test_last_unit_is_sold_once_to_two_buyers(two_pairs: Shop) -> None:
    """medusa#16825: N buyers race for the last unit, and two orders are placed."""
    for _ in range(5):
        product_id = new_product(two_pairs, 1)
        answers = at_once(lambda n, p=product_id: two_pairs.place(p, n=n), 12)  # type: ignore[misc]
        assert count(answers) == {201: 1, 409: 11}
        assert two_pairs.stock(product_id) == (0, 1)


def test_stock_is_checked_and_reserved_in_one_transaction(two_pairs: Shop) -> None:
    """vendure#4930, saleor#543: both buyers read enough stock, and both reserve it."""
    product_id = new_product(two_pairs, 5)
    answers = at_once(lambda n: two_pairs.place(product_id, 3, n=n), 8)
    assert count(answers) == {201: 1, 409: 7}
    assert two_pairs.stock(product_id) == (2, 3)


def test_lines_are_reserved_together_or_not_at_all(two_pairs: Shop) -> None:
    """saleor#5334: one order in N lacks the allocation of one of its lines."""
    products = [new_product(two_pairs, 6) for _ in range(3)]

    def both_ways(n: int) -> Any:
        lines = [{"product_id": each, "quantity": 1} for each in products]
        return order(two_pairs, {"items": lines[:: (1, -1)[n // 2 % 2]]}, n=n)

    assert count(at_once(both_ways, 12)) == {201: 6, 409: 6}
    assert [two_pairs.stock(each) for each in products] == [(0, 6)] * 3
    held = [
        line["product_id"]
        for path, document in two_pairs.documents().items()
        if path.startswith("reservations/") and document["status"] != "released"
        for line in document["lines"]
    ]
    assert [held.count(each) for each in products] == [6] * 3


def test_product_on_two_lines_is_reserved_for_both(shop: Shop) -> None:
    """vendure#1028: the second line overwrites the first line's reservation."""
    product_id = new_product(shop, 5)
    lines = [{"product_id": product_id, "quantity": n} for n in (1, 2)]
    answer = order(shop, {"items": lines})
    assert answer.status_code == 201
    assert [item["quantity"] for item in answer.json()["items"]] == [3]
    assert shop.stock(product_id) == (2, 3)
    assert order(shop, {"items": lines}).status_code == 409, "neither line alone is too much"


def test_double_click_is_one_order(two_pairs: Shop) -> None:
    """openfoodnetwork#2690: the same checkout runs twice at the same moment."""
    product_id, key = new_product(two_pairs, 9), uuid.uuid4().hex
    first, second = at_once(lambda n: two_pairs.place(product_id, n=n, key=key), 2)
    assert (first.status_code, first.json()) == (201, second.json())
    assert two_pairs.stock(product_id) == (8, 1)


def test_late_repeated_delivery_is_no_second_order(shop: Shop) -> None:
    """ps_checkout#1548: the webhook is delivered again after the order was cancelled."""
    product_id, key = new_product(shop, 9), uuid.uuid4().hex
    first = shop.place(product_id, key=key)
    shop.cancel(first.json()["order_id"])
    again = shop.place(product_id, key=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.json()["order_id"], again.json()["status"]) == (
        first.json()["order_id"],
        "cancelled",
    )
    assert shop.stock(product_id) == (9, 0)


def test_order_has_the_lines_of_one_request_when_the_cart_is_edited(two_pairs: Shop) -> None:
    """spree#11286: the order matches neither the cart before the change nor the one after it."""
    product_id, key = new_product(two_pairs, 50), uuid.uuid4().hex
    answers = at_once(lambda n: two_pairs.place(product_id, 1 + n % 2, n=n // 2, key=key), 12)
    assert count(answers) == {201: 6, 422: 6}
    (quantity,) = {each.json()["quantity"] for each in answers if each.status_code == 201}
    assert two_pairs.stock(product_id) == (50 - quantity, quantity)


def test_order_keeps_its_name_and_price_when_the_product_changes(shop: Shop) -> None:
    """magento#2773: orders change with the catalogue, and their stock is lost."""
    product_id = new_product(shop, 9, price=10)
    before = shop.place(product_id, 2).json()
    put_product(shop, product_id, name="Laptop 2", price=99)
    path = f"/orders/{before['order_id']}"
    assert shop.show(path) == before
    assert before["items"][0]["name"] == "Laptop"
    assert before["total_price"] == 20
    put_product(shop, product_id, name="Laptop 2", price=99, active=False)
    assert shop.cancel(before["order_id"]).status_code == 200
    assert shop.stock(product_id) == (9, 0)


def test_total_has_no_fraction_of_a_cent(shop: Shop) -> None:
    """medusa#14818: a total below one cent. As floats, 3 times 0.07 is 0.21000000000000002."""
    cheap = new_product(shop, 9, price=0.07)
    answer = order(shop, {"product_id": cheap, "quantity": 3})
    assert json.loads(answer.text, parse_float=Decimal)["total_price"] == Decimal("0.21")
    url = f"{shop.inventories[0]}/products/{cheap}"
    half = {"name": "Half a cent", "price": 0.005}
    refused = requests.put(url, json=half, headers=AS_OPERATOR, timeout=TIMEOUT)
    assert refused.status_code == 422


def test_cancelling_releases_only_the_stock_of_the_order(shop: Shop) -> None:
    """vendure#1557: cancelling frees more than was allocated."""
    product_id, key = new_product(shop, 5), uuid.uuid4().hex
    refused = shop.place(product_id, 6, key=key)
    assert refused.status_code == 409
    assert shop.cancel(refused.json()["order_id"]).status_code == 409
    assert shop.stock(product_id) == (5, 0)


def test_stock_is_released_once_by_two_cancels(two_pairs: Shop) -> None:
    """magento#1878: a cancel and its repetition each compensate."""
    product_id = new_product(two_pairs, 5)
    kept, given_up = (two_pairs.place(product_id, 2).json()["order_id"] for _ in range(2))
    answers = at_once(lambda _: two_pairs.cancel(given_up), 10)
    assert {answer.json()["status"] for answer in answers} <= {"cancelled", "cancelling"}
    assert two_pairs.cancel(given_up).json()["status"] == "cancelled"
    assert two_pairs.stock(product_id) == (3, 2)
    assert two_pairs.show(f"/orders/{kept}")["status"] == "confirmed"


# In these tests a process crashes at a chosen remote call.


@pytest.fixture
def crashing(emulator: str) -> Iterator[CrashingShop]:
    with CrashingShop(emulator) as shop:
        shop.begin()
        shop.offer("P1", 10)
        yield shop


def dies_after(shop: CrashingShop, place: int, act: Callable[[], object]) -> bool:
    """Crash after call ``place``, counted from 1, and restart. False if there were fewer calls."""
    shop.network.cut(place, Cut.AFTER)
    with suppress(ProcessDiedError):
        act()
    died = len(shop.network.calls) >= place
    shop.network.heal()
    shop.restart()
    return died


def test_stock_is_released_when_the_order_write_fails(crashing: CrashingShop) -> None:
    """medusa#13625: a later step fails, and the compensation of the first does not run."""
    crashing.network.cut(4, Cut.BEFORE)  # the write of the order
    with pytest.raises(ProcessDiedError):
        crashing.place("key")
    assert crashing.network.calls[-1] == "order BatchWrite"
    assert crashing.units("P1") == (8, 2, 0)
    crashing.restart()
    crashing.sweep()
    assert crashing.units("P1") == (10, 0, 0)
    assert crashing.findings() == []


def test_stock_is_released_once_when_a_release_is_repeated(crashing: CrashingShop) -> None:
    """magento#1878: the compensation is repeated, here because its response was lost."""
    crashing.place("kept")
    order_id = crashing.place("key").json["order_id"]
    crashing.network.cut(3, Cut.LOST)
    assert crashing.cancel(order_id).json["status"] == "cancelled"
    calls = crashing.network.calls
    assert calls[2] == "order POST /reservations:release"
    assert calls.count(calls[2]) == 2
    assert crashing.units("P1") == (8, 2, 0)
    assert crashing.sweep().failures == []
    assert crashing.findings() == []


def test_cancel_is_finished_when_a_process_crashes_within_it(crashing: CrashingShop) -> None:
    """magento#2290: the order says cancelled and its stock stays reserved, or the reverse."""
    died, place = True, 0
    while died:
        place += 1
        order_id = crashing.place(f"key-{place}").json["order_id"]
        died = dies_after(crashing, place, partial(crashing.cancel, order_id))
        assert crashing.cancel(order_id).json["status"] == "cancelled"
        assert crashing.units("P1") == (10, 0, 0)
    assert place > 7
    crashing.sweep()
    assert crashing.findings() == []


def test_retry_places_the_order_when_the_first_delivery_failed(crashing: CrashingShop) -> None:
    """EShop's command log: the id is stored first, so a retry gets 'done' without any order."""
    died, place = True, 0
    while died:
        place += 1
        died = dies_after(crashing, place, partial(crashing.place, f"key-{place}"))
        done = crashing.documents("orders")
        answer = crashing.place(f"key-{place}")
        order_id = answer.json["order_id"]
        assert (answer.status_code, answer.json["status"]) == (201, "confirmed")
        assert ("Idempotent-Replayed" in answer.headers) == (order_id in done)
        assert crashing.units("P1") == (8, 2, 0)
        crashing.cancel(order_id)
    assert place > 4
