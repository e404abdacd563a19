"""OpenTelemetry from real processes to a real collector: one trace through both functions."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from local.stack import ROOT
from support.peers.otlp import Collector, Span, collecting
from support.processes.shop import TIMEOUT, Shop

pytestmark = pytest.mark.one_emulator

SERVER, CLIENT = 2, 3
"""OTLP's numbers for the kinds of spans."""
TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}
UNWANTED_ID = "0af7651916cd43dd8448eb211c80319c"
UNWANTED = {"traceparent": f"00-{UNWANTED_ID}-{CALLER}-00"}


def wanted(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "NO_PROXY": "127.0.0.1"}


def only(spans: list[Span], service: str, name: str) -> Span:
    (found,) = [span for span in spans if (span.service, span.name) == (service, name)]
    return found


@pytest.fixture(scope="module")
def told(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Collector:
    """The data of a collector after an order, a rejection, two lists, a sweep, and shutdown."""
    with collecting() as collector:
        logs = tmp_path_factory.mktemp("logs")
        with Shop(emulator, logs, pairs=1, **wanted(collector)) as shop:
            shop.offer("P001", 50)
            body = {"customer_id": "C123", "product_id": "P001", "quantity": 1}
            url = shop.orders[0]
            placed = requests.post(f"{url}/orders", json=body, headers=PARENT, timeout=TIMEOUT)
            assert placed.status_code == 201
            assert shop.place("P001", 100).status_code == 409
            for headers in (UNWANTED, {}):
                requests.get(f"{url}/products", headers=headers, timeout=TIMEOUT)
            assert shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")[0] == 0
    return collector


def test_order_is_one_trace_through_both_functions(told: Collector) -> None:
    trace = [span for span in told.spans if span.trace_id == TRACE_ID]
    placing = only(trace, "order", "POST /orders")
    call = only(trace, "order", "inventory")
    reserving = only(trace, "inventory", "PUT /reservations/<reservation_id>")
    writing = only(trace, "order", "firestore")
    assert [placing.parent_id, call.parent_id, reserving.parent_id, writing.parent_id] == [
        CALLER,
        placing.span_id,
        call.span_id,
        placing.span_id,
    ]
    assert (placing.kind, call.kind, reserving.kind) == (SERVER, CLIENT, SERVER)
    assert placing.began < call.began <= call.ended <= writing.began <= writing.ended
    assert placing.attributes["shop.order_id"].startswith("ORD")
    assert placing.attributes["http.response.status_code"] == 201
    assert placing.attributes["faas.coldstart"] is True
    in_firestore = [s for s in trace if (s.service, s.name) == ("inventory", "firestore")]
    assert len(in_firestore) == 2, "a read and a commit"
    assert {span.parent_id for span in in_firestore} == {reserving.span_id}


def test_trace_is_not_sent_when_its_caller_does_not_sample_it(told: Collector) -> None:
    traces = {span.trace_id for span in told.spans if span.name == "GET /products"}
    assert len(traces) == 1, "of the two lists, in both functions"
    assert UNWANTED_ID not in {span.trace_id for span in told.spans}


def test_metrics_of_requests_cold_starts_and_sweeps_are_sent(told: Collector) -> None:
    figures = {(point.service, point.metric): point.value for point in told.points}
    assert figures["order", "faas.coldstarts"] == 1
    assert figures["reconcile", "shop.reconcile.confirmed"] == 1
    assert 0 < figures["reconcile", "shop.reconcile.oldest_held_seconds"] < TIMEOUT
    orders = {
        point.attributes["http.response.status_code"]: point.value
        for point in told.points
        if (point.service, point.metric) == ("order", "http.server.request.duration")
        and point.attributes.get("http.route") == "/orders"
    }
    assert orders == {201: 1, 409: 1}


def test_metrics_are_sent_without_traces_when_the_exporter_of_traces_is_none(
    emulator: str, tmp_path: Path
) -> None:
    with collecting() as collector:
        settings = {**wanted(collector), "OTEL_TRACES_EXPORTER": "none"}
        with Shop(emulator, tmp_path, pairs=1, **settings) as shop:
            shop.offer("P001", 50)
            assert shop.place("P001").status_code == 201
    assert "http.server.request.duration" in {point.metric for point in collector.points}
    assert collector.spans == []


def test_missing_collector_delays_neither_orders_nor_shutdown(
    emulator: str, tmp_path: Path
) -> None:
    with Shop(emulator, tmp_path, pairs=1, **wanted(Collector("http://127.0.0.1:9"))) as shop:
        shop.offer("P001", 50)
        assert shop.place("P001").status_code == 201
        for url in (*shop.orders, *shop.inventories):
            shop.signal(url, signal.SIGTERM)
            assert shop.wait_until_ended(url) == 0, "it ends within a pod's grace period"


@pytest.mark.parametrize("function", ["order", "inventory"])
def test_where_it_is_not_wanted_it_is_not_imported(function: str) -> None:
    code = f"import sys, {function}_function.app; print(*sys.modules)"
    imported = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"functions/common:functions/{function}"},
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()
    assert f"{function}_function.app" in imported
    assert [name for name in imported if name.startswith("opentelemetry.")] == []
