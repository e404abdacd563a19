"""An order, end to end: both functions as processes, over HTTP, on a real emulator."""

from __future__ import annotations

import re
import uuid

import pytest
from support.processes.shop import Shop, at_once, count


def new_product(shop: Shop, stock: int) -> str:
    product_id = f"P-{uuid.uuid4().hex[:8]}"
    shop.offer(product_id, stock)
    return product_id


def test_stock_is_right_after_two_orders_and_a_cancel(shop: Shop) -> None:
    product_id = new_product(shop, 50)
    first, second = (shop.place(product_id, 2) for _ in range(2))
    assert first.status_code == second.status_code == 201
    order = first.json()
    assert re.fullmatch(r"ORD[0-9A-Z]{26}", order["order_id"])
    assert (order["status"], order["total_price"]) == ("confirmed", 1999.98)
    assert shop.stock(product_id) == (46, 4)
    for _ in range(2):
        answer = shop.cancel(order["order_id"])
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert shop.stock(product_id) == (48, 2)
    assert shop.show(f"/orders/{order['order_id']}")["status"] == "cancelled"
    listed = shop.show("/orders?customer_id=C123")["orders"]
    assert {order["order_id"], second.json()["order_id"]} <= {each["order_id"] for each in listed}


def test_order_passes_the_catalogue_through(shop: Shop) -> None:
    product_id = new_product(shop, 3)
    product = shop.show(f"/products/{product_id}")
    assert (product["available_quantity"], product["currency"]) == (3, "USD")
    assert product["last_updated"]
    assert shop.show(f"/products?ids={product_id}")["products"] == [product]


def test_killed_functions_lose_nothing_when_they_restart(own_shop: Shop) -> None:
    product_id = new_product(own_shop, 50)
    kept = own_shop.place(product_id, 2).json()
    for url in (own_shop.inventories[0], own_shop.orders[0]):
        own_shop.kill(url)
        own_shop.start(url)
        assert own_shop.show(f"/orders/{kept['order_id']}") == kept
        assert own_shop.place(product_id).status_code == 201
    assert own_shop.stock(product_id) == (46, 4)


def test_two_pairs_of_processes_give_equal_responses(two_pairs: Shop) -> None:
    product_id = new_product(two_pairs, 50)
    order = two_pairs.place(product_id, n=0).json()
    path = f"/orders/{order['order_id']}"
    assert two_pairs.show(path, 0) == two_pairs.show(path, 1) == order
    assert two_pairs.stock(product_id, 0) == two_pairs.stock(product_id, 1) == (49, 1)
    replay = two_pairs.place(product_id, n=1, key="both")
    assert two_pairs.place(product_id, n=0, key="both").json() == replay.json()


@pytest.mark.parametrize("_again", range(20))
def test_last_ten_units_are_sold_once_to_fifty_buyers(two_pairs: Shop, _again: int) -> None:
    product_id = new_product(two_pairs, 10)
    answers = at_once(lambda n: two_pairs.place(product_id, n=n), 50)
    assert count(answers) == {201: 10, 409: 40}
    assert two_pairs.stock(product_id) == (0, 10)
    for answer in answers:
        if answer.status_code == 201:
            order = answer.json()
            assert two_pairs.show(f"/orders/{order['order_id']}") == order


@pytest.mark.parametrize("_again", range(20))
def test_one_order_is_placed_by_twenty_clients_with_one_key(two_pairs: Shop, _again: int) -> None:
    product_id = new_product(two_pairs, 50)
    key = uuid.uuid4().hex
    answers = at_once(lambda n: two_pairs.place(product_id, 2, n=n, key=key), 20)
    assert count(answers) == {201: 20}
    assert len({answer.text for answer in answers}) == 1
    assert two_pairs.stock(product_id) == (48, 2)
    first = [answer for answer in answers if "Idempotent-Replayed" not in answer.headers]
    assert len(first) == 1
