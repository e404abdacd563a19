"""Exports traces and metrics over OTLP.

Imported only if OTEL_EXPORTER_OTLP_ENDPOINT is set.

``activity`` measures each request once. This module converts that record to OpenTelemetry spans and
metrics, so that they agree with the log line and no library has to be instrumented. Attributes and
metrics have the names of OpenTelemetry's semantic conventions if there are such names.

The SDK sends in batches, on its own threads, and drops data that the collector does not accept. So
no request waits for the collector. The rest is sent when the process ends.
"""

from __future__ import annotations

import atexit
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

    from functions_common.observability.activity import Part, RequestRecord
    from functions_common.observability.trace import Trace
    from functions_common.runtime.settings import Instance

SCOPE = "shop"
EXPORT_SECONDS = 3
"""The longest that one export may take. The end of the process waits this long if the collector is
down; the pod's grace period is longer."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KINDS = {
    "firestore": SpanKind.CLIENT,
    "inventory": SpanKind.CLIENT,
    "batch": SpanKind.CLIENT,
    "queue": SpanKind.INTERNAL,
}
_SERVER_ERROR = 500
_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
_OTHER_METHOD = "_OTHER"
"""OpenTelemetry's name for every other method. Clients can invent methods, and each one would be a
new time series. At 2,000 the SDK drops the labels of all further ones."""


class Telemetry:
    """Exports the spans and metrics of one process, on threads of the SDK."""

    def __init__(self, function: str, instance: Instance, *, traces: bool = True) -> None:
        """``traces``: whether to send spans. Metrics are always sent."""
        self._traces = traces
        resource = _resource(function, instance)
        self._spans = _Spans(resource, export=traces)
        meters = meter_provider(resource)
        meter = meters.get_meter(SCOPE)
        self._requests = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "From the first byte of a request to its response",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._parts = meter.create_histogram(
            "shop.part.duration",
            "s",
            "Calls to Firestore and inventory, batches to inventory, and time in the queue",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._cold_starts = meter.create_counter(
            "faas.coldstarts", "{coldstart}", "Processes that have received their first request"
        )
        atexit.register(_shut_down, self._spans.provider, meters)

    def export(self, record: RequestRecord) -> None:
        self._measure(record)
        if not self._traces:
            return
        now = time.monotonic_ns()
        epoch_offset = time.time_ns() - now
        for part in record.activity.parts:
            if part.trace.sampled:  # a batch has a trace of its own
                self._export_part(part, epoch_offset)
        if record.activity.trace.sampled:
            self._export_request(record, now, epoch_offset)

    def _measure(self, record: RequestRecord) -> None:
        labels: dict[str, AttributeValue] = {
            "http.request.method": _method(record),
            "http.response.status_code": record.status,
        }
        if record.route is not None:
            labels["http.route"] = record.route
        self._requests.record(record.milliseconds["total"] / 1000, labels)
        for part in record.activity.parts:
            seconds = (part.ended - part.began) / 1e9
            self._parts.record(seconds, {"part": part.name, "failed": part.failed})
        if record.cold:
            self._cold_starts.add(1)

    def _export_request(self, record: RequestRecord, now: int, epoch_offset: int) -> None:
        current = record.activity
        method = _method(record)
        attributes: dict[str, AttributeValue] = {
            "http.request.method": method,
            "url.path": record.path,
            "http.response.status_code": record.status,
            "faas.coldstart": record.cold,
            **{f"shop.{name}": str(value) for name, value in current.notes.items()},
        }
        if record.route is not None:
            attributes["http.route"] = record.route
        span = self._spans.start(
            f"{method} {record.route or ''}".rstrip(),
            current.trace,
            SpanKind.SERVER,
            current.began + epoch_offset,
            attributes=attributes,
        )
        _end(span, now + epoch_offset, failed=record.status >= _SERVER_ERROR)

    def _export_part(self, part: Part, epoch_offset: int) -> None:
        span = self._spans.start(
            part.name,
            part.trace,
            _KINDS[part.name],
            part.began + epoch_offset,
            links=[Link(_span_context(each, each.span_id)) for each in part.links],
        )
        _end(span, part.ended + epoch_offset, failed=part.failed)


def _method(record: RequestRecord) -> str:
    return record.method if record.method in _METHODS else _OTHER_METHOD


class _Spans:
    """Starts spans with the ids that they already have."""

    def __init__(self, resource: Resource, *, export: bool) -> None:
        """``export``: whether spans are sent. It takes a thread and a connection."""
        self._ids = _GivenIds()
        self.provider = TracerProvider(
            sampler=ALWAYS_ON,  # the caller selects the sampled ones
            resource=resource,
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        if export:
            self.provider.add_span_processor(
                BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS))
            )
        self._tracer = self.provider.get_tracer(SCOPE)

    def start(
        self,
        name: str,
        trace: Trace,
        kind: SpanKind,
        start_time: int,
        *,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        """``start_time``: nanoseconds since 1970."""
        self._ids.next = trace
        return self._tracer.start_span(
            name,
            context=_parent_context(trace, remote=kind is SpanKind.SERVER),
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=start_time,
        )


class _GivenIds(IdGenerator, threading.local):
    """Gives the span that this thread starts next the ids of ``next``.

    They were decided when the work began: log lines and ``traceparent`` headers contain them.
    """

    next: Trace

    def generate_span_id(self) -> int:
        return int(self.next.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self.next.trace_id, 16)


def _end(span: Span, end_time: int, *, failed: bool) -> None:
    """End the span, which exports it. ``end_time``: nanoseconds since 1970."""
    if failed:
        span.set_status(Status(StatusCode.ERROR))
    span.end(end_time=end_time)


def report(command: str, instance: Instance, figures: Mapping[str, float]) -> None:
    """Export the figures of a command that is about to end, each as a gauge of its name."""
    meters = meter_provider(_resource(command, instance))
    meter = meters.get_meter(SCOPE)
    for name, value in figures.items():
        meter.create_gauge(f"shop.{command}.{name}").set(value)
    meters.shutdown(EXPORT_SECONDS * 1000)


def _resource(name: str, instance: Instance) -> Resource:
    """The operator can add attributes, such as the cluster's name: OTEL_RESOURCE_ATTRIBUTES."""
    found: dict[str, AttributeValue] = {
        "service.name": name,
        "service.instance.id": instance.pod,
        "k8s.pod.name": instance.pod,
    }
    if instance.revision is not None:
        found["service.version"] = instance.revision
    return Resource.create(found)


def meter_provider(resource: Resource) -> MeterProvider:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=EXPORT_SECONDS))
    return MeterProvider([reader], resource, shutdown_on_exit=False)


def _shut_down(tracers: TracerProvider, meters: MeterProvider) -> None:
    tracers.shutdown()
    meters.shutdown(EXPORT_SECONDS * 1000)


def _parent_context(trace: Trace, *, remote: bool) -> Context:
    """``remote``: the parent span is in another process."""
    if trace.parent_id is None:
        return Context()
    parent = NonRecordingSpan(_span_context(trace, trace.parent_id, remote=remote))
    return set_span_in_context(parent, Context())


def _span_context(trace: Trace, span_id: str, *, remote: bool = False) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(span_id, 16),
        is_remote=remote,
        trace_flags=TraceFlags(int(trace.sampled)),
    )
