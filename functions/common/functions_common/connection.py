"""One client's connection: what it may take of the server, in bytes and in seconds.

A connection is a waitress channel. waitress parses requests on the server's main thread and hands
each to a worker thread when all of it has arrived. So a slow client costs a socket and no thread.
waitress has no time limits of its own beyond idleness; this module adds them:

- a request that does not arrive in time, or breaks a rule, gets a problem document and the
  connection ends;
- a response that the client does not read in time ends the connection;
- requests that a client sends ahead (pipelining) wait until the response before them has left.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, Task, WSGITask
from waitress.utilities import Error

from functions_common import problems
from functions_common.observing import FIRST_BYTE, HEALTH
from functions_common.problems import Problem
from functions_common.trace import Trace

if TYPE_CHECKING:
    from functions_common.server import Server

MAX_REQUEST_LINE = 8190
MAX_HEADERS = 16 * 1024
"""Bytes, the request line included. The longest token is 8 kB."""
MAX_HEADER_FIELDS = 100

LINGER_SECONDS = 2.0
"""After a request is refused, how long the client may go on sending before the socket closes.
Closing it at once would reset the connection, and the client might never see the response."""
_DISCARDED_AT_ONCE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts; see docs/settings.md."""

    header_seconds: float
    request_seconds: float
    send_seconds: float
    keep_alive_seconds: float
    connections: int
    queued: int
    """Requests that wait for a worker thread."""
    queue_seconds: float = 0.7


class RefusedError(Error):
    """A refusal by the server itself, before the app sees the request."""

    def __init__(self, status: HTTPStatus, detail: str, kind: str | None = None) -> None:
        super().__init__(detail)
        self.code = status.value
        self.reason = status.phrase
        self.kind = kind


class OverloadedError(RefusedError):
    """The request was received, not begun, and may be repeated. The connection stays open."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The server is busy and has not begun this request; repeat it.",
            problems.TEMPORARILY_UNAVAILABLE.kind,
        )


class ReceivedRequest(HTTPRequestParser):
    """waitress's parser with bounds on the request line and the number of headers."""

    version = "1.1"

    def __init__(self, adj: Any) -> None:  # noqa: ANN401 - waitress's settings
        super().__init__(adj)
        self.first_byte_ns = time.monotonic_ns()

    @property
    def age(self) -> float:
        """Seconds since its first byte arrived."""
        return (time.monotonic_ns() - self.first_byte_ns) / 1e9

    @property
    def is_probe(self) -> bool:
        """It needs no worker thread, so that a full queue does not restart pods."""
        return not self.error and self.command == "GET" and self.path == HEALTH

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if not self.headers_finished and not self.completed:
            self._check_request_line()
        if self.error:
            self.expect_continue = False  # waitress would ask for the body of a refused request
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        line_end = header_plus.find(b"\r\n")
        if line_end > MAX_REQUEST_LINE:
            return self.refuse(HTTPStatus.REQUEST_URI_TOO_LONG)
        if header_plus.count(b"\r\n") > MAX_HEADER_FIELDS + 2:
            return self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        super().parse_header(header_plus)
        expectation = self.headers.get("EXPECT", "").lower()
        if expectation not in ("", "100-continue"):
            return self.refuse(HTTPStatus.EXPECTATION_FAILED)
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("HTTP version is not supported")
        return None

    def refuse(self, status: HTTPStatus) -> None:
        """End the request here with the given status."""
        self.error = RefusedError(status, _DETAILS.get(status, status.description))
        self.completed = True

    def _check_request_line(self) -> None:
        """Refuse a request that cannot become a good one while it is still arriving."""
        begun = self.header_plus.lstrip()
        if begun and not begun[:1].isalpha():
            self.refuse(HTTPStatus.BAD_REQUEST)
        elif len(begun) > MAX_REQUEST_LINE and b"\r\n" not in begun:
            self.refuse(HTTPStatus.REQUEST_URI_TOO_LONG)


_DETAILS = {
    HTTPStatus.BAD_REQUEST: "This is not an HTTP/1.1 request.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time; send it again at once.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"The request line is longer than {MAX_REQUEST_LINE} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The headers are longer than {MAX_HEADERS} bytes, or more than {MAX_HEADER_FIELDS}."
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is longer than 65536 bytes.",
    HTTPStatus.EXPECTATION_FAILED: "The only expectation that is met here is 100-continue.",
    HTTPStatus.NOT_IMPLEMENTED: "The only transfer coding that is understood here is chunked.",
}


class _OnePacket(Task):
    """The head of a response and the first part of its body leave together."""

    def build_response_header(self) -> bytes:
        if self.channel.server.stopping:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header

    def write(self, data: bytes) -> None:
        if self.wrote_header:
            super().write(data)
            return
        self.channel.gather()
        try:
            super().write(data)
        finally:
            self.channel.send_gathered()


class ErrorResponse(_OnePacket, ErrorTask):
    """A problem document in place of waitress's plain text."""

    def execute(self) -> None:
        error = self.request.error
        status = HTTPStatus(error.code)
        detail = error.body if isinstance(error, RefusedError) else _DETAILS.get(status, error.body)
        headers = {}
        if isinstance(error, OverloadedError):
            headers["Retry-After"] = str(self.channel.server.retry_after)
        else:
            self.set_close_on_finish()
        problem = Problem(status, detail, getattr(error, "kind", None), headers=headers)
        self.respond(problem)
        self.channel.server.refused(status)

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
        ]
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class AppResponse(_OnePacket, WSGITask):
    """The app's own response."""

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[FIRST_BYTE] = self.request.first_byte_ns
        environment["SERVER_SOFTWARE"] = ""
        return environment


