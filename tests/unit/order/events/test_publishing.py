"""The outbox: every event reaches the sink at least once, and in its order's sequence."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest
from flask import Flask
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, MemoryShop, death, every_place
from support.stores.builders import BY, soon
from support.stores.fakes import MemoryOutbox

from functions_common.events import publisher_thread
from functions_common.events.cloud_event import EventRequest
from functions_common.events.publisher_thread import PublisherThread
from functions_common.events.sending import MAX_FAILURES, Published, SinkError
from order_function.domain import Line, MovementKind, Order
from order_function.events.publisher import publish, publish_by_id
from order_function.reconcile.publishing import order_events

TWO = (Line("P001", 2),)


class FakeSink:
    def __init__(self) -> None:
        self.received: list[tuple[str, int, bytes]] = []
        self.fails: set[str] = set()
        """Ids of orders whose events fail."""
        self.is_away = False
        """Failures are those of a sink that is unavailable, not of one that rejects events."""
        self.flaky = 0
        """Fail every so many-th event. 0: none."""
        self._sent = 0
        self.arrived = threading.Event()

    def send(self, event: EventRequest) -> None:
        self._sent += 1
        order_id, _, seq = event.event_id.rpartition(".")
        if order_id in self.fails or (self.flaky and self._sent % self.flaky == 0):
            raise SinkError("away", unavailable=self.is_away)
        self.received.append((order_id, int(seq), event.body))
        self.arrived.set()

    def first_deliveries(self) -> dict[str, list[int]]:
        """The numbers of each order's events, in the sequence of their first delivery."""
        found: dict[str, list[int]] = defaultdict(list)
        for order_id, seq, _ in self.received:
            if seq not in found[order_id]:
                found[order_id].append(seq)
        return dict(found)

    def check(self) -> None:
        for numbers in self.first_deliveries().values():
            assert all(after == before + 1 for before, after in pairwise([0, *numbers]))
        bodies: dict[tuple[str, int], bytes] = {}
        for order_id, seq, body in self.received:
            assert bodies.setdefault((order_id, seq), body) == body


class PublishingShop(MemoryShop):
    def __init__(self, **units: int) -> None:
        self.changed: list[str] = []
        super().__init__(on_event=self.changed.append, **units)
        self.outbox = MemoryOutbox(self.store)
        self.sink = FakeSink()

    def publish_unsent(self) -> int:
        """Run reconcile's part."""
        results: list[Published] = []
        order_events(self.outbox, self.sink).publish_unsent(lambda: False, results.append)  # type: ignore[arg-type]
        return sum(each.events for each in results)


@pytest.fixture
def shop() -> PublishingShop:
    return PublishingShop(P001=20)


def a_long_life(shop: PublishingShop) -> Order:
    order = shop.place("C1", TWO, None).order
    shop.orders.change_part(order.order_id, MovementKind.CONSUME, {"1": 1}, BY, "K1")
    return shop.orders.cancel(order.order_id, BY)


def test_events_are_sent_in_sequence_and_once(shop: PublishingShop) -> None:
    order = a_long_life(shop)
    assert shop.publish_unsent() == len(order.history)
    assert shop.sink.first_deliveries() == {order.order_id: [1, 2, 3, 4, 5]}
    assert shop.publish_unsent() == 0
    assert len(shop.sink.received) == 5
    assert not shop.store.unsent


def test_later_events_follow_those_that_were_sent(shop: PublishingShop) -> None:
    order = shop.place("C1", TWO, None).order
    assert shop.publish_unsent() == 2
    shop.orders.cancel(order.order_id, BY)
    assert shop.publish_unsent() == 1
    assert shop.sink.first_deliveries() == {order.order_id: [1, 2, 3]}


def test_failed_event_holds_back_only_the_events_of_its_order(shop: PublishingShop) -> None:
    orders = sorted(shop.place("C1", TWO, None).order.order_id for _ in range(3))
    shop.sink.fails = {orders[1]}
    shop.publish_unsent()
    assert set(shop.sink.first_deliveries()) == {orders[0], orders[2]}
    shop.sink.fails = set()
    shop.publish_unsent()
    assert shop.sink.first_deliveries()[orders[1]] == [1, 2]
    shop.sink.check()


def test_page_is_left_when_the_sink_is_unavailable(shop: PublishingShop) -> None:
    for _ in range(MAX_FAILURES + 3):
        shop.place("C1", TWO, None)
    shop.sink.fails, shop.sink.is_away = set(shop.store.documents), True
    found = shop.outbox.unsent(None, 99, soon())
    published = publish(shop.outbox, shop.sink, found)  # type: ignore[arg-type]
    assert len(published.failures) == MAX_FAILURES
    assert shop.store.unsent == set(shop.store.documents)


