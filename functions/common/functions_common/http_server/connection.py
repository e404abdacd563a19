"""A client's connection, with limits on its bytes and its time.

A connection is a waitress channel. waitress parses requests on the server's main thread and hands
each to a worker thread when all of it has arrived. So a slow client costs a socket, but no thread.
The only time limit of waitress is the one for idle connections. This module adds more:

- A request that does not arrive in time, or breaks a rule (``received_request``), gets a problem
  document (``responses``). Then the connection ends.
- A response that the client does not read in time ends the connection.
- Requests that a client sends ahead (pipelining) wait until the response before them is sent.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from waitress.channel import ClientDisconnected, HTTPChannel

from functions_common.http_server.received_request import (
    DETAILS,
    ReceivedRequest,
    RejectedRequestError,
)
from functions_common.http_server.responses import AppResponse, ErrorResponse

if TYPE_CHECKING:
    from functions_common.http.cors import Cors
    from functions_common.runtime.settings import ServerSettings

MAX_BLANK = 64
"""Bytes of line breaks before a request. Some clients send a line break after a body."""

STREAM_BUFFER = 64 * 1024
"""Bytes of a stream that wait for the client at most when the app makes the next part of it."""
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
    cors: Cors | None

    @property
    def stopping(self) -> bool: ...
    def add_task(self, connection: ClientConnection) -> None: ...
    def count_rejection(self, reason: HTTPStatus | str) -> None: ...
    def forget_idle(self, connection: ClientConnection) -> None: ...
    def forget_closed(self, connection: ClientConnection) -> None: ...
    def idle_since(self, connection: ClientConnection, now: float) -> float: ...
    def watch(self, connection: ClientConnection) -> None: ...
    def pull_trigger(self) -> None: ...
    def yield_to_main_thread(self) -> None: ...


class ClientConnection(HTTPChannel):
    """A client's connection.

    A connection passes these states with each request:

    - idle (``idle``): the client has sent nothing since the last response
    - receiving: ``request`` is set; its first bytes have arrived
    - queued, then served: all of the request is in ``requests``, until its response is made
    - sending: part of the response is not sent yet (``total_outbufs_len``). The next request of the
      client can be complete already; it waits (``waits_to_send``)
    - ending (``ends``): it takes no further request. After an error response it lingers first: it
      reads and discards data of the client, for LINGER_SECONDS

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
        self._sends = False
        """The thread of ``service`` sends now, and does not wait for the main thread."""
        self._lingering_since: float | None = None
        self._sending_since: float | None = None
        self._responds_with_error = False
        self._blank_bytes = 0
        """Line breaks since the last request."""
        self.request: ReceivedRequest | None
        self.queued_at = 0.0
        self.registered_events: int = select.POLLIN
        """The events that the server's epoll reports. Only ``Server`` changes it."""
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
            self._sends = True
            try:
                self.write_soon(b"".join(parts))
            finally:
                self._sends = False
            if self.total_outbufs_len:
                self.server.pull_trigger()  # the main thread sends the rest

    def write_soon(self, data: bytes) -> int:
        """Waitress calls this when a response writes data; on the thread of ``service``."""
        if self._gathered is not None and isinstance(data, bytes):
            self._gathered.append(data)
            return len(data)
        written: int = super().write_soon(data)
        return written

    def wait_for_reader(self) -> None:
        """Wait until the client has read all but STREAM_BUFFER bytes of the response so far.

        Called on the thread of ``service``. ``enforce_limits`` closes the connection if the client
        does not read so much within the send timeout. Raises ClientDisconnected then.
        """
        self._sending_since = time.monotonic()
        self.server.watch(self)  # the main thread sends
        with self.outbuf_lock:
            while self.connected and self.total_outbufs_len > STREAM_BUFFER:
                self.outbuf_lock.wait()
        if not self.connected:
            raise ClientDisconnected

    def readable(self) -> bool:
        """Waitress and ``Server.watch`` call this before a wait for events; on any thread."""
        return self._lingering_since is not None or super().readable()

    def writable(self) -> bool:
        """Like ``readable``. False while the thread of ``service`` sends.

        That thread holds the lock of the unsent bytes, so the main thread could send nothing. A
        client can send its next request before the call of ``send`` has returned. Then the main
        thread would find the socket writable again and again.
        """
        if self._sends or self._lingering_since is not None:
            return False
        return bool(super().writable() or self.waits_to_send)

    def handle_read(self) -> None:
        """Waitress calls this when the client has sent data; on the main thread."""
        if self._lingering_since is not None:
            self._discard()
            return
        super().handle_read()

    def received(self, data: bytes) -> bool:
        """Waitress calls this with the data that ``handle_read`` has read; on the main thread."""
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
        """Waitress calls this when the client can receive data; on the main thread."""
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
        """Serve one request. A worker thread of the server calls this, or the main thread."""
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
        """Waitress calls this before each write, and waits here for a slow client.

        It runs on the thread of ``service``. The main thread must send, so ``watch`` wakes it.
        """
        if self.total_outbufs_len > self.adj.outbuf_high_watermark:
            self._sends = False
            self.server.watch(self)
        super()._flush_outbufs_below_high_watermark()

    def del_channel(self, *arguments: Any) -> None:  # noqa: ANN401 - waitress's own
        """Waitress calls this before it closes the socket; on the main thread."""
        self.server.forget_closed(self)
        super().del_channel(*arguments)

    def handle_close(self) -> None:
        """Waitress and the server call this to close the connection; on the main thread."""
        with suppress(OSError):
            super().handle_close()


def _request_timeout() -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, DETAILS[HTTPStatus.REQUEST_TIMEOUT])
