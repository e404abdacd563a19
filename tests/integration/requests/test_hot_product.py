"""Several inventory processes sell one product: each gets a share, and no unit is sold twice."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings
from inventory_function.domain import InsufficientStockError, Line, Product, product_key
from inventory_function.service import Inventory
from inventory_function.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESSES, BUYERS_EACH = 4, 8
STOCK = 600
LEAST_SHARE = 1 / (4 * PROCESSES)
"""The minimum share of all sales: a quarter of an equal share."""
PATIENCE = 20.0
"""Seconds, far above the duration of a request: a request that fails has starved."""


@pytest.fixture
def connections(emulator: str) -> Iterator[list[FirestoreConnection]]:
    """One set for each process, with a client and a channel of its own."""
    settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    connections = [FirestoreConnection(settings) for _ in range(PROCESSES)]
    yield connections
    for each in connections:
        each.close()


def test_hot_product_is_sold_fairly_and_never_oversold(
    connections: list[FirestoreConnection],
) -> None:
    inventories = [Inventory(Store(each), "USD", PATIENCE) for each in connections]
    inventories[0].put_product("hot", {"name": "Laptop", "price": 99_999})
    inventories[0].adjust("hot", "opening-stock", STOCK, "opening stock")
    sold: Counter[int] = Counter()
    failed: list[Exception] = []
    numbers = itertools.count()
    lock = threading.Lock()

    def buy(process: int) -> None:
        while True:
            try:
                inventories[process].reserve(f"R{next(numbers)}", (Line("hot", 1),))
            except InsufficientStockError:
                return
            except Exception as error:  # noqa: BLE001 - the test reports every error at its end
                failed.append(error)
                return
            with lock:
                sold[process] += 1

    threads = [
        threading.Thread(target=buy, args=(process,))
        for process in range(PROCESSES)
        for _ in range(BUYERS_EACH)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sum(sold.values()) == STOCK
    hot = Store(connections[0]).get(product_key("hot"), Deadline.after(PATIENCE))
    assert isinstance(hot, Product)
    assert (hot.available, hot.reserved) == (0, STOCK)
    assert min(sold[process] for process in range(PROCESSES)) >= LEAST_SHARE * STOCK, sold
