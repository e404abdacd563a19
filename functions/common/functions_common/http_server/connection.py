"""A client's connection, with limits on its bytes and its time.

A connection is a waitress channel. waitress parses requests on the server's main thread and hands
each to a worker thread when all of it has arrived. So a slow client costs a socket, but no thread.
The only time limit of waitress is the one for idle connections. This module adds more:

- A request that does not arrive in time, or breaks a rule, gets a problem document. Then the
  connection ends.
- A response that the client does not read in time ends the connection.
- Requests that a client sends ahead (pipelining) wait until the response before them is sent.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, Task, WSGITask
from waitress.utilities import Error

from functions_common.http import problems
from functions_common.http.parsing import MAX_BODY
from functions_common.http.problems import Problem
from functions_common.observability.request_log import FIRST_BYTE, HEALTH
from functions_common.observability.trace import Trace

if TYPE_CHECKING:
    from functions_common.runtime.settings import ServerSettings

MAX_REQUEST_LINE = 8190
MAX_HEADERS = 16 * 1024
"""Bytes, including the request line. The longest token has 8 kB."""
MAX_HEADER_FIELDS = 100
MAX_CHUNK_LINE = 256
"""Bytes of a chunk's size and extensions."""
MAX_BLANK = 64
"""Bytes of line breaks before a request. Some clients send a line break after a body."""

LINGER_SECONDS = 2.0
"""After an error response, the time in which the client can go on sending. Then the socket closes.
An immediate close would reset the connection, and the client might never see the response."""
_DISCARD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in seconds, and in numbers of connections and requests. See docs/settings.md."""

    header_seconds: float
    request_seconds: float
    send_seconds: float
    keep_alive_seconds: float
    connections: int
    queued: int
    """The most requests that wait for a worker thread."""
    queue_seconds: float = 0.7
    """The longest that a request waits for a worker thread."""

    @classmethod
    def of(cls, server: ServerSettings, request_deadline_seconds: float) -> Limits:
        """The request's deadline includes the time in which the request arrives."""
        return cls(
            header_seconds=server.header_timeout_seconds,
            request_seconds=request_deadline_seconds,
            send_seconds=server.send_timeout_seconds,
            keep_alive_seconds=server.keep_alive_seconds,
            connections=server.max_connections,
            queued=server.max_queued,
        )


class ConnectionServer(Protocol):
    """The part of ``Server`` that a connection uses."""

    retry_after: int

    @property
    def stopping(self) -> bool: ...
    def add_task(self, connection: ClientConnection) -> None: ...
    def count_rejection(self, reason: HTTPStatus | str) -> None: ...
    def forget_idle(self, connection: ClientConnection) -> None: ...
    def idle_since(self, connection: ClientConnection, now: float) -> float: ...
    def watch(self, connection: ClientConnection) -> None: ...
    def yield_to_main_thread(self) -> None: ...


class RejectedRequestError(Error):
    """The server itself rejects the request, before the app sees it."""

    def __init__(self, status: HTTPStatus, detail: str, kind: str | None = None) -> None:
        super().__init__(detail)
        self.code = status.value
        self.reason = status.phrase
        self.kind = kind


