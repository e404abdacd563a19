"""Lists are read page by page while they change: no entry is skipped or repeated."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from support.in_process.apps import OPERATOR
from support.processes.shop import TIMEOUT, Shop

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}
BEFORE = 12
"""The entries that exist before the first page is read."""


@contextmanager
def changing_list(change: Callable[[int], object]) -> Iterator[Callable[[], None]]:
    """Repeat the change until the block ends. The yielded function waits for one more change."""
    ended, changes = threading.Event(), threading.Semaphore(0)

    def go_on() -> None:
        for n in itertools.count():
            if ended.is_set():
                return
            change(n)
            changes.release()

    def another() -> None:
        while changes.acquire(blocking=False):
            pass
        assert changes.acquire(timeout=TIMEOUT)

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(go_on)
        try:
            yield another
        finally:
            ended.set()
        changing.result()


def read(url: str, name: str, size: int, before_each_page: Callable[[], None]) -> list[Any]:
    """Every entry of the list, read in pages."""
    found: list[Any] = []
    params = {"limit": str(size)}
    while True:
        before_each_page()
        answer = requests.get(url, params=params, headers=AS_OPERATOR, timeout=TIMEOUT)
        answer.raise_for_status()
        page = answer.json()
        found += page[name]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


def check(found: list[str], before: set[str]) -> None:
    assert len(found) == len(set(found)), "nothing comes twice"
    assert before <= set(found), "nothing is skipped"


@pytest.fixture
def customer() -> str:
    return f"C-{uuid.uuid4().hex[:8]}"


def place(shop: Shop, customer: str, product_id: str) -> str:
    body = {"customer_id": customer, "product_id": product_id, "quantity": 1}
    answer = requests.post(f"{shop.orders[0]}/orders", json=body, timeout=TIMEOUT)
    return str(answer.json()["order_id"])


def test_order_pages_are_complete_while_orders_change(shop: Shop, customer: str) -> None:
    product_id = f"P-{customer}"
    shop.offer(product_id, 10_000)
    before = [place(shop, customer, product_id) for _ in range(BEFORE)]

    def change(n: int) -> None:
        place(shop, customer, product_id)
        shop.cancel(before[n % BEFORE])

    with changing_list(change) as another:
        url = f"{shop.orders[0]}/orders?customer_id={customer}"
        found = read(url, "orders", 3, another)
    check([each["order_id"] for each in found], {*before})
    times = [each["created_at"] for each in found]
    assert times == sorted(times, reverse=True)


def test_product_pages_are_complete_while_products_are_added(shop: Shop, customer: str) -> None:
    before = [f"P-{customer}-{n:02}" for n in range(BEFORE)]
    for product_id in before:
        shop.offer(product_id, 1)

    def change(n: int) -> None:
        shop.offer(f"P-{customer}-{n % BEFORE:02}-{n}", 1)

    with changing_list(change) as another:
        url = f"{shop.orders[0]}/products"
        found = read(url, "products", 5, another)
    check([each["product_id"] for each in found], {*before})


def adjust(shop: Shop, product_id: str, key: str) -> None:
    requests.post(
        f"{shop.inventories[0]}/products/{product_id}/adjustments",
        json={"delta": 1, "reason": "delivery", "reference": key},
        headers={**AS_OPERATOR, "Idempotency-Key": key},
        timeout=TIMEOUT,
    ).raise_for_status()


def test_adjustment_pages_are_complete_while_stock_arrives(shop: Shop, customer: str) -> None:
    product_id = f"P-{customer}"
    shop.offer(product_id, 1)
    before = [f"before-{n}" for n in range(BEFORE)]
    for key in before:
        adjust(shop, product_id, key)
    with changing_list(lambda n: adjust(shop, product_id, f"later-{n}")) as another:
        url = f"{shop.inventories[0]}/products/{product_id}/adjustments"
        found = read(url, "adjustments", 3, another)
    check([each["reference"] or "opening stock" for each in found], {*before, "opening stock"})


def test_ledger_pages_are_complete_while_the_product_is_sold_and_restocked(
    shop: Shop, customer: str
) -> None:
    product_id = f"P-{customer}"
    shop.offer(product_id, 10_000)
    before = [place(shop, customer, product_id) for _ in range(BEFORE)]

    def change(n: int) -> None:
        place(shop, customer, product_id)
        shop.cancel(before[n % BEFORE])
        adjust(shop, product_id, f"later-{n}")

    with changing_list(change) as another:
        url = f"{shop.inventories[0]}/products/{product_id}/ledger"
        found = read(url, "entries", 3, another)
    check(
        [f"{each['kind']} {each['reference']}" for each in found],
        {"adjusted None", *(f"reserved {order_id}" for order_id in before)},
    )
