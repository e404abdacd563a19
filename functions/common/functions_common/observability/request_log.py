"""The record of each request: one log line, response headers, and OpenTelemetry if enabled."""

from __future__ import annotations

import logging
import re
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import request

from functions_common.observability import activity, logs
from functions_common.observability.activity import RequestRecord
from functions_common.observability.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Request, Response

    from functions_common.runtime.settings import ServerSettings

HEALTH = "/health"
FIRST_BYTE = "functions_common.first_byte_ns"
"""Key of the WSGI environment: when the request's first byte arrived, on the monotonic clock."""
REQUEST_START = "HTTP_X_REQUEST_START"
"""Key of the header ``X-Request-Start``. Gateways set it to the time at which the request reached
them, as ``t=`` and seconds since 1970."""
_REQUEST_START = re.compile(r"t=([0-9]{10}(?:\.[0-9]{1,6})?)")
_MAX_PATH, _MAX_METHOD = 200, 20
"""Characters in a log line or a trace. A request line has up to 8 kB."""


class RequestLog:
    """Hooks of the Flask app: ``begin`` before the view, ``finish`` and ``leave`` after it."""

    def __init__(
        self, function: str, server: ServerSettings, mask_path: Callable[[str, str | None], str]
    ) -> None:
        """``mask_path``: see ``dispatch.path_mask``."""
        self._function = function
        self._mask_path = mask_path
        self._instance = server.instance
        self._sampled = server.telemetry and server.traces
        self._first = threading.Lock()
        """Acquired by the first request, and never released."""
        self._headers = {"X-Pod": server.instance.pod}
        if server.instance.revision is not None:
            self._headers["X-Revision"] = server.instance.revision
        self._telemetry = None
        if server.telemetry:
            from functions_common.observability.telemetry import Telemetry  # noqa: PLC0415 - costs 50 ms

            self._telemetry = Telemetry(function, server.instance, traces=server.traces)

    def begin(self) -> None:
        """Start the record. Continue the caller's trace if the request has a ``traceparent``."""
        environ = request.environ
        trace = Trace.begin(environ.get("HTTP_TRACEPARENT"), sampled=self._sampled)
        begun = activity.begin(trace, environ.get(FIRST_BYTE))
        begun.cold = environ.get("PATH_INFO") != HEALTH and self._first.acquire(blocking=False)

    def finish(self, response: Response) -> Response:
        """Add the response headers, write the log line, and export the spans."""
        current = activity.of_request()
        flask_request = current_request()
        rule = flask_request.url_rule.rule if flask_request.url_rule else None
        record = RequestRecord(
            current,
            flask_request.method[:_MAX_METHOD],
            self._mask_path(flask_request.path[:_MAX_PATH], rule),
            rule,
            response.status_code,
            current.milliseconds(),
            current.cold,
        )
        headers = response.headers
        headers.extend(self._headers)
        headers.add("X-Trace-Id", current.trace.trace_id)
        headers.add("Server-Timing", _server_timing(record))
        self._log(record, response, flask_request.environ)
        if self._telemetry is not None:
            self._telemetry.export(record)
        return response

    def leave(self, _error: BaseException | None) -> None:
        """End the record. A test calls an app from within another app."""
        activity.end(activity.current())

    def _log(self, record: RequestRecord, response: Response, environ: Mapping[str, Any]) -> None:
        notes = dict(record.activity.notes)
        if record.cold and (requested_at := _requested_at(environ)) is not None:
            notes["requested_at"] = requested_at
        logs.event(
            f"{record.method} {record.path} {record.status}",
            severity=_severity(record.status),
            httpRequest={
                "requestMethod": record.method,
                "requestUrl": record.path,
                "status": record.status,
                "responseSize": str(response.calculate_content_length() or 0),
                "latency": f"{record.milliseconds['total'] / 1000:.4f}s",
            },
            function=self._function,
            revision=self._instance.revision,
            pod=self._instance.pod,
            cold=record.cold,
            ms=record.milliseconds,
            **notes,
        )


def current_request() -> Request:
    """The request itself. ``flask.request`` looks for it at each access to an attribute."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    return found


def _requested_at(environ: Mapping[str, Any]) -> str | None:
    """The time at which the gateway received the request. None if it has not set one."""
    match = _REQUEST_START.fullmatch(environ.get(REQUEST_START, ""))
    return datetime.fromtimestamp(float(match[1]), UTC).isoformat() if match else None


def _server_timing(record: RequestRecord) -> str:
    """In the format that browsers display (https://www.w3.org/TR/server-timing/)."""
    parts = [f"{name};dur={spent}" for name, spent in record.milliseconds.items()]
    return ", ".join([*parts, "cold"] if record.cold else parts)


def _severity(status: int) -> int:
    """A 503 is temporary and has its cause elsewhere. Any other 5xx is an error of this code."""
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.INFO
    return logging.WARNING if status == HTTPStatus.SERVICE_UNAVAILABLE else logging.ERROR
