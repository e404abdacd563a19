"""The responses that a connection sends: the app's, and problem documents of the server itself.

waitress calls them tasks. ``execute`` runs on a worker thread; for errors and health checks, on the
main thread.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from waitress.task import ErrorTask, Task, WSGITask
from waitress.utilities import build_http_date

from functions_common.http import problems
from functions_common.http.problems import Problem
from functions_common.http_server.received_request import (
    DETAILS,
    OverloadedError,
    RejectedRequestError,
)
from functions_common.observability.request_log import FIRST_BYTE
from functions_common.observability.trace import Trace


class _SinglePacketTask(Task):
    """Sends the head of a response and the first part of its body in one packet."""

    def build_response_header(self) -> bytes:
        if self.channel.server.stopping:
            self.set_close_on_finish()
        if self._keeps_connection():
            lines = [f"{name}: {value}\r\n" for name, value in self.response_headers]
            date = build_http_date(self.start_time)
            head = f"HTTP/1.1 {self.status}\r\n{''.join(lines)}Date: {date}\r\n\r\n"
            return head.encode("latin-1")
        header: bytes = super().build_response_header()
        return header

    def _keeps_connection(self) -> bool:
        """No header decides about the connection, and the length is given: the usual response.

        For others waitress adds headers. It also normalizes and sorts the headers of each response.
        The apps set neither ``Date`` nor ``Server``.
        """
        return (
            self.version == "1.1"
            and "CONNECTION" not in self.request.headers
            and not self.close_on_finish
            and self.has_body
            and ("Content-Length", str(self.content_length)) in self.response_headers
        )

    def set_close_on_finish(self) -> None:
        """Close after this response. waitress also calls it if a response cannot have a body."""
        asked = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or asked or self.version == "1.0" or self.channel.server.stopping:
            super().set_close_on_finish()

    def write(self, data: bytes) -> None:
        if self.wrote_header:
            super().write(data)
            return
        self.channel.gather()
        try:
            super().write(data)
        finally:
            self.channel.send_gathered()


class ErrorResponse(_SinglePacketTask, ErrorTask):
    """Sends a problem document. waitress itself would send plain text."""

    def execute(self) -> None:
        error = self.request.error
        status = HTTPStatus(error.code)
        detail = (
            error.body
            if isinstance(error, RejectedRequestError)
            else DETAILS.get(status, error.body)
        )
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # The limit of waitress is one byte more than is allowed.
            detail = f"The body is longer than {self.request.adj.max_request_body_size - 1} bytes."
        headers = {}
        if isinstance(error, OverloadedError):
            headers = {
                "Retry-After": str(self.channel.server.retry_after),
                problems.NOT_BEGUN_HEADER: "true",
            }
        else:
            self.set_close_on_finish()
        problem = Problem(status, detail, getattr(error, "kind", None), headers=headers)
        self.respond(problem)
        self.channel.server.count_rejection(status)

    def respond(self, problem: Problem) -> None:
        trace_id = Trace.begin().trace_id
        path = getattr(self.request, "path", "")[:200]
        body = msgspec.json.encode(problem.body(instance=path, trace_id=trace_id))
        self.status = f"{problem.status.value} {problem.status.phrase}"
        self.response_headers += [
            ("Content-Type", problems.CONTENT_TYPE),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Trace-Id", trace_id),
            *problem.headers.items(),
            *self._cors_headers(),
        ]
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)

    def _cors_headers(self) -> list[tuple[str, str]]:
        """As the app's. If the request's headers were not read, its origin is unknown."""
        cors = self.channel.server.cors
        if cors is None:
            return []
        return [("Vary", "Origin"), *cors.headers(self.request.headers.get("ORIGIN")).items()]


class AppResponse(_SinglePacketTask, WSGITask):
    """Calls the app and sends its response.

    A response without a length is a stream. It is sent in chunks, and the app makes the next one
    when the client has received most of those before.
    """

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.chunked_response:
            self.channel.wait_for_reader()

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[FIRST_BYTE] = self.request.first_byte_ns
        environment["SERVER_SOFTWARE"] = ""
        return environment
