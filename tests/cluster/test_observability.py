"""A real Prometheus in the cluster: what the functions send, what it reads, and its alarms.

It needs images with OpenTelemetry: TELEMETRY_TAG names their tag (docs/knative.md).
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import yaml
from deployment.cluster import ROOT, kubectl, run, run_job
from support.processes import cluster
from support.processes.cluster import Load, Shop, exports_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAG = os.environ.get("TELEMETRY_TAG")
SECONDS = 120
"""Longer than two exports and two scrapes."""
STEP = 15
PRODUCT = "P-observed"
FOLDER = ROOT / "observability"
ALARMS = {
    rule["alert"]
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
PANELS = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']}_{target['refId']}".replace(" ", "_"))
    for panel in PANELS
    for target in panel.get("targets", [])
]
VARIABLES = {"$namespace": "shop", "$__rate_interval": "1m", "$__interval": f"{STEP}s"}
"""Grafana's own and the dashboard's, with the values that Grafana would use."""
PARTS = {"asked", "scheduled", "container", "process", "imports", "ready", "request"}

pytestmark = pytest.mark.skipif(
    TAG is None, reason="TELEMETRY_TAG does not name images with OpenTelemetry"
)


class Prometheus:
    """Through the API server, so that it needs no address outside the cluster."""

    def __init__(self) -> None:
        self.began = time.time()
        self.first_order_seconds = 0.0
        """Of the order that started both functions from zero, as the client measured it."""

    def get(self, path: str, **parameters: object) -> Any:
        address = "/api/v1/namespaces/shop-monitoring/services/prometheus:9090/proxy/api/v1"
        answer = run("kubectl", "get", "--raw", f"{address}/{path}?{urlencode(parameters)}")
        return json.loads(answer)["data"]

    def values(self, query: str) -> dict[str, float]:
        """The present values, by the label `part`."""
        found = self.get("query", query=query)["result"]
        return {each["metric"].get("part", ""): float(each["value"][1]) for each in found}

    def samples(self, query: str) -> tuple[int, int]:
        """The number of series, and of samples in them, since the deployment."""
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        span = {"start": self.began, "end": time.time(), "step": STEP}
        series = self.get("query_range", query=query, **span)["result"]
        return len(series), sum(len(each["values"]) for each in series)

    def wait_for(self, reached: Callable[[], object]) -> None:
        late = time.monotonic() + SECONDS
        while not reached() and time.monotonic() < late:
            time.sleep(2)


@pytest.fixture(scope="module")
def prometheus(shop: Shop, monitoring: str) -> Iterator[Prometheus]:
    """After a start from zero, a load, a reconcile, and an outage of Firestore."""
    run("make", "deploy", f"TAG={TAG}", "TELEMETRY=otel")
    run("make", "deploy-observability", f"TAG={TAG}")
    found = Prometheus()
    cluster.offer(PRODUCT, 100_000)
    cluster.wait_for_zero("order", "inventory")
    began = time.time()
    body = {"customer_id": "C123", "product_id": PRODUCT, "quantity": 1}
    gateway = {"X-Request-Start": f"t={began:.3f}"}
    assert shop.order.call("POST", "/orders", json=body, headers=gateway).status_code == 201
    found.first_order_seconds = time.time() - began
    with Load(lambda: shop.place(PRODUCT), buyers=5, pause=0.5):
        time.sleep(30)
    run_job("reconcile")
    kubectl("scale", "deployment/firestore-emulator", "--replicas=0")
    kubectl("wait", "--for=delete", "pod", "-l", "app=firestore-emulator", "--timeout=60s")
    assert shop.place(PRODUCT).status_code == 503
    found.wait_for(
        lambda: found.values('http_server_request_duration_seconds_count{job="order"} > 0')
    )
    time.sleep(2 * STEP)  # the last export, and a scrape after it
    yield found
    run("kubectl", "-n", monitoring, "delete", "deployments", "--all")
    run("make", "deploy")


def test_prometheus_evaluates_every_alarm(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert rules.keys() == ALARMS
    assert {(rule["health"], rule.get("lastError")) for rule in rules.values()} == {("ok", None)}


def test_prometheus_reads_knative_and_the_starts_from_zero(prometheus: Prometheus) -> None:
    if not exports_metrics():
        pytest.skip("Knative exports no metrics to Prometheus (docs/logs.md)")
    targets = prometheus.get("targets")["activeTargets"]
    up = {each["scrapePool"] for each in targets if each["health"] == "up"}
    assert up == {"knative-queue-proxy", "knative-autoscaler", "cold-starts"}


@pytest.mark.parametrize("query", QUERIES)
def test_query_of_the_dashboard_has_data(prometheus: Prometheus, query: str) -> None:
    if "kn_" in query and not exports_metrics():
        pytest.skip("Knative exports no metrics to Prometheus (docs/logs.md)")
    series, samples = prometheus.samples(query)
    print(f"\n{series} series, {samples} samples: {query}")
    assert samples > 0


def test_parts_of_a_start_from_zero_add_up_to_its_whole_time(prometheus: Prometheus) -> None:
    counts = prometheus.values('cold_start_part_seconds_count{service="order"}')
    assert counts == dict.fromkeys(PARTS, 1.0)
    parts = prometheus.values('cold_start_part_seconds_sum{service="order"}')
    (whole,) = prometheus.values('cold_start_seconds_sum{service="order"}').values()
    print(f"\n{prometheus.first_order_seconds:.3f} s for the client, {whole:.3f} s by the metric")
    print(", ".join(f"{name} {seconds:.3f} s" for name, seconds in parts.items()))
    assert sum(parts.values()) == pytest.approx(whole)
    assert whole <= prometheus.first_order_seconds, "the client also waits for the way back"