class Connection(HTTPChannel):
    """Its methods run on the server's main thread, but for ``service`` and the methods it calls."""

    task_class = AppResponse
    error_task_class = ErrorResponse
    parser_class = ReceivedRequest

    def __init__(self, server: Server, sock: socket.socket, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - waitress's own
        self._gathered: list[bytes] | None = None
        self._lingering_since: float | None = None
        self._sending_since: float | None = None
        self._refused = False
        self._blank_since: float | None = None
        """Since when the client has sent nothing but blank lines, which waitress skips."""
        self.request: ReceivedRequest | None
        self.completed_request = False
        """The last data received completed a request."""
        self.queued_at = 0.0
        self.waits_to_send = False
        """It has a further request, whose turn comes when the response before it has left."""
        super().__init__(server, sock, *arguments, **named)

    @property
    def idle(self) -> bool:
        """No request is being received or served, and no response is being sent."""
        busy = self.requests or self.request or self.total_outbufs_len or self._blank_since
        return not (busy or self.ends)

    @property
    def waits_for_client_since(self) -> float | None:
        """Since when the client could go on and does not; None while the server works for it."""
        if self._lingering_since is not None:
            return self._lingering_since
        if self.total_outbufs_len:
            return self._sending_since
        if self.request and not self.requests:
            return self.request.first_byte_ns / 1e9
        return self._blank_since

    @property
    def ends(self) -> bool:
        return bool(self.will_close or self.close_when_flushed or self._lingering_since)

    def gather(self) -> None:
        """Keep what ``write_soon`` gets until ``send_gathered``."""
        self._gathered = []

    def send_gathered(self) -> None:
        parts, self._gathered = self._gathered, None
        if parts:
            self.write_soon(b"".join(parts))

    def write_soon(self, data: bytes) -> int:
        if self._gathered is not None and isinstance(data, bytes):
            self._gathered.append(data)
            return len(data)
        written: int = super().write_soon(data)
        return written

    def readable(self) -> bool:
        return self._lingering_since is not None or super().readable()

    def writable(self) -> bool:
        return bool(self._lingering_since is None and (super().writable() or self.waits_to_send))

    def handle_read(self) -> None:
        if self._lingering_since is not None:
            self._discard()
            return
        super().handle_read()

    def received(self, data: bytes) -> bool:
        self.server.is_active(self)
        self.completed_request = False
        used = bool(super().received(data))
        if not self.completed_request and self.request is None:
            self._blank_since = self._blank_since or time.monotonic()
        return used

    def handle_write(self) -> None:
        refused = self.close_when_flushed and self._refused
        if refused and self.total_outbufs_len:
            self._flush_exception(self._flush_some)
        if refused and not self.total_outbufs_len and not self.will_close:
            self._linger()
            return
        super().handle_write()
        if self.waits_to_send and self.connected and not self.total_outbufs_len:
            self.waits_to_send = False
            self.server.add_task(self)

    def service(self) -> None:
        """Serve one request; see ``HTTPChannel.service``."""
        self._refused, self._blank_since = bool(self.requests[0].error), None
        self._sending_since = None
        if not self._refused and not self.requests[0].is_probe:
            self.server.wait_for_calm()
        super().service()
        self._sending_since = time.monotonic() if self.total_outbufs_len else None
        self.server.watch(self)

    def refuse(self, error: RefusedError) -> None:
        """Respond with the error in place of the request under way; main thread only."""
        with self.requests_lock:
            if self.requests or self.ends:
                return
            request = self.request or self.parser_class(self.adj)
            request.error, request.completed = error, True
            self.request = None
            self.requests.append(request)
        self.service()

    def enforce(self, limits: Limits, now: float) -> None:
        """End what has taken too long; called several times a second on the main thread."""
        request = self.request
        if self._lingering_since is not None:
            if now - self._lingering_since > LINGER_SECONDS:
                self.handle_close()
        elif self.total_outbufs_len:
            if self._sending_since and now - self._sending_since > limits.send_seconds:
                self.server.refused("not read")
                self.handle_close()
        elif self.requests:
            pass  # the request's own deadline applies
        elif request is not None:
            finished = request.headers_finished
            limit = limits.request_seconds if finished else limits.header_seconds
            if request.age > limit:
                self.refuse(_late())
        elif self._blank_since and now - self._blank_since > limits.header_seconds:
            self.refuse(_late())
        elif now - self.server.idle_since(self, now) > limits.keep_alive_seconds:
            self.handle_close()

    def _linger(self) -> None:
        """Stop sending, and read on for a moment: else the client may lose the response."""
        self.close_when_flushed = False
        self._lingering_since = time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def _discard(self) -> None:
        try:
            if not self.socket.recv(_DISCARDED_AT_ONCE):
                self.handle_close()
        except BlockingIOError:
            pass
        except OSError:
            self.handle_close()

    def _flush_outbufs_below_high_watermark(self) -> None:
        if self.total_outbufs_len > self.adj.outbuf_high_watermark:
            self.server.watch(self)
        super()._flush_outbufs_below_high_watermark()

    def del_channel(self, *arguments: Any) -> None:  # noqa: ANN401 - waitress's own
        self.server.is_active(self)
        super().del_channel(*arguments)

    def handle_close(self) -> None:
        with suppress(OSError):
            super().handle_close()


def _late() -> RefusedError:
    return RefusedError(HTTPStatus.REQUEST_TIMEOUT, _DETAILS[HTTPStatus.REQUEST_TIMEOUT])
