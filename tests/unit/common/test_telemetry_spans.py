"""Exported spans. A batch is the root of its own trace, with links."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan

from functions_common.observability import activity, telemetry
from functions_common.observability.trace import Trace
from functions_common.runtime.settings import Instance

if TYPE_CHECKING:
    from functions_common.observability.activity import Activity

CALLER = f"00-{'a' * 32}-{'b' * 16}"


class Exported(list[ReadableSpan]):
    """Replaces the processor that sends spans to a collector."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        pass

    def _on_ending(self, span: Any) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        self.append(span)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    exported = Exported()
    monkeypatch.setattr(telemetry, "BatchSpanProcessor", lambda _: exported)
    monkeypatch.setattr(telemetry, "meter_provider", lambda _: MeterProvider())
    monkeypatch.setattr(atexit, "register", lambda *_: None)
    return exported


def lead_a_batch(leader: str, *members: Trace) -> Activity:
    """The record of a request that sends the reservations of others with its own."""
    with activity.recording(Trace.begin(leader)) as current, activity.part("inventory") as own:
        assert own
        with activity.batch([own, *members]):
            pass
    return current


def record(current: Activity) -> None:
    request = activity.RequestRecord(
        current, "POST", "/orders", "/orders", 201, current.milliseconds(), False
    )
    telemetry.Telemetry("order", Instance()).export(request)


def ids(context: Any) -> tuple[str, str]:
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


@pytest.mark.parametrize("sampled", ["00", "01"])
def test_batch_is_exported_with_links_when_a_member_is_sampled(
    exported: Exported, sampled: str
) -> None:
    member = Trace.begin(f"00-{'c' * 32}-{'d' * 16}-01").child()
    current = lead_a_batch(f"{CALLER}-{sampled}", member)
    record(current)
    (batch,) = [span for span in exported if span.name == "batch"]
    assert batch.parent is None
    trace_id, _ = ids(batch.context)
    assert trace_id not in ("a" * 32, "c" * 32)
    own = next(part.trace for part in current.parts if part.name == "inventory")
    assert [ids(link.context) for link in batch.links] == [
        (own.trace_id, own.span_id),
        (member.trace_id, member.span_id),
    ]
    others = {"inventory", "POST /orders"} if sampled == "01" else set()
    assert {span.name for span in exported} == {"batch"} | others


def test_nothing_is_exported_when_no_member_is_sampled(exported: Exported) -> None:
    record(lead_a_batch(f"{CALLER}-00", Trace.begin(f"{CALLER}-00")))
    assert exported == []


@pytest.mark.parametrize(
    ("method", "exported_method"), [("PATCH", "PATCH"), ("FOO1", "_OTHER"), ("get", "_OTHER")]
)
def test_invented_methods_are_one_method_in_metrics_and_spans(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, method: str, exported_method: str
) -> None:
    """Else a client could make any number of time series."""
    reader = InMemoryMetricReader()
    monkeypatch.setattr(telemetry, "meter_provider", lambda _: MeterProvider([reader]))
    with activity.recording(Trace.begin(sampled=True)) as current:
        pass
    request = activity.RequestRecord(
        current, method, "/orders", None, 405, current.milliseconds(), cold=False
    )
    telemetry.Telemetry("order", Instance()).export(request)
    found = reader.get_metrics_data()
    assert found
    (metric,) = found.resource_metrics[0].scope_metrics[0].metrics
    assert [point.attributes for point in metric.data.data_points] == [
        {"http.request.method": exported_method, "http.response.status_code": 405}
    ]
    (span,) = exported
    assert span.name == exported_method
    assert span.attributes
    assert span.attributes["http.request.method"] == exported_method


def test_batch_is_not_counted_in_the_times_of_its_leader() -> None:
    current = lead_a_batch(f"{CALLER}-01")
    assert set(current.milliseconds()) == {"total", "inventory"}
