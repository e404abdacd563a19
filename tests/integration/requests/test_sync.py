"""A client that follows all changes by ``updated_since``, beside buyers who place and cancel."""

from __future__ import annotations

import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.in_process.apps import OPERATOR
from support.processes.shop import TIMEOUT, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.one_emulator

STAFF = {"Authorization": f"Bearer {OPERATOR}"}
BUYERS = 8
SECONDS = float(os.environ.get("SYNC_SECONDS", "5"))
"""Longer by hand: SYNC_SECONDS=20."""


class Sync:
    """Follows all changes as docs/api.md says."""

    def __init__(self, shop: Shop) -> None:
        self._url = f"{shop.orders[0]}/orders"
        self._since = "2000-01-01T00:00:00Z"
        self.seen: dict[str, Any] = {}
        """The last state of each order."""
        self.runs = self.entries = 0

    def run(self) -> None:
        for page in pages(self._url, updated_since=self._since, limit="50"):
            self.seen |= {each["order_id"]: each for each in page["orders"]}
            self.entries += len(page["orders"])
            if page["next_cursor"] is None:
                self._since = page["next_updated_since"]
        self.runs += 1


def pages(url: str, **query: str) -> Iterator[Any]:
    cursor: str | None = ""
    while cursor is not None:
        params = query | ({"cursor": cursor} if cursor else {})
        response = requests.get(url, params=params, headers=STAFF, timeout=TIMEOUT)
        if response.status_code == 503:
            time.sleep(float(response.headers["Retry-After"]))
            continue
        response.raise_for_status()
        page = response.json()
        yield page
        cursor = page["next_cursor"]


def buy(shop: Shop, number: int, stopped: threading.Event) -> int:
    """Place orders, and change most of them. Returns the number of orders."""
    placed = 0
    while not stopped.is_set():
        order = shop.place("P001", 3, n=number)
        assert order.status_code == 201
        url = f"{shop.orders[number % len(shop.orders)]}/orders/{order.json()['order_id']}"
        placed += 1
        kind = placed % 4
        if kind == 0:
            assert requests.post(f"{url}/cancel", timeout=TIMEOUT).status_code in (200, 202)
        if kind in (1, 2):
            verb = "cancel" if kind == 1 else "fulfil"
            body = {"items": [{"line_id": "1", "quantity": 1}]}
            headers = STAFF | {"Idempotency-Key": uuid.uuid4().hex}
            changed = requests.post(f"{url}/{verb}", json=body, headers=headers, timeout=TIMEOUT)
            assert changed.status_code in (200, 202)
    return placed


def test_sync_misses_no_order_and_no_change(two_pairs: Shop) -> None:
    two_pairs.offer("P001", 1_000_000)
    sync, stopped = Sync(two_pairs), threading.Event()
    with ThreadPoolExecutor(BUYERS) as pool:
        buyers = [pool.submit(buy, two_pairs, number, stopped) for number in range(BUYERS)]
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            sync.run()
        stopped.set()
        placed = sum(each.result() for each in buyers)
    beside, entries = sync.runs, sync.entries
    sync.run()
    stored = {
        each["order_id"]: each
        for page in pages(f"{two_pairs.orders[1]}/orders", limit="200")
        for each in page["orders"]
    }
    assert len(stored) >= placed > BUYERS
    different = [order_id for order_id in stored if sync.seen.get(order_id) != stored[order_id]]
    assert different == []
    print(f"{placed} orders; {beside} syncs beside them with {entries} entries")  # noqa: T201
