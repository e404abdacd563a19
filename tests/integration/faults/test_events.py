"""Events of real processes reach a real receiver: at least once, and in each order's sequence."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.peers.event_sink import EventSink
from support.processes.shop import TIMEOUT, Shop
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.one_emulator
ORDERS = 20


@pytest.fixture
def sink() -> Iterator[EventSink]:
    with EventSink() as sink:
        yield sink


@pytest.fixture
def shop(
    emulator: str, tmp_path_factory: pytest.TempPathFactory, sink: EventSink
) -> Iterator[Shop]:
    logs = tmp_path_factory.mktemp("logs")
    with Shop(emulator, logs, EVENT_SINK_URL=sink.url) as shop:
        shop.offer("P001", 1000)
        yield shop


def history(shop: Shop, order_id: str) -> list[dict[str, Any]]:
    response = requests.get(f"{shop.orders[0]}/orders/{order_id}", timeout=TIMEOUT)
    found: list[dict[str, Any]] = response.json()["history"]
    return found


def live(shop: Shop, n: int) -> str:
    """Place an order, and change it in one of several ways."""
    order_id: str = shop.place("P001", 3, key=f"K{n}").json()["order_id"]
    part = {"items": [{"line_id": "1", "quantity": 1}]}
    if n % 3 == 0:
        requests.post(
            f"{shop.orders[0]}/orders/{order_id}/cancel",
            json=part,
            headers={"Idempotency-Key": f"part-{n}"},
            timeout=TIMEOUT,
        ).raise_for_status()
    if n % 3 == 1:
        shop.fulfil(order_id).raise_for_status()
    if n % 2:
        shop.cancel(order_id)
    return order_id


def check_all_arrived(shop: Shop, sink: EventSink, order_ids: list[str]) -> None:
    sink.check()
    arrived = sink.numbers()
    for order_id in order_ids:
        assert len(arrived[order_id]) == len(history(shop, order_id))
    assert shop.carry_out("audit", "--grace", "0")[0] == 0


def test_events_arrive_without_reconcile(shop: Shop, sink: EventSink) -> None:
    with ThreadPoolExecutor(4) as pool:
        order_ids = [*pool.map(lambda n: live(shop, n), range(ORDERS))]
    sink.wait_for(sum(len(history(shop, each)) for each in order_ids))
    check_all_arrived(shop, sink, order_ids)
    code, report = shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")
    assert (code, report["published"]) == (0, 0)
    first = sink.received[0].headers
    assert first["ce-type"] in ("order.placed", "order.confirmed")
    assert first["content-type"] == "application/json"


def test_no_event_is_lost_when_the_sink_fails_half_of_the_time(shop: Shop, sink: EventSink) -> None:
    sink.failing = 0.5
    with ThreadPoolExecutor(4) as pool:
        order_ids = [*pool.map(lambda n: live(shop, n), range(ORDERS))]
    for _ in range(30):
        if shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[0] == 0:
            break
    check_all_arrived(shop, sink, order_ids)


def test_no_event_is_lost_when_the_process_is_killed(shop: Shop, sink: EventSink) -> None:
    sink.delay = 0.05
    with ThreadPoolExecutor(4) as pool:
        order_ids = [*pool.map(lambda n: live(shop, n), range(ORDERS))]
    shop.kill(shop.orders[0])
    shop.start(shop.orders[0])
    code, report = shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")
    assert code == 0
    assert report["published"] > 0, "the process was killed before it had sent everything"
    check_all_arrived(shop, sink, order_ids)


def test_process_that_ends_sends_what_waits(shop: Shop, sink: EventSink) -> None:
    sink.delay = 0.1
    order_ids = [shop.place("P001").json()["order_id"] for _ in range(5)]
    shop.signal(shop.orders[0], signal.SIGTERM)
    assert shop.wait_until_ended(shop.orders[0]) == 0
    assert {order_id: [1, 2] for order_id in order_ids} == sink.numbers()


def test_each_crossing_of_a_threshold_has_one_event_when_the_sink_fails_half_of_the_time(
    shop: Shop, sink: EventSink
) -> None:
    """Reconcile sends the events that a killed process could not send."""
    sink.failing = 0.5
    products = [f"LOW{n}" for n in range(8)]
    for product_id in products:
        shop.offer(product_id, 10)
        shop.patch(product_id, low_stock_threshold=6)

    def sell(product_id: str) -> None:
        """The fourth unit and the fourth after the restock make the stock low."""
        for _ in range(5):
            assert shop.place(product_id).status_code == 201
        shop.adjust(product_id, 5, "restock").raise_for_status()
        for _ in range(5):
            assert shop.place(product_id).status_code == 201

    with ThreadPoolExecutor(4) as pool:
        [*pool.map(sell, products)]
    shop.kill(shop.inventories[0])
    shop.start(shop.inventories[0])
    for _ in range(30):
        if shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[0] == 0:
            break
    sink.check()
    assert {name: len(ids) for name, ids in sink.low_stock().items()} == dict.fromkeys(products, 2)
    assert shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[1]["published"] == 0
    assert shop.carry_out("audit", "--grace", "0")[0] == 0


def test_event_of_low_stock_arrives_without_reconcile(shop: Shop, sink: EventSink) -> None:
    shop.patch("P001", low_stock_threshold=999)
    shop.place("P001").raise_for_status()
    wait_until(sink.low_stock)
    shop.place("P001").raise_for_status()
    sink.wait_for(4)
    assert len(sink.low_stock()["P001"]) == 1
    assert shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[1]["published"] == 0


def test_sink_that_does_not_respond_holds_no_order(shop: Shop, sink: EventSink) -> None:
    sink.open.clear()
    order_ids = [shop.place("P001").json()["order_id"] for _ in range(10)]
    assert not sink.received
    sink.open.set()
    sink.wait_for(2 * len(order_ids))


def test_unreachable_sink_fails_no_order(
    emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Shop(
        emulator, tmp_path_factory.mktemp("logs"), EVENT_SINK_URL="http://127.0.0.1:1"
    ) as shop:
        shop.offer("P001", 10)
        assert shop.place("P001").status_code == 201
        code, report = shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")
        assert (code, report["published"]) == (1, 0)
        assert any("event not published" in each for each in report["failures"])
