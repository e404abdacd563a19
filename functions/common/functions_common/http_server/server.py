"""The HTTP server of both functions: waitress, with limits on all resources that a client can hold.

One main thread receives requests and sends responses for all connections. Worker threads run the
app. ``connection.py`` has the limits of one connection. This module has those of the server:

- A request that would wait too long for a worker thread gets 503 with ``Retry-After``.
- If there are too many connections, a new connection replaces the one that has been idle longest.
- On SIGTERM the server accepts no more connections, finishes the requests that it has, and returns.

waitress examines every connection at each event. If the system has epoll, this server registers
each connection once instead, so that idle connections cost nothing. A connection stays registered
for reading while its request is served, because most clients send nothing then: so most requests
change no registration.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import resource
import select
import signal
import socket
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from functions_common.http.parsing import BODY_LIMIT, MAX_BODY
from functions_common.http_server.connection import ClientConnection
from functions_common.http_server.received_request import MAX_HEADERS, OverloadedError
from functions_common.http_server.worker_pause import WorkerPause
from functions_common.http_server.worker_pool import WorkerPool
from functions_common.observability import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from functions_common.http.cors import Cors
    from functions_common.http_server.connection import Limits

GRACEFUL_SECONDS = 20.0
"""From SIGTERM to the end of the process: longer than the longest request deadline, and shorter
than the pod's grace period."""
BACKLOG = 2048
MAX_UNSENT = 32 * 1024 * 1024
"""Bytes of responses that clients have not read yet, for all connections together."""
SWEEP_SECONDS = 0.25
MAX_RETRY_AFTER = 10
_BURST = 32
"""If more connections than this need the main thread, the workers pause."""
_INLINE_SECONDS = 0.02
_MAX_ACCEPTS = 64
_SEND_BUFFER = 64 * 1024
"""Bytes that the kernel buffers for each connection. Its default is megabytes: the server would
create many responses for a client that sends requests ahead and reads no response."""
_RESERVED_DESCRIPTORS = 64
"""For Firestore's channel, connections to inventory, and files."""
_READ, _WRITE = select.POLLIN, select.POLLOUT
"""The events of poll. Those of epoll, which not every system has, are the same numbers."""
_ALL_EVENTS = ~0
_OUT_OF_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Server(TcpWSGIServer):
    channel_class = ClientConnection

    def __init__(
        self, sock: socket.socket, threads: int, limits: Limits, cors: Cors | None = None
    ) -> None:
        """Serve on a listening socket. ``application`` must be set before ``run``.

        ``cors`` has the CORS headers of the server's own responses; None for no such headers.
        """
        self.cors = cors
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._limits = limits
        self._max_connections = _max_connections(limits.connections)
        self._inline: deque[ClientConnection] = deque()
        """Connections whose next response needs no worker thread."""
        self._idle: dict[ClientConnection, float] = {}
        """Since when each connection has been idle, on the monotonic clock. The oldest is first."""
        self._lock = threading.Lock()
        """Protects ``_idle`` and the registered events of the connections."""
        self._rejections: Counter[str] = Counter()
        self._rejections_lock = threading.Lock()
        self._served = itertools.count()
        self._served_before = 0
        self.retry_after = 1
        """Seconds, for the ``Retry-After`` header. They grow with the overload."""
        self._pause = WorkerPause()
        self._swept_at = self._reported_at = time.monotonic()
        self._stop_at: float | None = None
        self._accept_paused = False
        """No file descriptors were left. The next sweep tries again."""
        self.accepting: bool
        adjustments = Adjustments(
            sockets=[sock],
            threads=threads,
            ident=None,
            clear_untrusted_proxy_headers=False,  # the app ignores these headers
            connection_limit=2**31,  # the server bounds them itself
            cleanup_interval=2**31,
            max_request_header_size=MAX_HEADERS,
            max_request_body_size=MAX_BODY + 1,
            log_socket_errors=False,
            inbuf_overflow=2 * MAX_UNSENT,  # never to a file: the file system is read-only
            outbuf_overflow=2 * MAX_UNSENT,
            backlog=BACKLOG,
        )
        workers = WorkerPool(threads, limits)
        super().__init__(
            None,
            {},
            True,
            sock,
            dispatcher=workers,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
        )
        os.set_blocking(self.trigger.trigger, False)
        self._main_thread = threading.get_ident()
        if self._epoll:
            for each in self._map:
                self._epoll.register(each, select.EPOLLIN)

    @property
    def stopping(self) -> bool:
        return self._stop_at is not None

    def stop(self, *_signal: object) -> None:
        """Make ``run`` return once all received requests are finished. Safe in a signal handler."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + GRACEFUL_SECONDS
            self._wake()

    def run(self) -> None:
        """Serve until ``stop``, on the calling thread."""
        while not self._finished():
            self._wait()
            now = time.monotonic()
            if now - self._swept_at >= SWEEP_SECONDS:
                self._swept_at = now
                self._sweep(now)
        self.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._map)

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        if self.accepting:
            while self._accept_one():  # clients that connected before the signal
                pass
            self.accepting = False
            self.del_channel()
            self.socket.close()
        with self._lock:
            idle = list(self._idle)
        for connection in idle:
            if connection.idle:  # a worker may have added it just before its next request
                connection.handle_read()  # serves a request that has just arrived, or closes
        return not self.active_channels or time.monotonic() > self._stop_at

    def _wait(self) -> None:
        """Wait for events until the next sweep is due, and process them."""
        if self._epoll is None:
            wasyncore.poll2(0 if self._inline else SWEEP_SECONDS, self._map)
            self._serve_inline()
            return
        immediately = self._inline or self._pause.active
        events = self._epoll.poll(0 if immediately else SWEEP_SECONDS)
        if len(events) + len(self._inline) > _BURST:
            self._pause.begin()
        else:
            self._pause.end()
        for descriptor, flags in events:
            found = self._map.get(descriptor)
            if isinstance(found, ClientConnection):
                wasyncore.readwrite(found, self._awaited(found, flags))
                self.watch(found)
            elif found is not None:
                wasyncore.readwrite(found, flags)
            self._pause.check()
        self._serve_inline()

    def _serve_inline(self) -> None:
        """Serve requests that need no worker, for at most _INLINE_SECONDS.

        Then the main thread serves other connections.
        """
        until = time.monotonic() + _INLINE_SECONDS
        for _ in range(len(self._inline)):
            self._run_guarded(self._inline.popleft(), ClientConnection.service)
            if time.monotonic() > until:
                return

    def _run_guarded(
        self, connection: ClientConnection, act: Callable[[ClientConnection], None]
    ) -> None:
        """An unexpected error ends one connection, not the server."""
        try:
            act(connection)
        except Exception as error:  # noqa: BLE001 - the other connections must be served
            logs.exception("Unexpected error in a connection: it was closed", error)
            connection.handle_close()

    def yield_to_main_thread(self) -> None:
        """Wait while the main thread processes a burst. Workers call this before each request."""
        next(self._served)
        self._pause.wait()

    def watch(self, connection: ClientConnection) -> None:
        """Register the events for which the connection waits. Any thread may call this."""
        with self._lock:
            if connection.idle and connection.connected:
                self._idle.setdefault(connection, time.monotonic())
            events = _awaited_events(connection)
            if events & ~connection.registered_events:
                self._register(connection, events)

    def _awaited(self, connection: ClientConnection, reported: int) -> int:
        """The reported events for which the connection waits.

        Others, of a client that sends data or closes while its request is served, are not reported
        again until the connection waits for them.
        """
        with self._lock:
            events = _awaited_events(connection)
            if connection.registered_events & ~events:
                self._register(connection, events)
            others = (_READ | _WRITE) & ~events
            return reported & ~others if events else 0

    def _register(self, connection: ClientConnection, events: int) -> None:
        descriptor = connection._fileno  # noqa: SLF001 - wasyncore keeps it there
        if self._epoll is None or descriptor is None:
            return
        connection.registered_events = events
        with suppress(OSError, ValueError):  # another thread has just closed it
            # ONESHOT alone: epoll reports a closed client at most once more.
            self._epoll.modify(descriptor, events or select.EPOLLONESHOT)

    def forget_idle(self, connection: ClientConnection) -> None:
        """The connection is no longer idle: it has sent data."""
        with self._lock:
            self._idle.pop(connection, None)

    def forget_closed(self, connection: ClientConnection) -> None:
        """The connection is about to close its socket. Another one may soon have its number."""
        with self._lock:
            self._idle.pop(connection, None)
            connection.registered_events = _ALL_EVENTS  # no worker registers others

    def idle_since(self, connection: ClientConnection, now: float) -> float:
        return self._idle.get(connection, now)

    def pull_trigger(self) -> None:
        """Waitress calls this to wake the main thread. With epoll, ``watch`` does that."""
        if self._epoll is None:
            self._wake()

    def _wake(self) -> None:
        """Wake the main thread. If the pipe is full, the thread is awake already."""
        with suppress(BlockingIOError):
            self.trigger.pull_trigger()

    def add_task(self, connection: ClientConnection) -> None:
        """Queue the connection's next request. The main thread and workers call this."""
        if connection.total_outbufs_len:
            connection.waits_to_send = True
            return
        request = connection.requests[0]
        if not request.error and not request.is_probe:
            if self.task_dispatcher.add_task(connection):
                return
            request.error = OverloadedError()
        self._inline.append(connection)
        if threading.get_ident() != self._main_thread:
            self._wake()

    def count_rejection(self, reason: HTTPStatus | str) -> None:
        """Count a rejection. One log line a second reports all of them."""
        with self._rejections_lock:
            self._rejections[str(getattr(reason, "value", reason))] += 1

    def readable(self) -> bool:
        return bool(self.accepting and not self._accept_paused)

    def handle_accept(self) -> None:
        for _ in range(_MAX_ACCEPTS):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """False if no client waits, or if no client can be accepted now."""
        try:
            found = self.accept()
            if found is None:
                return False
            sock, address = found
            self.set_socket_options(sock)
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS and not self._close_one():
                self._pause_accepting()
            return False
        self._admit(sock, address)
        return True

    def _admit(self, sock: socket.socket, address: Any) -> None:  # noqa: ANN401 - of the family
        if len(self.active_channels) >= self._max_connections and not self._close_one():
            self.count_rejection("connection")
            sock.close()
            return
        connection = self.channel_class(self, sock, self.fix_addr(address), self.adj, map=self._map)
        with self._lock:
            self._idle[connection] = time.monotonic()
        if self._epoll:
            self._epoll.register(sock.fileno(), connection.registered_events)

    def _close_one(self) -> bool:
        """Close the connection that has been idle longest, or else one that waits for its client.

        False if there is no such connection.
        """
        while longest := self._longest_idle():
            if longest.idle and longest.connected:
                longest.handle_close()
                return True
        return self._close_slowest(list(self.active_channels.values()))

    def _longest_idle(self) -> ClientConnection | None:
        with self._lock:
            longest = next(iter(self._idle), None)
            if longest is not None:
                del self._idle[longest]
        return longest

    def _close_slowest(self, connections: list[ClientConnection]) -> bool:
        """Close the connection that has waited longest for its client. False if none waits."""
        since = {each: each.waits_for_client_since for each in connections}
        waiting = {each: began for each, began in since.items() if began is not None}
        if not waiting:
            return False
        min(waiting, key=waiting.__getitem__).handle_close()
        return True

    def _pause_accepting(self) -> None:
        """There are no file descriptors left. The next sweep tries again."""
        self._accept_paused = True
        if self._epoll:
            self._epoll.modify(self._fileno, 0)

    def _sweep(self, now: float) -> None:
        logs.write_left()
        for connection in list(self.active_channels.values()):
            self._run_guarded(connection, lambda each: each.enforce_limits(self._limits, now))
            if connection.connected:
                self.watch(connection)
        self._bound_unsent()
        for connection in self.task_dispatcher.overdue():
            connection.requests[0].error = OverloadedError()
            self._run_guarded(connection, ClientConnection.service)
        if self._accept_paused and self.accepting:
            self._accept_paused = False
            if self._epoll:
                self._epoll.modify(self._fileno, select.EPOLLIN)
        if now - self._reported_at >= 1:
            self._reported_at = now
            self._report()

    def _bound_unsent(self) -> None:
        """Close the slowest clients while their unread responses take too much memory."""
        sending = [each for each in self.active_channels.values() if each.total_outbufs_len]
        while sum(each.total_outbufs_len for each in sending) > MAX_UNSENT:
            if not self._close_slowest(sending):
                return
            self.count_rejection("not read")
            sending = [each for each in sending if each.connected]

    def _report(self) -> None:
        with self._rejections_lock:
            counted, self._rejections = self._rejections, Counter()
        served = next(self._served) - self._served_before
        self._served_before += served + 1  # one more, because reading the counter advances it
        shed = counted[str(HTTPStatus.SERVICE_UNAVAILABLE.value)]
        self.retry_after = min(MAX_RETRY_AFTER, 1 + shed // max(served, 1))
        if counted:
            logs.event(
                "Requests rejected by the server", severity=logging.WARNING, requests=dict(counted)
            )


def _awaited_events(connection: ClientConnection) -> int:
    return (_READ if connection.readable() else 0) | (_WRITE if connection.writable() else 0)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Clients can connect before the app is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # connections inherit it
    sock.bind((host.strip("[]"), port))
    sock.listen(BACKLOG)
    return sock


def serve(
    app: Any,  # noqa: ANN401 - WSGI
    sock: socket.socket,
    threads: int,
    limits: Limits,
    cors: Cors | None = None,
) -> None:
    """Serve the WSGI app until SIGTERM or SIGINT. Must be called on the main thread."""
    server = Server(sock, threads, limits, cors)
    server.application = app
    server.adj.body_limit = getattr(app, "extensions", {}).get(BODY_LIMIT)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    server.run()


def _max_connections(limit: int) -> int:
    """The limit, or fewer if the process cannot have so many file descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return limit
    return max(1, min(limit, soft - min(_RESERVED_DESCRIPTORS, soft // 2)))