class OverloadedError(RejectedRequestError):
    """The queue is full, or the request waited too long in it. Nothing was begun: repeat it.

    The connection stays open.
    """

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
        """A health check. It needs no worker thread, so that a full queue does not restart pods."""
        return not self.error and self.command == "GET" and self.path == HEALTH

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if not self.completed:
            self._check_partial_request()
        if self.completed:
            self.expect_continue = False  # else waitress would wait for a body that is not needed
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        line_end = header_plus.find(b"\r\n")
        if line_end > MAX_REQUEST_LINE:
            return self.fail(HTTPStatus.REQUEST_URI_TOO_LONG)
        if header_plus.count(b"\r\n") > MAX_HEADER_FIELDS + 2:
            return self.fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            return self.fail(
                HTTPStatus.BAD_REQUEST
            )  # a folded line: HTTP/1.1 allows a server to reject it
        line, fields = header_plus[: line_end + 2], header_plus[line_end + 2 :]
        try:
            super().parse_header(line + _LEADING_BLANKS.sub(rb"\1:", fields))
        except ValueError:  # an invalid address, or a length with thousands of digits
            long = self.headers.get("CONTENT_LENGTH", "").isdigit()
            return self.fail(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if long else HTTPStatus.BAD_REQUEST
            )
        if self.headers.get("EXPECT", "").lower() not in ("", "100-continue"):
            return self.fail(HTTPStatus.EXPECTATION_FAILED)
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("HTTP version is not supported")
        return None

    def fail(self, status: HTTPStatus) -> None:
        """End the request here with the given status."""
        self.error = RejectedRequestError(status, _DETAILS.get(status, status.description))
        self.completed = True

    def _check_partial_request(self) -> None:
        """Reject a request that is invalid already, although the rest has not arrived."""
        if self.chunked:
            if len(self.body_rcv.control_line) > MAX_CHUNK_LINE:
                self.fail(HTTPStatus.BAD_REQUEST)
        elif not self.headers_finished:
            first = self.header_plus[:1]
            if not first.isalpha() and first not in b"\r\n":
                self.fail(HTTPStatus.BAD_REQUEST)
            elif len(self.header_plus) > MAX_REQUEST_LINE and b"\r\n" not in self.header_plus:
                self.fail(HTTPStatus.REQUEST_URI_TOO_LONG)


_LEADING_BLANKS = re.compile(rb"(?m)^([^:\r\n]+):[ \t]+")
"""The time that waitress's own header pattern takes is quadratic in these blanks."""

_DETAILS = {
    HTTPStatus.BAD_REQUEST: "This is not a valid HTTP request.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time. Send it again without pauses.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"The request line is longer than {MAX_REQUEST_LINE} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"The headers are longer than {MAX_HEADERS} bytes, or there are more than"
        f" {MAX_HEADER_FIELDS} of them."
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body is longer than {MAX_BODY} bytes.",
    HTTPStatus.EXPECTATION_FAILED: "The only supported expectation is 100-continue.",
    HTTPStatus.NOT_IMPLEMENTED: "The only supported transfer coding is chunked.",
}


class _SinglePacketTask(Task):
    """Sends the head of a response and the first part of its body in one packet."""

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


class ErrorResponse(_SinglePacketTask, ErrorTask):
    """Sends a problem document. waitress itself would send plain text."""

    def execute(self) -> None:
        error = self.request.error
        status = HTTPStatus(error.code)
        detail = (
            error.body
            if isinstance(error, RejectedRequestError)
            else _DETAILS.get(status, error.body)
        )
        headers = {}
        if isinstance(error, OverloadedError):
            headers = {
                "Retry-After": str(self.channel.server.retry_after),
                problems.NOT_BEGUN: "true",
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
        ]
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class AppResponse(_SinglePacketTask, WSGITask):
    """Calls the app and sends its response."""

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[FIRST_BYTE] = self.request.first_byte_ns
        environment["SERVER_SOFTWARE"] = ""
        return environment


