"""Short builders for objects in a known state."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Unpack

from functions_common.runtime.deadlines import Deadline
from inventory_function.catalogue import PutProduct
from inventory_function.domain import (
    UNCONDITIONAL,
    CatalogueChanges,
    Key,
    Line,
    Movement,
    MovementKind,
    Product,
    product_key,
)
from inventory_function.operations import Adjust, Move, Release, Reserve
from inventory_function.service import Inventory
from inventory_function.unit_of_work import UnitOfWork
from order_function.domain import By
from support.stores.fakes import MemoryStock

SOON = 5.0
BY = By("customer")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
OPENING_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_count = itertools.count()


def soon() -> Deadline:
    return Deadline.after(SOON)


def product(product_id: str = "P001", *, available: int = 0, **changes: object) -> Product:
    laptop = Product(product_id, "Laptop", 99_999, "USD")
    return replace(laptop, available=available, **changes)  # type: ignore[arg-type]


def lines(**quantities: int) -> tuple[Line, ...]:
    return tuple(Line(*item) for item in sorted(quantities.items()))


def reserve(reservation_id: str, **quantities: int) -> Reserve:
    return Reserve(reservation_id, lines(**quantities), "USD", nonce=f"nonce-{next(_count)}")


def release(reservation_id: str) -> Release:
    return Release(reservation_id, "USD")


def move(reservation_id: str, seq: int, kind: str, **quantities: int) -> Move:
    return Move(reservation_id, Movement(seq, MovementKind(kind), lines(**quantities)))


def put_product(product_id: str, **changes: Unpack[CatalogueChanges]) -> PutProduct:
    laptop: CatalogueChanges = {"name": "Laptop", "price": 99_999, "currency": "USD"}
    nonce = f"nonce-{next(_count)}"
    return PutProduct(product_id, {**laptop, **changes}, UNCONDITIONAL, nonce)


def adjust(product_id: str, delta: int, key: str = "") -> Adjust:
    count = next(_count)
    now = OPENING_TIME + timedelta(seconds=count)
    nonce = f"nonce-{count}"
    return Adjust(product_id, key or f"key-{count}", delta, "counted", None, "operator", now, nonce)


class AsksWhetherCommitted:
    """An operation that asks whether an earlier commit of it may have been carried out."""

    def __init__(self) -> None:
        self.responses: list[bool] = []

    def needs(self, work: UnitOfWork) -> list[Key]:  # noqa: ARG002
        return [product_key("P001")]

    def decide(self, work: UnitOfWork) -> None:
        self.responses.append(work.may_be_committed(self))
        work.put(work.known_product("P001").reserve(1))


def stocked(**available: int) -> MemoryStock:
    """A store with these products, each with its opening stock."""
    store = MemoryStock()
    inventory = Inventory(store, "USD", SOON)
    for product_id, units in available.items():
        inventory.put_product(product_id, {"name": "Laptop", "price": 99_999, "active": True})
        if units:
            inventory.adjust(product_id, "opening-stock", units, "opening stock", None)
    return store


def units(store: MemoryStock, product_id: str) -> tuple[int, int, int]:
    """Available, reserved, shipped."""
    found = store.get(("products", product_id), soon())
    assert isinstance(found, Product)
    return found.available, found.reserved, found.shipped