def test_many_rejected_orders_do_not_hold_up_the_others(
    shop: PublishingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay in the list of unsent orders, before the others."""
    monkeypatch.setattr("order_function.reconcile.publishing.BATCH", 2)
    orders = sorted(shop.place("C1", TWO, None).order.order_id for _ in range(9))
    shop.sink.fails = set(orders[:8])
    assert shop.publish_unsent() == 2
    assert set(shop.sink.first_deliveries()) == {orders[8]}


def test_sent_events_are_recorded_when_a_later_one_fails(shop: PublishingShop) -> None:
    order = a_long_life(shop)
    shop.sink.flaky = 3
    shop.publish_unsent()
    assert shop.stored(order.order_id).events_sent == 2
    shop.sink.flaky = 0
    shop.publish_unsent()
    assert [seq for _, seq, _ in shop.sink.received] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("happening", ["crash", "another publisher", "a change"])
def test_no_event_is_lost_or_out_of_sequence_when_something_happens_at_any_call(
    happening: str,
) -> None:
    def act(place: int) -> Between:
        shop = PublishingShop(P001=20)
        orders = [a_long_life(shop).order_id, shop.place("C2", TWO, None).order.order_id]
        happenings = {
            "crash": death,
            "another publisher": shop.publish_unsent,
            "a change": lambda: shop.orders.cancel(orders[1], BY),
        }
        between = Between(place, happenings[happening])
        watched = between.watch(shop.outbox), between.watch(shop.sink)
        try:
            order_events(*watched).publish_unsent(lambda: False, lambda _: None)  # type: ignore[arg-type]
        except ProcessDiedError:
            assert between.happened
        shop.publish_unsent()
        shop.sink.check()
        for order_id in orders:
            history = shop.stored(order_id).history
            assert shop.sink.first_deliveries()[order_id] == [*range(1, len(history) + 1)]
        assert not shop.store.unsent
        return between

    every_place(act)


def test_damaged_order_does_not_stop_the_others(shop: PublishingShop) -> None:
    damaged, whole = sorted(shop.place("C1", TWO, None).order.order_id for _ in range(2))
    shop.store.damage(damaged)
    assert shop.publish_unsent() == 2
    assert set(shop.sink.first_deliveries()) == {whole}


def test_event_that_cannot_be_sent_holds_back_only_its_order(
    shop: PublishingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than failures that make the sink unavailable."""
    orders = sorted(shop.place("C1", TWO, None).order.order_id for _ in range(MAX_FAILURES + 1))
    send = shop.sink.send

    def fail(event: EventRequest) -> None:
        if event.event_id.startswith(orders[-1]):
            send(event)
        else:
            raise ZeroDivisionError

    monkeypatch.setattr(shop.sink, "send", fail)
    assert shop.publish_unsent() == 2
    assert set(shop.sink.first_deliveries()) == {orders[-1]}
    monkeypatch.undo()
    assert shop.publish_unsent() == 2 * MAX_FAILURES


def test_events_before_one_that_cannot_be_sent_are_sent_once(
    shop: PublishingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.place("C1", TWO, None).order.order_id
    send = shop.sink.send

    def fail_at_the_second(event: EventRequest) -> None:
        if event.event_id == f"{order_id}.2":
            raise ZeroDivisionError
        send(event)

    monkeypatch.setattr(shop.sink, "send", fail_at_the_second)
    assert shop.publish_unsent() == 1
    assert shop.publish_unsent() == 0
    assert shop.sink.first_deliveries() == {order_id: [1]}
    assert len(shop.sink.received) == 1


@pytest.fixture
def thread(shop: PublishingShop) -> Iterator[PublisherThread[str]]:
    thread = PublisherThread(partial(publish_by_id, shop.outbox, shop.sink))  # type: ignore[arg-type]
    yield thread
    thread.stop()


def test_thread_publishes_what_the_process_writes(
    shop: PublishingShop, thread: PublisherThread[str]
) -> None:
    order = shop.place("C1", TWO, None).order
    thread.add(order.order_id)
    thread.stop()
    assert shop.sink.first_deliveries() == {order.order_id: [1, 2]}
    thread.add(order.order_id)
    assert len(shop.sink.received) == 2, "it has stopped"


def test_thread_survives_a_failing_database(
    shop: PublishingShop, thread: PublisherThread[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.place("C1", TWO, None).order
    reading = threading.Event()

    def fail(*_: object) -> list[object]:
        reading.set()
        raise RuntimeError("unexpected")

    monkeypatch.setattr(shop.outbox, "read", fail)
    thread.add(order.order_id)
    assert reading.wait(5)
    monkeypatch.undo()
    thread.add(order.order_id)
    assert shop.sink.arrived.wait(5)


def test_event_is_left_to_the_next_add_when_no_thread_can_start(
    shop: PublishingShop, thread: PublisherThread[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    first, second = (shop.place("C1", TWO, None).order.order_id for _ in range(2))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        thread.add(first)
    assert not shop.sink.received
    thread.add(second)
    thread.stop()
    assert set(shop.sink.first_deliveries()) == {first, second}


def test_thread_gives_way_to_requests(
    shop: PublishingShop, thread: PublisherThread[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        thread.request_ends()

    monkeypatch.setattr(time, "sleep", sleep)
    thread.request_begins()
    thread.add(shop.place("C1", TWO, None).order.order_id)
    thread.stop()
    assert len(shop.sink.received) == 2


@pytest.mark.parametrize("rejected", [False, True])
def test_thread_counts_requests_in_progress(
    thread: PublisherThread[str],
    *,
    rejected: bool,
) -> None:
    app = Flask(__name__)

    @app.before_request
    def reject() -> str | None:
        return "rejected" if rejected else None

    @app.get("/")
    def show() -> str:
        return str(thread.requests_in_progress)

    thread.attach(app)
    assert app.test_client().get("/").text == ("rejected" if rejected else "1")
    assert thread.requests_in_progress == 0


def test_waiting_orders_are_limited(
    shop: PublishingShop, thread: PublisherThread[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_thread, "MAX_QUEUED_ITEMS", 0)
    thread.add(shop.place("C1", TWO, None).order.order_id)
    thread.stop()
    assert not shop.sink.received
    assert shop.publish_unsent() == 2, "reconcile publishes them"
