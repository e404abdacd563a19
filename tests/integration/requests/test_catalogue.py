"""The catalogue on real processes: concurrent clerks, a hot product, and imports."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from local.processes import direct_session
from support.in_process.apps import OPERATOR, ORDER
from support.processes.shop import TIMEOUT, Shop

from inventory_function.domain import MAX_IMPORT_BODY, MAX_IMPORT_LINES

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}
PATCHES = 1_000
ATTEMPTS = 200
"""Of one change, each after a 412."""


class Clerk:
    """Changes one product, and reads it again after each 412."""

    def __init__(self, inventory: str, product_id: str) -> None:
        self._url = f"{inventory}/products/{product_id}"
        self._session = direct_session()

    def change(self, field: str) -> int:
        """Add 1 to the field, which another clerk changes as well. Returns the number of 412."""
        for conflicts in range(ATTEMPTS):
            read = self._session.get(self._url, timeout=TIMEOUT)
            headers = AS_OPERATOR | {"If-Match": read.headers["ETag"]}
            body = {field: read.json()[field] + 1}
            response = self._session.patch(self._url, json=body, headers=headers, timeout=TIMEOUT)
            if response.status_code == 200:
                return conflicts
            assert response.status_code == 412, response.text
        raise AssertionError("the clerk never succeeded")


def new_product(shop: Shop, stock: int = 10) -> str:
    product_id = f"P-{uuid.uuid4().hex[:8]}"
    shop.offer(product_id, stock, 1)
    shop.patch(product_id, max_per_order=1, low_stock_threshold=0)
    return product_id


def shown(shop: Shop, product_id: str) -> Any:
    return requests.get(f"{shop.inventories[0]}/products/{product_id}", timeout=TIMEOUT).json()


@pytest.mark.one_emulator
def test_no_update_is_lost_when_two_clerks_change_a_product_1000_times(two_pairs: Shop) -> None:
    """Each clerk uses another process of inventory. Each change adds 1 to a field."""
    product_id = new_product(two_pairs)
    clerks = [Clerk(each, product_id) for each in two_pairs.inventories]
    fields = ("price", "low_stock_threshold")

    def work(clerk: Clerk) -> int:
        return sum(clerk.change(fields[n % 2]) for n in range(PATCHES // 2))

    with ThreadPoolExecutor(2) as pool:
        conflicts = sum(pool.map(work, clerks))
    after = shown(two_pairs, product_id)
    assert (after["price"], after["low_stock_threshold"]) == (1 + PATCHES // 2, PATCHES // 2)
    assert conflicts > 0


def test_clerk_changes_a_product_that_sells(two_pairs: Shop) -> None:
    product_id = new_product(two_pairs, 1_000)
    clerk = Clerk(two_pairs.inventories[0], product_id)
    with ThreadPoolExecutor(8) as pool:
        sales = [pool.submit(two_pairs.place, product_id, 1, n=n) for n in range(80)]
        conflicts = [clerk.change("price") for _ in range(10)]
    assert {sale.result().status_code for sale in sales} == {201}
    assert conflicts == [0] * 10
    assert shown(two_pairs, product_id)["price"] == 11
    assert two_pairs.stock(product_id) == (920, 80)


def test_order_beyond_the_limit_is_rejected_for_good(shop: Shop) -> None:
    product_id = new_product(shop)
    body = {"customer_id": "C123", "product_id": product_id, "quantity": 2}
    responses = [
        requests.post(
            f"{shop.orders[0]}/orders",
            json=body,
            headers={"Idempotency-Key": product_id},
            timeout=TIMEOUT,
        )
        for _ in range(2)
    ]
    for response in responses:
        assert response.status_code == 409
        assert response.json()["type"] == "urn:problem-type:max-per-order-exceeded"
        limit = {"product_id": product_id, "requested": 2, "max_per_order": 1}
        assert response.json()["limits"] == [limit]
    assert responses[1].headers["Idempotent-Replayed"] == "true"
    order_id = responses[0].json()["order_id"]
    stored = requests.get(f"{shop.orders[0]}/orders/{order_id}", timeout=TIMEOUT).json()
    assert stored["rejection"]["limits"] == responses[0].json()["limits"]


def import_lines(shop: Shop, data: bytes | Iterator[bytes], key: str, token: str = OPERATOR) -> Any:
    return requests.post(
        f"{shop.inventories[0]}/products:import",
        data=data,
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": key,
        },
        timeout=60,
    )


@pytest.mark.one_emulator
def test_thousands_of_products_are_imported_once(two_pairs: Shop) -> None:
    """A request that runs out of time says so for each line; repeat it under its key.

    The tests that list all products share the other shop.
    """
    shop = two_pairs
    prefix, count = f"I{uuid.uuid4().hex[:6]}", MAX_IMPORT_LINES
    data = b"\n".join(
        json.dumps(
            {"product_id": f"{prefix}-{n:04}", "name": "Lamp", "price": 9.5, "add_stock": 7}
        ).encode()
        for n in range(count)
    )
    for _ in range(20):
        response = import_lines(shop, data, prefix)
        assert response.status_code == 200, response.text
        found = [json.loads(line) for line in response.text.splitlines()]
        assert [each["line"] for each in found] == list(range(1, count + 1))
        if all(each["status"] in (200, 201) for each in found):
            break
        assert {each["status"] for each in found} <= {200, 201, 503}
    assert {each["available_quantity"] for each in found} == {7}
    assert {each.get("replayed") for each in map(json.loads, import_again(shop, data, prefix))} == {
        True
    }
    assert shown(shop, f"{prefix}-{count - 1:04}")["available_quantity"] == 7


def import_again(shop: Shop, data: bytes, key: str) -> list[str]:
    """The lines of the result of the first 100 lines."""
    return list(import_lines(shop, b"\n".join(data.split(b"\n")[:100]), key).text.splitlines())


def test_long_import_is_received_from_the_operator_only(shop: Shop) -> None:
    data = b'{"product_id":"P001"}\n' + b" " * 100_000

    def chunks(size: int) -> Iterator[bytes]:
        for _ in range(size // 10_000):
            yield b" " * 10_000

    assert import_lines(shop, data, "long").status_code == 200
    assert import_lines(shop, chunks(500_000), "long").status_code == 422
    for token in (ORDER, "a-token-it-made-up"):
        assert import_lines(shop, data, "long", token).status_code == 413
        assert import_lines(shop, chunks(500_000), "long", token).status_code == 413
    for body in (b" " * (MAX_IMPORT_BODY + 1), chunks(2 * MAX_IMPORT_BODY)):
        response = import_lines(shop, body, "long")
        assert response.status_code == 413
        assert response.json()["detail"] == f"The body is longer than {MAX_IMPORT_BODY} bytes."


def test_list_of_products_on_sale_is_filtered(shop: Shop) -> None:
    product_id = new_product(shop)
    url = f"{shop.inventories[0]}/products"
    name = f"Z{uuid.uuid4().hex}"
    for headers in (AS_OPERATOR, {}):
        shop.patch(product_id, name=name)
        for query in (f"ids={product_id}", f"name_prefix={name[:-1]}"):
            for each in (url, f"{shop.orders[0]}/products"):
                found = requests.get(f"{each}?{query}", headers=headers, timeout=TIMEOUT).json()
                assert [product["product_id"] for product in found["products"]] == [product_id]
    shop.patch(product_id, active=False)
    found = requests.get(f"{shop.orders[0]}/products?ids={product_id}", timeout=TIMEOUT).json()
    assert found["products"] == []
