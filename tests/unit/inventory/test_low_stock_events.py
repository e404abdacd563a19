"""Events of low stock: stored with the change, sent at least once, and then deleted."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from datetime import timedelta

import pytest
from cloudevents.http import from_http
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, death, every_place
from support.stores.builders import NOW, product, reserve, soon, stocked
from support.stores.fakes import MemoryLowStockOutbox, MemoryStock

from functions_common.events.cloud_event import EventRequest
from functions_common.events.low_stock import LowStockEvent
from functions_common.events.low_stock_outbox import publish, to_request
from functions_common.events.sending import MAX_FAILURES, SinkError
from inventory_function.catalogue import ImportProduct
from inventory_function.group_commit import GroupCommit
from inventory_function.operations import Adjust
from inventory_function.transactions import Transactions
from order_function.reconcile.publishing import low_stock_events


def low_at(threshold: int, **units: int) -> MemoryStock:
    """A stock whose products have this threshold."""
    store = stocked()
    for product_id, available in units.items():
        made = product(product_id, available=available, low_stock_threshold=threshold)
        store.documents[made.key] = (made, store.clock.next())
    return store


def add(units: int, adjustment_id: str = "A") -> Adjust:
    return Adjust("P001", adjustment_id, units, "delivery", None, "operator", NOW, adjustment_id)


def stored(store: MemoryStock) -> list[LowStockEvent]:
    return MemoryLowStockOutbox(store).unsent(None, 99, soon())


@pytest.fixture
def store() -> MemoryStock:
    return low_at(5, P001=7)


@pytest.fixture
def noted() -> list[LowStockEvent]:
    return []


@pytest.fixture
def group(store: MemoryStock, noted: list[LowStockEvent]) -> GroupCommit:
    return GroupCommit(store, on_low_stock=noted.append)


def test_event_is_stored_by_the_commit_that_makes_the_stock_low(
    store: MemoryStock, group: GroupCommit, noted: list[LowStockEvent]
) -> None:
    group.run(reserve("R1", P001=1), soon())
    assert not noted
    group.run(reserve("R2", P001=2), soon())
    assert store.commits == 2
    (event,) = noted
    assert stored(store) == [event]
    assert (event.product_id, event.name) == ("P001", "Laptop")
    assert (event.available, event.low_stock_threshold) == (4, 5)
    assert re.fullmatch(r"P001\.[0-9a-f]{16}", event.event_id)
    assert event.at.utcoffset() == timedelta(0)


def test_low_stock_is_logged_with_its_numbers(
    group: GroupCommit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    group.run(reserve("R", P001=3), soon())
    (record,) = caplog.records
    assert record.getMessage() == "Low stock"
    assert vars(record)["fields"] == {"product_id": "P001", "available": 4, "threshold": 5}


def test_nothing_is_stored_without_a_sink(store: MemoryStock) -> None:
    GroupCommit(store).run(reserve("R", P001=7), soon())
    assert not stored(store)


def test_each_crossing_has_an_event_of_its_own(
    group: GroupCommit, noted: list[LowStockEvent]
) -> None:
    group.run(reserve("R1", P001=2), soon())
    group.run(reserve("R2", P001=1), soon())
    assert len(noted) == 1, "it was low already"
    group.run(add(10), soon())
    group.run(reserve("R3", P001=9), soon())
    assert [event.available for event in noted] == [5, 5]
    assert len({event.event_id for event in noted}) == 2


def test_operations_of_one_commit_share_an_event(
    store: MemoryStock, noted: list[LowStockEvent]
) -> None:
    transactions = Transactions(store, noted.append)
    transactions.execute([reserve("R1", P001=3), reserve("R2", P001=3)], soon())
    assert [event.available for event in noted] == [1]


def test_new_product_that_is_low_has_an_event(
    group: GroupCommit, noted: list[LowStockEvent]
) -> None:
    changes = {"name": "Lamp", "price": 1, "currency": "USD", "low_stock_threshold": 3}
    group.run(ImportProduct("P9", changes, 2, "A", NOW, "nonce"), soon())  # type: ignore[arg-type]
    assert [(event.product_id, event.available) for event in noted] == [("P9", 2)]


@pytest.mark.parametrize(
    ("fault", "noted_events"), [("conflict", 1), ("away", 1), ("dropped", 1), ("lost", 0)]
)
def test_one_event_is_stored_when_a_commit_fails(
    store: MemoryStock,
    group: GroupCommit,
    noted: list[LowStockEvent],
    fault: str,
    noted_events: int,
) -> None:
    """After a lost response this process cannot know of the event: reconcile sends it."""
    store.faults.coming.append(fault)
    group.run(reserve("R", P001=3), soon())
    assert len(stored(store)) == 1
    assert len(noted) == noted_events


class ListingSink:
    def __init__(self) -> None:
        self.received: list[EventRequest] = []
        self.fails: set[str] = set()

    def send(self, event: EventRequest) -> None:
        if event.event_id in self.fails:
            raise SinkError("away", unavailable=True)
        self.received.append(event)


@pytest.fixture
def sink() -> ListingSink:
    return ListingSink()


def three_events(sink: ListingSink, count: int = 3) -> tuple[MemoryStock, MemoryLowStockOutbox]:
    """A stock with so many events; the second one fails at the sink."""
    store = low_at(5, **{f"P{n}": 6 for n in range(count)})
    group = GroupCommit(store, on_low_stock=lambda _: None)
    for n in range(count):
        group.run(reserve(f"R{n}", **{f"P{n}": 1}), soon())
    sink.fails = {stored(store)[1].event_id}
    return store, MemoryLowStockOutbox(store)


def test_sent_events_are_deleted_and_failed_ones_stay(sink: ListingSink) -> None:
    store, outbox = three_events(sink)
    failed = stored(store)[1]
    published = publish(outbox, sink, stored(store))  # type: ignore[arg-type]
    assert (published.events, published.recorded) == (2, 2)
    assert published.failures == [f"{failed.event_id}: away"]
    assert stored(store) == [failed]


def test_events_are_left_when_the_sink_is_unavailable(sink: ListingSink) -> None:
    store, outbox = three_events(sink, MAX_FAILURES + 2)
    sink.fails = {event.event_id for event in stored(store)}
    published = publish(outbox, sink, stored(store))  # type: ignore[arg-type]
    assert len(published.failures) == MAX_FAILURES
    assert len(stored(store)) == MAX_FAILURES + 2


@pytest.mark.parametrize("happening", ["crash", "another publisher"])
def test_no_event_is_lost_when_something_happens_at_any_call(happening: str) -> None:
    def act(place: int) -> Between:
        sink = ListingSink()
        store, outbox = three_events(sink)
        sink.fails = set()
        ids = {event.event_id for event in stored(store)}

        def publish_unsent() -> None:
            low_stock_events(outbox, sink).publish_unsent(lambda: False, lambda _: None)  # type: ignore[arg-type]

        between = Between(place, death if happening == "crash" else publish_unsent)
        watched = between.watch(outbox), between.watch(sink)
        try:
            low_stock_events(*watched).publish_unsent(lambda: False, lambda _: None)  # type: ignore[arg-type]
        except ProcessDiedError:
            assert between.happened
        publish_unsent()
        assert {event.event_id for event in sink.received} == ids
        bodies = {(event.event_id, event.body) for event in sink.received}
        assert max(Counter(name for name, _ in bodies).values()) == 1
        assert not stored(store)
        return between

    every_place(act)


def test_official_library_reads_the_event() -> None:
    request = to_request(LowStockEvent("P001.a", "P001", "Laptop", 4, 5, NOW))
    event = from_http(request.headers, request.body)
    assert (event["type"], event["source"], event["id"]) == (
        "product.low_stock",
        "/products",
        "P001.a",
    )
    assert (event["subject"], event["partitionkey"]) == ("P001", "P001")
    assert event.data == {
        "product_id": "P001",
        "name": "Laptop",
        "available": 4,
        "low_stock_threshold": 5,
        "at": "2026-01-02T00:00:00.000000+00:00",
    }
    assert json.loads(request.body) == event.data
