"""The log line and the headers of a request."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.in_process.apps import OPERATOR, inventory_app, order_app
from support.in_process.client import client_of
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryStock

from functions_common.observability import activity, logs
from functions_common.observability.trace import Trace
from functions_common.runtime.settings import Environment, Instance, ServerSettings, SettingsError

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
INSTANCE = Instance("order-00007", "order-00007-deployment-x")
ORDER = {"customer_id": "C123", "product_id": "P001", "quantity": 2}


class Lines(logging.Handler):
    """Collects all log lines, parsed."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter("a-project"))
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def said() -> Iterator[list[dict[str, Any]]]:
    logger, handler = logging.getLogger("functions"), Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def client() -> Any:
    return order_app(MemoryOrders(), FakeInventory(P001=50), INSTANCE).test_client()


def test_request_is_logged_in_one_line(client: Any, said: list[dict[str, Any]]) -> None:
    traceparent = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
    answer = client.post("/orders", json=ORDER, headers={"traceparent": traceparent})
    (line,) = said
    assert line.pop("time")
    assert re.fullmatch("[0-9a-f]{16}", line.pop("logging.googleapis.com/spanId"))
    ms, latency = line.pop("ms"), line["httpRequest"].pop("latency")
    assert ms == {"total": pytest.approx(float(latency.removesuffix("s")) * 1000)}
    assert line == {
        "severity": "INFO",
        "message": "POST /orders 201",
        "logging.googleapis.com/trace": f"projects/a-project/traces/{TRACE_ID}",
        "logging.googleapis.com/trace_sampled": True,
        "httpRequest": {
            "requestMethod": "POST",
            "requestUrl": "/orders",
            "status": 201,
            "responseSize": str(len(answer.data)),
        },
        "function": "order",
        "revision": "order-00007",
        "pod": "order-00007-deployment-x",
        "cold": True,
        "order_id": answer.json["order_id"],
    }


def test_long_method_and_path_are_cut_in_the_log_line(said: list[dict[str, Any]]) -> None:
    client: Any = inventory_app(MemoryStock()).test_client()
    client.open("/" + "a" * 500, method="B" * 500)
    (line,) = said
    assert line["message"] == f"{'B' * 20} /{'a' * 199} 404"
    assert line["httpRequest"]["requestMethod"] == "B" * 20


def test_only_the_first_request_is_cold_without_health_checks(client: Any) -> None:
    paths = ("/health", "/orders/ORDX", "/orders/ORDX", "/health")
    timings = [client.get(path).headers["Server-Timing"] for path in paths]
    assert [timing.endswith(", cold") for timing in timings] == [False, True, False, False]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("t=1764000000.250", "2025-11-24T16:00:00.250000+00:00"),
        ("t=1764000000", "2025-11-24T16:00:00+00:00"),
        ("1764000000250", None),
        ("t=99999999999999999999", None),
        ("t=\u0661764000000", None),
    ],
)
def test_first_request_has_the_time_at_the_gateway_in_its_log_line(
    client: Any, said: list[dict[str, Any]], header: str, expected: str | None
) -> None:
    for _ in range(2):
        client.get("/orders/ORDX", headers={"X-Request-Start": header})
    assert [line.get("requested_at") for line in said] == [expected, None]


def test_log_line_has_the_order_id_for_any_outcome(said: list[dict[str, Any]]) -> None:
    client = order_app(MemoryOrders(), FakeInventory(P001=1)).test_client()
    said.clear()  # of the start
    refused = client.post("/orders", json=ORDER, headers={"Idempotency-Key": "once"})
    assert refused.status_code == 409
    client.post(f"/orders/{refused.json['order_id']}/cancel")  # type: ignore[index]
    client.get("/orders/no-order")
    assert [line.get("order_id") for line in said] == [refused.json["order_id"]] * 2 + [None]  # type: ignore[index]