class ClientConnection(HTTPChannel):
    """A client's connection.

    ``service`` and the methods that it calls run on a worker thread. For errors and health checks
    they run on the main thread, as all other methods do.
    """

    task_class = AppResponse
    error_task_class = ErrorResponse
    parser_class = ReceivedRequest

    def __init__(
        self,
        server: ConnectionServer,
        sock: socket.socket,
        *arguments: Any,  # noqa: ANN401 - waitress's own
        **named: Any,  # noqa: ANN401 - the same
    ) -> None:
        self._gathered: list[bytes] | None = None
        self._lingering_since: float | None = None
        self._sending_since: float | None = None
        self._responds_with_error = False
        self._blank_bytes = 0
        """Line breaks since the last request."""
        self.request: ReceivedRequest | None
        self.queued_at = 0.0
        self.waits_to_send = False
        """Its next request waits until the response before it is sent."""
        super().__init__(server, sock, *arguments, **named)

    @property
    def idle(self) -> bool:
        """No request is being received or served, and no response is being sent."""
        return not (self.requests or self.request or self.total_outbufs_len or self.ends)

    @property
    def waits_for_client_since(self) -> float | None:
        """When the server began to wait for the client, on the monotonic clock.

        None if it does not wait for the client.
        """
        if self._lingering_since is not None:
            return self._lingering_since
        if self.total_outbufs_len:
            return self._sending_since
        if self.request and not self.requests:
            return self.request.first_byte_ns / 1e9
        return None

    @property
    def ends(self) -> bool:
        """It takes no further request."""
        return bool(self.will_close or self.close_when_flushed or self._lingering_since)

    def gather(self) -> None:
        """Collect the data of ``write_soon`` until ``send_gathered``."""
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
        if not self.requests and self.request is None:
            rest = data.lstrip(b"\r\n")
            self._blank_bytes += len(data) - len(rest)
            if self._blank_bytes > MAX_BLANK:
                self.end_with(RejectedRequestError(HTTPStatus.BAD_REQUEST, "Too many blank lines."))
                return False
            data = rest
        if not data:
            return False
        self.server.forget_idle(self)
        return bool(super().received(data))

    def handle_write(self) -> None:
        rejected = self.close_when_flushed and self._responds_with_error
        if rejected and self.total_outbufs_len:
            self._flush_exception(self._flush_some)
        if rejected and not self.total_outbufs_len and not self.will_close:
            self._linger()
            return
        super().handle_write()
        if self.waits_to_send and self.connected and not self.total_outbufs_len:
            self.waits_to_send = False
            self.server.add_task(self)

    def service(self) -> None:
        """Serve one request. See ``HTTPChannel.service``."""
        self._responds_with_error, self._blank_bytes = bool(self.requests[0].error), 0
        self._sending_since = None
        if not self._responds_with_error and not self.requests[0].is_probe:
            self.server.yield_to_main_thread()
        super().service()
        self._sending_since = time.monotonic() if self.total_outbufs_len else None
        self.server.watch(self)

    def end_with(self, error: RejectedRequestError) -> None:
        """Respond with the error to the request that is arriving. Main thread only."""
        with self.requests_lock:
            if self.requests or self.ends:
                return
            request = self.request or self.parser_class(self.adj)
            request.error, request.completed = error, True
            self.request = None
            self.requests.append(request)
        self.service()

    def enforce_limits(self, limits: Limits, now: float) -> None:
        """End a request or a connection that takes too long.

        The main thread calls this several times a second.
        """
        request = self.request
        if self._lingering_since is not None:
            if now - self._lingering_since > LINGER_SECONDS:
                self.handle_close()
        elif self.total_outbufs_len:
            if self._sending_since is None:
                self._sending_since = now
            elif now - self._sending_since > limits.send_seconds:
                self.server.count_rejection("not read")
                self.handle_close()
        elif self.requests:
            pass  # the request's own deadline applies
        elif request is not None:
            finished = request.headers_finished
            limit = limits.request_seconds if finished else limits.header_seconds
            if request.age > limit:
                self.end_with(_request_timeout())
        elif now - self.server.idle_since(self, now) > limits.keep_alive_seconds:
            self.handle_close()

    def _linger(self) -> None:
        """Stop sending, and read for LINGER_SECONDS. Otherwise the client may lose the response."""
        self.close_when_flushed = False
        self._lingering_since = time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def _discard(self) -> None:
        try:
            if not self.socket.recv(_DISCARD_BYTES):
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
        self.server.forget_idle(self)
        super().del_channel(*arguments)

    def handle_close(self) -> None:
        with suppress(OSError):
            super().handle_close()


def _request_timeout() -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, _DETAILS[HTTPStatus.REQUEST_TIMEOUT])
