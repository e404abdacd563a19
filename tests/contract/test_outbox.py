"""The unsent events of orders, in memory and in Firestore."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.stores.builders import BY, NOW, soon
from support.stores.fakes import MemoryOrders, MemoryOutbox

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import ConflictError
from functions_common.runtime.settings import FirestoreSettings
from order_function.domain import Attempt, Line, Order, PricedLine, ReservationName
from order_function.events.outbox import FirestoreOutbox
from order_function.ports import SentEvents
from order_function.store import FirestoreOrderStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from order_function.ports import OrderStore, Outbox


@dataclass
class Both:
    orders: OrderStore
    outbox: Outbox
    noted: list[str]

    def unsent(self, after: str | None = None, limit: int = 9) -> list[str]:
        return [each.order.order_id for each in self.outbox.unsent(after, limit, soon())]


def an_order() -> Order:
    attempt = Attempt.begin("C1", [Line("P001", 2)], None)
    return Order.new_reserved(attempt, (PricedLine("P001", 2, 99_999, "Laptop"),), "USD", NOW)


@pytest.fixture
def connection(emulator: str) -> Iterator[FirestoreConnection]:
    settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    connection = FirestoreConnection(settings)
    yield connection
    connection.close()


class OutboxContract:
    def test_new_order_is_noted_and_unsent(self, both: Both) -> None:
        order = an_order()
        both.orders.create(order, soon())
        assert both.noted == [order.order_id]
        (found,) = both.outbox.read([order.order_id, "ORD" + "0" * 26], soon())
        assert found.order == order
        assert both.unsent() == [order.order_id]

    def test_sent_events_are_recorded(self, both: Both) -> None:
        order = an_order()
        both.orders.create(order, soon())
        (found,) = both.outbox.read([order.order_id], soon())
        assert both.outbox.record_sent([SentEvents(found, 1)], soon()) == [None]
        (found,) = both.outbox.read([order.order_id], soon())
        assert found.order.events_sent == 1
        assert both.outbox.record_sent([SentEvents(found, 2)], soon()) == [None]
        assert both.outbox.read([order.order_id], soon()) == []
        assert both.unsent() == []
        stored = both.orders.get(order.order_id, soon())
        assert stored is not None
        assert stored.order.events_sent == 2

    def test_sent_events_are_not_recorded_when_the_order_has_changed(self, both: Both) -> None:
        order = an_order()
        both.orders.create(order, soon())
        (found,) = both.outbox.read([order.order_id], soon())
        changed = found.order.begin_cancel(BY).finish_cancel(NOW)
        both.orders.replace(changed, found.version, soon())
        (error,) = both.outbox.record_sent([SentEvents(found, 2)], soon())
        assert isinstance(error, ConflictError)
        (found,) = both.outbox.read([order.order_id], soon())
        assert (found.order.events_sent, len(found.order.history)) == (0, 3)

    def test_order_is_unsent_again_after_a_new_event(self, both: Both) -> None:
        order = an_order()
        both.orders.create(order, soon())
        (found,) = both.outbox.read([order.order_id], soon())
        both.outbox.record_sent([SentEvents(found, 2)], soon())
        stored = both.orders.get(order.order_id, soon())
        assert stored is not None
        begun = stored.order.begin_cancel(BY)
        both.orders.replace(begun, stored.version, soon())
        assert both.unsent() == [], "a change that has only begun is no event"
        stored = both.orders.get(order.order_id, soon())
        assert stored is not None
        both.orders.replace(stored.order.finish_cancel(NOW), stored.version, soon())
        assert both.unsent() == [order.order_id]

    def test_unsent_orders_are_listed_by_id_in_pages(self, both: Both) -> None:
        stored = sorted((an_order() for _ in range(3)), key=lambda each: each.order_id)
        for each in reversed(stored):
            both.orders.create(each, soon())
        ids = [each.order_id for each in stored]
        assert both.unsent(None, 2) == ids[:2]
        assert both.unsent(ids[1], 2) == ids[2:]

    def test_abandoned_mark_has_no_event(self, both: Both) -> None:
        name = ReservationName.parse(f"ORD{'A' * 26}.0.{'B' * 26}")
        assert name is not None
        both.orders.create(Order.new_abandoned_mark(name, NOW), soon())
        assert both.unsent() == []


class TestOutboxInMemory(OutboxContract):
    @pytest.fixture
    def both(self) -> Both:
        noted: list[str] = []
        orders = MemoryOrders(noted.append)
        return Both(orders, MemoryOutbox(orders), noted)


class TestOutboxInFirestore(OutboxContract):
    @pytest.fixture
    def both(self, connection: FirestoreConnection) -> Both:
        noted: list[str] = []
        orders = FirestoreOrderStore(connection, on_event=noted.append)
        return Both(orders, FirestoreOutbox(connection), noted)

    def test_nothing_is_marked_without_a_sink(self, connection: FirestoreConnection) -> None:
        FirestoreOrderStore(connection).create(an_order(), soon())
        assert FirestoreOutbox(connection).unsent(None, 9, soon()) == []

    def test_recording_is_no_change_of_the_order(
        self, both: Both, connection: FirestoreConnection
    ) -> None:
        """So a sync by ``updated_since`` does not list the order again."""
        order = an_order()
        both.orders.create(order, soon())
        document = connection.client.document("orders", order.order_id)
        before = document.get().to_dict()
        (found,) = both.outbox.read([order.order_id], soon())
        both.outbox.record_sent([SentEvents(found, 2)], soon())
        after = document.get().to_dict()
        assert before is not None
        assert after is not None
        assert after["stored_at"] == before["stored_at"]
        assert after.keys() ^ before.keys() == {"events_sent", "unsent_events"}