@pytest.mark.parametrize(
    ("method", "path", "status", "logged"),
    [
        ("POST", "/customers/Ada/erase", 200, "/customers/…/erase"),
        ("POST", "/customers/Ada%20L/erase", 404, "/customers/…/erase"),
        ("POST", "/customers/erased/erase", 404, "/customers/…/erase"),
        ("GET", "/customers/Ada/erase", 405, "/customers/…/erase"),
        ("POST", "/customers/Ada/erased", 404, "/customers/…/…"),
        ("POST", "/customers/Ada", 404, "/customers/…"),
        ("POST", "/Customers/Ada/erase", 404, "/…/…/erase"),
        ("POST", "/customers//Ada/erase", 404, "/customers//…/erase"),
        ("POST", "/customers/Ada//erase", 404, "/customers/…//erase"),
        ("POST", "/customers%2FAda/erase", 200, "/customers/…/erase"),
        ("POST", "/customers%252FAda/erase", 404, "/…/erase"),
        ("POST", "/customers/Ada%2Ferase", 200, "/customers/…/erase"),
        ("POST", "/%63ustomers/Ada/erase", 200, "/customers/…/erase"),
        ("POST", "/customer/Ada", 404, "/…/…"),
        ("DELETE", "/api/customers/Ada", 404, "/…/customers/…"),
        ("POST", "/customers/../customers/Ada", 404, "/customers/…/customers/…"),
        ("POST", f"/customers/{'x' * 300}Ada/erase", 404, "/customers/…/erase"),
        ("GET", "/orders/ORDX", 404, "/orders/ORDX"),
        ("POST", "/health", 405, "/health"),
    ],
)
def test_log_line_has_no_customer_id(
    said: list[dict[str, Any]], method: str, path: str, status: int, logged: str
) -> None:
    client = order_app(MemoryOrders(), FakeInventory(P001=50), INSTANCE).test_client()
    response = client.open(path, method=method, headers={"Authorization": f"Bearer {OPERATOR}"})
    assert response.status_code == status
    line = said[-1]
    assert line["message"] == f"{method} {logged} {status}"
    assert line["httpRequest"]["requestUrl"] == logged
    assert "Ada" not in json.dumps(said)


def test_response_headers_name_revision_and_pod(client: Any) -> None:
    for path in ("/health", "/nowhere"):
        headers = client.get(path).headers
        assert (headers["X-Revision"], headers["X-Pod"]) == (INSTANCE.revision, INSTANCE.pod)
    elsewhere = order_app(MemoryOrders(), FakeInventory()).test_client().get("/health")
    assert "X-Revision" not in elsewhere.headers


def test_order_and_inventory_share_a_trace_and_have_their_own_times(
    said: list[dict[str, Any]],
) -> None:
    inventory = inventory_app(MemoryStock())
    order = order_app(MemoryOrders(), client_of(inventory)).test_client()
    said.clear()  # of the start
    timing = order.get("/products").headers["Server-Timing"]
    assert re.fullmatch(r"total;dur=[0-9.]+, inventory;dur=[0-9.]+, cold", timing)
    inner, outer = said
    assert (inner["function"], outer["function"]) == ("inventory", "order")
    trace, span = "logging.googleapis.com/trace", "logging.googleapis.com/spanId"
    assert inner[trace] == outer[trace]
    assert inner[span] != outer[span]
    assert activity.current() is None


@pytest.mark.parametrize(
    ("status", "severity"),
    [(200, "INFO"), (404, "INFO"), (409, "INFO"), (500, "ERROR"), (503, "WARNING")],
)
def test_severity_follows_from_the_status(
    status: int, severity: str, said: list[dict[str, Any]]
) -> None:
    app = order_app(MemoryOrders(), FakeInventory())
    app.add_url_rule("/answers", view_func=lambda: ("", status))
    app.test_client().get("/answers")
    assert said[-1]["severity"] == severity


def test_parts_of_the_same_name_are_summed() -> None:
    begun = activity.Activity(Trace.begin(), began=0)
    for began, ended in ((0, 1_000_000), (2_000_000, 5_500_000)):
        begun.parts.append(activity.Part("firestore", begun.trace, began, ended, failed=False))
    assert begun.milliseconds()["firestore"] == 4.5


def test_work_outside_a_request_is_not_recorded() -> None:
    with activity.part("firestore") as trace:
        assert trace is None
    activity.note(order_id="ORD")
    assert activity.current() is None


def test_settings_error_when_telemetry_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert ServerSettings.load(Environment(wanted)).telemetry
    assert not ServerSettings.load(Environment({})).telemetry
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"^OTEL_EXPORTER_OTLP_ENDPOINT is set, and"):
        ServerSettings.load(Environment(wanted))


def test_instance_is_the_pod_on_knative_and_the_process_elsewhere() -> None:
    knative = {"K_REVISION": "order-00007", "HOSTNAME": "order-00007-deployment-x"}
    assert Instance.load(Environment(knative)) == INSTANCE
    elsewhere = Instance.load(Environment({"HOSTNAME": "desk"}))
    assert elsewhere.revision is None
    assert re.fullmatch(r"desk-\d+", elsewhere.pod)
