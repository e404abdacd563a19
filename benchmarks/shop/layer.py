"""The transaction layer without HTTP: many threads reserve one product."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from benchmarks.shop.usual.transactions import Transactions
from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import StoreError
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings
from inventory_function.catalogue import PutProduct
from inventory_function.domain import UNCONDITIONAL, CatalogueChanges, Line
from inventory_function.group_commit import GroupCommit
from inventory_function.operations import Adjust, Reserve
from inventory_function.store import Store

if TYPE_CHECKING:
    from inventory_function.operations import StockOperation

    T = TypeVar("T")

THREADS = 32
DEADLINE_SECONDS = 60.0


class Layer(Protocol):
    def run(self, operation: StockOperation[T], deadline: Deadline) -> T: ...


def layers(address: str, product_id: str) -> dict[str, Layer]:
    """Ours and the usual design, each on a product of its own."""
    os.environ["FIRESTORE_EMULATOR_HOST"] = address
    found: dict[str, Layer] = {}
    for name in ("ours", "usual"):
        connection = FirestoreConnection(
            FirestoreSettings(f"bench-layer-{name}", "(default)", address)
        )
        group = GroupCommit(Store(connection))
        _offer(group, product_id)
        found[name] = group if name == "ours" else Transactions(connection)
    return found


def reservations_per_second(layer: Layer, product_id: str, seconds: float) -> float:
    """Successful reservations per second, until the last one in progress has ended."""
    counts: list[int] = []
    began = time.monotonic()
    until = began + seconds
    threads = [
        threading.Thread(target=lambda: counts.append(_reserve(layer, product_id, until)))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def _reserve(layer: Layer, product_id: str, until: float) -> int:
    made = 0
    while time.monotonic() < until:
        name = os.urandom(12).hex()
        operation = Reserve(name, (Line(product_id, 1),), "USD", name)
        try:
            layer.run(operation, Deadline.after(DEADLINE_SECONDS))
        except StoreError:
            continue
        made += 1
    return made


def _offer(layer: Layer, product_id: str) -> None:
    deadline = Deadline.after(DEADLINE_SECONDS)
    laptop: CatalogueChanges = {"name": "Laptop", "price": 99999, "currency": "USD"}
    layer.run(PutProduct(product_id, laptop, UNCONDITIONAL, "n"), deadline)
    opening = Adjust(
        product_id, "opening", 1_000_000, "opening stock", None, "bench", datetime.now(UTC), "n"
    )
    layer.run(opening, deadline)
