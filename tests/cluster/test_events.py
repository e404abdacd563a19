"""Events of orders, through a broker of Knative Eventing to a receiver that scales from zero."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from deployment.cluster import kubectl, run, run_job
from support.processes import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes.cluster import Shop

SECONDS = 180
PRODUCT = "P-events"
"""Of these tests alone: others count the stock of the catalogue's products."""


@pytest.fixture(scope="module")
def eventing(shop: Shop) -> Iterator[Shop]:
    asked = ["kubectl", "get", "crd", "brokers.eventing.knative.dev", "--request-timeout=10s"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("the cluster has no Knative Eventing")
    print(run("make", "deploy-events"))
    cluster.offer(PRODUCT, 100)
    yield shop
    run("kubectl", "delete", "-k", "knative/events", "--ignore-not-found", "--wait")


def received() -> list[dict[str, Any]]:
    """The lines that the receiver's pods have printed."""
    selector = "serving.knative.dev/service=event-receiver"
    text = kubectl(
        "logs", "-l", selector, "-c", "user-container", "--tail=-1", "--prefix=false", check=False
    )
    lines = (line for line in text.splitlines() if line.startswith("{"))
    return [json.loads(line) for line in lines]


def wait_for_events(order_id: str, count: int) -> list[dict[str, Any]]:
    late = time.monotonic() + SECONDS
    while True:
        found = [each for each in received() if each["data"].get("order_id") == order_id]
        if len({each["id"] for each in found}) >= count:
            return found
        assert time.monotonic() < late, f"{len(found)} of {count} events came"
        time.sleep(1)


def wait_for_no_receiver() -> None:
    late = time.monotonic() + SECONDS
    while cluster.pods("event-receiver"):
        assert time.monotonic() < late, "the receiver does not scale to zero"
        time.sleep(2)


def test_events_reach_a_receiver_that_scales_from_zero(eventing: Shop) -> None:
    wait_for_no_receiver()
    order = eventing.place(PRODUCT, 2).json()
    came = wait_for_events(order["order_id"], 2)
    assert cluster.pods("event-receiver"), "it was started by the event"
    first = {each["id"]: each for each in reversed(came)}
    assert {first[f"{order['order_id']}.{seq}"]["type"] for seq in (1, 2)} == {
        "order.placed",
        "order.confirmed",
    }
    assert came[0]["data"]["items"] == [{"line_id": "1", "product_id": PRODUCT, "quantity": 2}]


def test_reconcile_publishes_what_is_left(eventing: Shop) -> None:
    """And a later change of the same order sends only the new event."""
    order_id = eventing.place(PRODUCT).json()["order_id"]
    wait_for_events(order_id, 2)
    eventing.order.call("POST", f"/orders/{order_id}/cancel")
    came = wait_for_events(order_id, 3)
    assert came[-1]["type"] == "order.cancelled"
    report = run_job("reconcile")
    assert (report["published"], report["failed"]) == (0, 0)
    assert run_job("audit")["findings"] == 0
