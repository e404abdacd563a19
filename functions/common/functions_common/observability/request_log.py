"""Each request as an operator sees it: one log line, its headers, and OpenTelemetry if wanted."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import g, request

from functions_common.observability import activity, logs
from functions_common.observability.trace import Trace

if TYPE_CHECKING:
    from flask import Response

    from functions_common.observability.activity import Activity
    from functions_common.runtime.settings import ServerSettings

HEALTH = "/health"
FIRST_BYTE = "functions_common.first_byte_ns"
"""In the WSGI environment: when the request's first byte arrived, on the monotonic clock."""
_LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that is about to be answered."""

    activity: Activity
    method: str
    path: str
    route: str | None
    """What the path is one of; None where nothing is there."""
    status: int
    milliseconds: dict[str, float]
    cold: bool
    """It is the first one of this process, health checks aside."""


class Requests:
    """What is done around the view of each request."""

    def __init__(self, function: str, server: ServerSettings) -> None:
        self._function = function
        self._instance = server.instance
        self._sampled = server.telemetry
        self._first = threading.Lock()
        """Taken by the first request, and never given back."""
        self._headers = {"X-Pod": server.instance.pod}
        if server.instance.revision is not None:
            self._headers["X-Revision"] = server.instance.revision
        self._telemetry = None
        if server.telemetry:
            from functions_common.observability.telemetry import Telemetry  # noqa: PLC0415 - costs 50 ms

            self._telemetry = Telemetry(function, server.instance)

    def begin(self) -> None:
        trace = Trace.begin(request.headers.get("traceparent"), sampled=self._sampled)
        g.before = activity.current()
        g.activity = activity.begin(trace, request.environ.get(FIRST_BYTE))
        g.cold = request.path != HEALTH and self._first.acquire(blocking=False)

    def finish(self, response: Response) -> Response:
        current: Activity = g.activity
        answered = Answered(
            current,
            request.method,
            request.path[:_LONGEST_PATH],
            request.url_rule.rule if request.url_rule else None,
            response.status_code,
            current.milliseconds(),
            g.cold,
        )
        response.headers.update(self._headers)
        response.headers["X-Trace-Id"] = current.trace.trace_id
        response.headers["Server-Timing"] = _server_timing(answered)
        self._log(answered, response)
        if self._telemetry is not None:
            self._telemetry.record(answered)
        return response

    def leave(self, _error: BaseException | None) -> None:
        activity.resume(g.pop("before", None))

    def _log(self, answered: Answered, response: Response) -> None:
        logs.event(
            f"{answered.method} {answered.path} {answered.status}",
            severity=_severity(answered.status),
            httpRequest={
                "requestMethod": answered.method,
                "requestUrl": answered.path,
                "status": answered.status,
                "responseSize": str(response.calculate_content_length() or 0),
                "latency": f"{answered.milliseconds['total'] / 1000:.4f}s",
            },
            function=self._function,
            revision=self._instance.revision,
            pod=self._instance.pod,
            cold=answered.cold,
            ms=answered.milliseconds,
            **answered.activity.notes,
        )


def _server_timing(answered: Answered) -> str:
    """As browsers' tools show it (https://www.w3.org/TR/server-timing/)."""
    parts = [f"{name};dur={spent}" for name, spent in answered.milliseconds.items()]
    return ", ".join([*parts, "cold"] if answered.cold else parts)


def _severity(status: int) -> int:
    """Whose business it is: 503 is said of others and passes, another 5xx is a mistake of ours."""
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.INFO
    return logging.WARNING if status == HTTPStatus.SERVICE_UNAVAILABLE else logging.ERROR
