"""The stored events of low stock, in memory and in Firestore."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.emulator.instances import INDEXES
from support.stores.builders import NOW, product, soon
from support.stores.fakes import MemoryLowStockOutbox, MemoryStock

from functions_common.events.low_stock import LOW_STOCK_EVENTS, LowStockEvent
from functions_common.events.low_stock_outbox import FirestoreLowStockOutbox
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
from inventory_function.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions_common.events.low_stock_outbox import LowStockOutbox
    from inventory_function.ports import StockStore


def event(event_id: str = "P001.a") -> LowStockEvent:
    return LowStockEvent(event_id, "P001", "Laptop", 4, 5, NOW)


@dataclass
class Both:
    stock: StockStore
    outbox: LowStockOutbox

    def unsent(self, after: str | None = None, limit: int = 9) -> list[str]:
        return [each.event_id for each in self.outbox.unsent(after, limit, soon())]


class LowStockOutboxContract:
    def test_stored_event_is_read_back_unchanged(self, both: Both) -> None:
        both.stock.commit([(product(available=4), None), (event(), None)], soon())
        assert both.outbox.unsent(None, 9, soon()) == [event()]

    def test_events_are_listed_by_id_in_pages(self, both: Both) -> None:
        both.stock.commit([(event(f"P001.{n}"), None) for n in "cab"], soon())
        assert both.unsent(None, 2) == ["P001.a", "P001.b"]
        assert both.unsent("P001.b", 2) == ["P001.c"]

    def test_deleted_event_is_no_longer_listed(self, both: Both) -> None:
        both.stock.commit([(event(f"P001.{n}"), None) for n in "ab"], soon())
        assert both.outbox.delete(["P001.a"], soon()) == [None]
        assert both.unsent() == ["P001.b"]

    def test_event_can_be_deleted_twice(self, both: Both) -> None:
        """Two publishers may send the same event."""
        both.stock.commit([(event(), None)], soon())
        assert [both.outbox.delete(["P001.a"], soon()) for _ in range(2)] == [[None]] * 2
        assert both.unsent() == []


class TestLowStockOutboxInMemory(LowStockOutboxContract):
    @pytest.fixture
    def both(self) -> Both:
        stock = MemoryStock()
        return Both(stock, MemoryLowStockOutbox(stock))


class TestLowStockOutboxInFirestore(LowStockOutboxContract):
    @pytest.fixture
    def connection(self, emulator: str) -> Iterator[FirestoreConnection]:
        settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
        connection = FirestoreConnection(settings)
        yield connection
        connection.close()

    @pytest.fixture
    def both(self, connection: FirestoreConnection) -> Both:
        return Both(Store(connection), FirestoreLowStockOutbox(connection))

    def test_damaged_event_is_left_out(self, both: Both, connection: FirestoreConnection) -> None:
        connection.client.document(LOW_STOCK_EVENTS, "P001.0").set({"name": 1})
        both.stock.commit([(event(), None)], soon())
        assert both.unsent() == ["P001.a"]


def test_time_of_an_event_has_no_index_of_its_own() -> None:
    """A range of rising values accepts 500 writes a second, over all events."""
    overrides = json.loads(INDEXES.read_text())["fieldOverrides"]
    without = {(each["collectionGroup"], each["fieldPath"]) for each in overrides}
    assert (LOW_STOCK_EVENTS, "at") in without
