"""An invented run of the demo, small enough to count by hand."""

from __future__ import annotations

from demo.recording import (
    Checks,
    Delivery,
    DesiredPods,
    DocumentUsage,
    HandledRequest,
    OrderResult,
    Phase,
    Platform,
    Pod,
    ProcessStart,
    Recording,
    StockReading,
)

HOT = "demo-x-hot"
ORDER, INVENTORY = "order-00001-deployment-a", "inventory-00001-deployment-b"
SECOND = "order-00001-deployment-c"
RECEIVER = "event-receiver-00001-deployment-d"


def answer(due: float, ended: float, status: int | None = 201, **more: object) -> OrderResult:
    """An order of the hot product, sent when due; its id contains the due time."""
    found = OrderResult(due, HOT, "demo-x-buyer-1", sent=due, ended=ended, status=status, pod=ORDER)
    if status == 201:
        found.order_id = f"ORD{due}"
    for name, value in more.items():
        setattr(found, name, value)
    return found


def order_pod() -> Pod:
    """The pod of an order from 10.0 to 12.0."""
    start = ProcessStart(process=10.5, running=10.7, loaded=11.2, firestore=(11.1, 11.3))
    first = HandledRequest(11.3, 11.9, {"total": 600.0, "inventory": 550.0, "firestore": 20.0})
    pod = Pod(ORDER, "order", created=10.1, scheduled=10.2, ready=11.25, start=start, first=first)
    pod.ending, pod.gone = 60.0, 90.0
    return pod


def on_knative() -> Recording:
    """Three units, three buyers served, one rejected, from zero and back."""
    found = Recording(
        Platform.KNATIVE,
        "http://order.shop.example.com",
        "1 node, 2 cores each",
        HOT,
        opening=3,
        buyers=2,
        seconds=10,
        mix=0.5,
        seed=1,
    )
    found.phases = [
        Phase("wait for zero pods", 0.0, 10.0),
        Phase("first order, cold start", 10.0, 12.0),
        Phase("sale of one product", 12.0, 20.0),
        Phase("scale to zero", 20.0, 100.0),
    ]
    found.answers = [
        answer(10.0, 12.0, cold=True),
        answer(13.0, 13.1),
        answer(14.0, 14.4, cold=True, pod=SECOND),
        answer(15.0, 15.1, status=409),
    ]
    found.stock = [StockReading(12.5, 2, 1), StockReading(13.5, 1, 2), StockReading(14.5, 0, 3)]
    found.asked = [
        DesiredPods(0.5, "order", 0),
        DesiredPods(10.05, "order", 1),
        DesiredPods(58.0, "order", 0),
    ]
    inventory = Pod(INVENTORY, "inventory", created=10.6, scheduled=10.7, ready=11.5, gone=100.0)
    second = Pod(SECOND, "order", created=13.2, scheduled=13.3, ready=13.9, gone=90.0)
    found.pods = {each.name: each for each in (order_pod(), inventory, second)}
    found.spent = DocumentUsage(reads=10, writes=10)
    found.checks = Checks(
        stored=["ORD10.0", "ORD13.0", "ORD14.0"],
        stock=StockReading(101.0, 0, 3),
        pods=sorted(found.pods),
        audit={"message": "Audited", "findings": 0},
    )
    return found


def with_events() -> Recording:
    """The same run with a receiver of events: three events, one of them delivered twice."""
    found = on_knative()
    receiver = Pod(RECEIVER, "event-receiver", created=12.1, scheduled=12.2, ready=13.6, gone=60.2)
    found.pods[RECEIVER] = receiver
    assert found.checks is not None
    found.checks.pods = sorted(found.pods)
    found.deliveries = [
        Delivery(14.1, "ORD10.0.1", repeated=False, delay=3.0),
        Delivery(14.2, "ORD10.0.2", repeated=False, delay=2.9),
        Delivery(15.1, "ORD13.0.1", repeated=False, delay=0.1),
        Delivery(17.0, "ORD13.0.1", repeated=True, delay=9.0),
    ]
    return found
