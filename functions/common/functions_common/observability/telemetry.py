"""Traces and metrics over OTLP. Imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set.

A request is measured once, by ``activity``; here that record is told in OpenTelemetry's words. So
there is nothing to instrument, and what is exported agrees with the log line. Names of attributes
and metrics are those of OpenTelemetry's semantic conventions where these have one.

The SDK sends in a thread of its own, in batches, and drops what a collector does not take: no
request waits for it. What is left is sent when the process ends.
"""

from __future__ import annotations

import atexit
import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue

    from functions_common.observability.activity import Part
    from functions_common.observability.request_log import Answered
    from functions_common.observability.trace import Trace
    from functions_common.runtime.settings import Instance

SCOPE = "shop"
EXPORT_SECONDS = 3
"""The longest that one sending may take: what the end of a process waits for, within the pod's
grace period, where the collector is away."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KINDS = {
    "firestore": SpanKind.CLIENT,
    "inventory": SpanKind.CLIENT,
    "batch": SpanKind.CLIENT,
    "queue": SpanKind.INTERNAL,
}
_OUR_FAULT = 500


class Telemetry:
    """Sends the spans and metrics of one process, on threads of its own."""

    def __init__(self, function: str, instance: Instance) -> None:
        self._resource = _resource(function, instance)
        self._scope = InstrumentationScope(SCOPE)
        self._spans = BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS))
        meters = _meter_provider(self._resource)
        meter = meters.get_meter(SCOPE)
        self._requests = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "From the first line of a request to its answer",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._parts = meter.create_histogram(
            "shop.part.duration",
            "s",
            "Calls of Firestore and inventory, batches to inventory, and time in the queue",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._cold_starts = meter.create_counter(
            "faas.coldstarts", "{coldstart}", "Processes that have had their first request"
        )
        atexit.register(_end, self._spans, meters)

    def record(self, answered: Answered) -> None:
        self._measure(answered)
        now = time.monotonic_ns()
        since_the_epoch = time.time_ns() - now
        for part in answered.activity.parts:
            if part.trace.sampled:  # a batch may be of a trace of its own
                self._spans.on_end(self._part(part, since_the_epoch))
        if answered.activity.trace.sampled:
            self._spans.on_end(self._request(answered, now, since_the_epoch))

    def _measure(self, answered: Answered) -> None:
        labels: dict[str, AttributeValue] = {
            "http.request.method": answered.method,
            "http.response.status_code": answered.status,
        }
        if answered.route is not None:
            labels["http.route"] = answered.route
        self._requests.record(answered.milliseconds["total"] / 1000, labels)
        for part in answered.activity.parts:
            seconds = (part.ended - part.began) / 1e9
            self._parts.record(seconds, {"part": part.name, "failed": part.failed})
        if answered.cold:
            self._cold_starts.add(1)

    def _request(self, answered: Answered, now: int, since_the_epoch: int) -> ReadableSpan:
        current = answered.activity
        attributes: dict[str, AttributeValue] = {
            "http.request.method": answered.method,
            "url.path": answered.path,
            "http.response.status_code": answered.status,
            "faas.coldstart": answered.cold,
            **{f"shop.{name}": str(value) for name, value in current.notes.items()},
        }
        if answered.route is not None:
            attributes["http.route"] = answered.route
        return ReadableSpan(
            name=f"{answered.method} {answered.route or ''}".rstrip(),
            context=_context(current.trace),
            parent=_parent(current.trace, remote=True),
            resource=self._resource,
            attributes=attributes,
            kind=SpanKind.SERVER,
            status=_status(failed=answered.status >= _OUR_FAULT),
            start_time=current.began + since_the_epoch,
            end_time=now + since_the_epoch,
            instrumentation_scope=self._scope,
        )

    def _part(self, part: Part, since_the_epoch: int) -> ReadableSpan:
        return ReadableSpan(
            name=part.name,
            context=_context(part.trace),
            parent=_parent(part.trace, remote=False),
            resource=self._resource,
            links=[Link(_context(each)) for each in part.links],
            kind=_KINDS[part.name],
            status=_status(failed=part.failed),
            start_time=part.began + since_the_epoch,
            end_time=part.ended + since_the_epoch,
            instrumentation_scope=self._scope,
        )


def report(command: str, instance: Instance, figures: Mapping[str, float]) -> None:
    """The figures of a command that is about to end, each under its name."""
    meters = _meter_provider(_resource(command, instance))
    meter = meters.get_meter(SCOPE)
    for name, value in figures.items():
        meter.create_gauge(f"shop.{command}.{name}").set(value)
    meters.shutdown(EXPORT_SECONDS * 1000)


def _resource(name: str, instance: Instance) -> Resource:
    """OTEL_RESOURCE_ATTRIBUTES says more: the cluster's name, say."""
    found: dict[str, AttributeValue] = {
        "service.name": name,
        "service.instance.id": instance.pod,
        "k8s.pod.name": instance.pod,
    }
    if instance.revision is not None:
        found["service.version"] = instance.revision
    return Resource.create(found)


def _meter_provider(resource: Resource) -> MeterProvider:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=EXPORT_SECONDS))
    return MeterProvider([reader], resource, shutdown_on_exit=False)


def _end(spans: BatchSpanProcessor, meters: MeterProvider) -> None:
    spans.shutdown()  # type: ignore[no-untyped-call]
    meters.shutdown(EXPORT_SECONDS * 1000)


def _context(trace: Trace) -> SpanContext:
    return _span_context(trace, trace.span_id, remote=False)


def _parent(trace: Trace, *, remote: bool) -> SpanContext | None:
    return _span_context(trace, trace.parent_id, remote=remote) if trace.parent_id else None


def _span_context(trace: Trace, span_id: str, *, remote: bool) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(span_id, 16),
        is_remote=remote,
        trace_flags=TraceFlags(int(trace.sampled)),
    )


def _status(*, failed: bool) -> Status:
    return Status(StatusCode.ERROR if failed else StatusCode.UNSET)
