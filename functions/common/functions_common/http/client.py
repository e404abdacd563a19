"""Outgoing HTTP calls: a transport for ``requests`` with limits on time and size.

``timeout`` is the total time of a call in seconds: name look-up, connect, TLS, send, headers, body.
A response is limited in size and never decompressed. Redirects are not followed, and the proxy
settings of the environment are not used. The type of an exception shows the state of the call:

    requests.ConnectionError
    ├── NotSentError            there was no connection: the peer cannot have carried it out
    └── NoResponseError         all or a part was sent: the peer may have carried it out
        └── UnusableResponseError   too large, compressed, or not HTTP
"""

from __future__ import annotations

import select
import ssl
import time
import weakref
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

import certifi
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from functions_common.runtime import deadline_socket
from functions_common.runtime.deadline_socket import DeadlineSocket, ResponseTooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS = 2.0
"""The longest time for name look-up, connect and TLS, within a call's total."""
MAX_BYTES = 1024 * 1024
"""The largest response body, unless the caller passes another limit."""
MAX_OVERHEAD_BYTES = 64 * 1024
"""The largest status line, headers and chunk sizes together."""
DROP_SECONDS = 1.0
"""The longest time for reading a body that the caller does not want."""
_MAX_REASON = 300


class NotSentError(requests.ConnectionError):
    """There was no connection: the peer cannot have carried out the call."""


class NoResponseError(requests.ConnectionError):
    """All or a part of the request was sent: the peer may have carried it out."""


class UnusableResponseError(NoResponseError):
    """The response is too large, compressed, or not HTTP."""


class _Origin(NamedTuple):
    tls: bool
    host: str
    port: int


class _Call(NamedTuple):
    origin: _Origin
    method: str
    data: bytes

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> Self:
        parts = urlsplit(str(request.url))
        tls = parts.scheme == "https"
        origin = _Origin(tls, parts.hostname or "", parts.port or (443 if tls else 80))
        query = f"?{parts.query}" if parts.query else ""
        lines = [
            f"{request.method} {parts.path or '/'}{query} HTTP/1.1",
            f"Host: {parts.netloc.rpartition('@')[2]}",
            *(f"{name}: {value}" for name, value in request.headers.items()),
            "Accept-Encoding: identity",
        ]
        head = "\n".join(lines)
        if head.count("\n") >= len(lines) or "\r" in head or "\0" in head:
            raise requests.exceptions.InvalidHeader("a line break in a header")
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        data = head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body
        return cls(origin, str(request.method), data)


class _Received(NamedTuple):
    response: HTTPResponse
    content: bytes
    reusable: bool
    """The connection is open, and has no bytes that could be taken for the next response."""


class _Reader(BufferedReader):
    """Reads one response. ``unread``, set on close, shows that the peer has sent more bytes."""

    def __init__(self, connection: DeadlineSocket) -> None:
        super().__init__(connection.makefile("rb", buffering=0))
        self._connection = connection
        self.unread = False

    def makefile(self, _mode: str) -> Self:
        """HTTPResponse calls this, as it would on a socket."""
        return self

    def close(self) -> None:
        if not self.closed:
            self._connection.arm(0.0, 0)  # peek must not wait for more bytes
            with suppress(OSError, ValueError):
                self.unread = bool(self.peek(1))
        super().close()


class _TlsSocket(DeadlineSocket, ssl.SSLSocket):
    pass


class DeadlineAdapter(BaseAdapter):
    """Keeps up to ``connections`` idle connections alive for each peer."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self.connections = connections
        self._idle: dict[_Origin, deque[DeadlineSocket]] = {}
        weakref.finalize(self, _close, self._idle)
        self._tls: ssl.SSLContext | None = None

    def send(  # type: ignore[override]
        self,
        request: requests.PreparedRequest,
        *,
        timeout: float,
        max_bytes: int = MAX_BYTES,
        drop_body: bool = False,
        **_: Any,  # noqa: ANN401 - requests' own: stream, verify, cert, proxies
    ) -> requests.Response:
        """Send the request and read the response. Raises NotSentError or NoResponseError."""
        expires_at = time.monotonic() + timeout
        call = _Call.of(request)
        connection = self._take_idle(call.origin) or self._connect(call.origin, expires_at)
        try:
            connection.arm(expires_at, max_bytes + MAX_OVERHEAD_BYTES)
            received = _exchange(connection, call, max_bytes, drop_body=drop_body)
        except BaseException:
            connection.close()
            raise
        if received.reusable:
            self._keep(call.origin, connection)
        else:
            connection.close()
        return _response(request, received)

    def close(self) -> None:
        _close(self._idle)

    @property
    def idle_connections(self) -> int:
        """Open connections that no request uses, to all peers."""
        return sum(map(len, self._idle.values()))

    def _take_idle(self, origin: _Origin) -> DeadlineSocket | None:
        """The connection that was used last and that the peer has not closed."""
        idle = self._idle.setdefault(origin, deque())
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return None
            if not _is_stale(connection):
                return connection
            connection.close()

    def _keep(self, origin: _Origin, connection: DeadlineSocket) -> None:
        idle = self._idle[origin]
        if len(idle) >= self.connections:
            connection.close()
        else:
            idle.append(connection)

    def _connect(self, origin: _Origin, expires_at: float) -> DeadlineSocket:
        expires_at = min(expires_at, time.monotonic() + CONNECT_SECONDS)
        try:
            connection = deadline_socket.connect(origin.host, origin.port, expires_at)
            return self._encrypted(connection, origin, expires_at) if origin.tls else connection
        except (OSError, ValueError) as error:
            raise NotSentError(_reason(error)) from error

    def _encrypted(
        self, connection: DeadlineSocket, origin: _Origin, expires_at: float
    ) -> DeadlineSocket:
        try:
            connection.settimeout(max(0.001, expires_at - time.monotonic()))
            found = self._tls_context().wrap_socket(connection, server_hostname=origin.host)
        except BaseException:
            connection.close()
            raise
        assert isinstance(found, DeadlineSocket)  # noqa: S101 - the context makes no other
        return found

    def _tls_context(self) -> ssl.SSLContext:
        """Trusts the system's certificates (or SSL_CERT_FILE) and those that requests ships."""
        if self._tls is None:
            context = ssl.create_default_context()
            context.load_verify_locations(certifi.where())
            context.set_alpn_protocols(["http/1.1"])
            context.sslsocket_class = _TlsSocket
            self._tls = context
        return self._tls


class HttpClient:
    """Sends requests through a ``requests`` session, so that tests can mount another adapter."""

    def __init__(self, connections: int) -> None:
        self.session = requests.Session()
        adapter = DeadlineAdapter(connections)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, adapter)

    def send(  # noqa: PLR0913 - by keyword
        self,
        method: str,
        url: str,
        *,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        drop_body: bool = False,
    ) -> requests.Response:
        """Any response, redirects included. Raises NotSentError or NoResponseError.

        ``drop_body``: return status and headers only. The body can be of any size, encoded, or
        incomplete. If it ends within ``max_bytes`` and ``DROP_SECONDS``, the connection is kept.

        Skips ``Session.request``, which merges cookies, hooks and the environment into each call.
        """
        request = requests.PreparedRequest()
        request.prepare_method(method)
        request.headers = CaseInsensitiveDict(headers or {})
        if query:
            request.prepare_url(url, query)
        else:
            request.url = url
        request.prepare_body(body, None)
        adapter = self.session.get_adapter(url)
        return adapter.send(  # type: ignore[call-arg]
            request, timeout=timeout, max_bytes=max_bytes, drop_body=drop_body
        )


def _exchange(
    connection: DeadlineSocket, call: _Call, max_bytes: int, *, drop_body: bool
) -> _Received:
    """Send the call and receive the response, with its whole body unless that is dropped."""
    reader = _Reader(connection)
    response = HTTPResponse(reader, method=call.method)  # type: ignore[arg-type]
    try:
        connection.sendall(call.data)
        response.begin()
        _check_final(response)
        if drop_body:
            content, complete = b"", _drop_body(connection, response, max_bytes)
        else:
            content, complete = _content(response, max_bytes), True
        at_end = complete and response.isclosed() and not reader.unread
        return _Received(response, content, at_end and not response.will_close)
    except UnusableResponseError:
        raise
    except OSError as error:
        raise NoResponseError(_reason(error)) from error
    except (ResponseTooLargeError, HTTPException, ValueError, ArithmeticError) as error:
        raise UnusableResponseError(_reason(error)) from error
    finally:
        response.close()


def _check_final(response: HTTPResponse) -> None:
    """Reject an interim response: the final one could be taken for that of the next request."""
    if response.status < HTTPStatus.OK:
        raise UnusableResponseError(f"the response is an interim one: {response.status}")


def _drop_body(connection: DeadlineSocket, response: HTTPResponse, max_bytes: int) -> bool:
    """Read the body if it is short, so that the connection can be kept. Whether it was complete."""
    connection.expires_at = min(connection.expires_at, time.monotonic() + DROP_SECONDS)
    try:
        _content(response, max_bytes)
    except (OSError, ResponseTooLargeError, HTTPException, ValueError, ArithmeticError):
        return False
    return True


def _content(response: HTTPResponse, max_bytes: int) -> bytes:
    if len(set(response.headers.get_all("Content-Length", []))) > 1:
        raise UnusableResponseError("the response has several lengths")
    encoding = response.getheader("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise UnusableResponseError(f"the response is encoded: {encoding[:40]}")
    if not response.chunked and response.getheader("Transfer-Encoding"):
        raise UnusableResponseError("the response has an unknown transfer coding")
    if response.length is not None:
        if response.length > max_bytes:
            raise UnusableResponseError(f"the response has more than {max_bytes} bytes")
        return response.read()  # raises IncompleteRead
    content = response.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnusableResponseError(f"the response has more than {max_bytes} bytes")
    return content


def _response(request: requests.PreparedRequest, received: _Received) -> requests.Response:
    response = requests.Response()
    response.status_code = received.response.status
    response.headers = CaseInsensitiveDict(received.response.getheaders())
    response.raw = BytesIO(received.content)
    response.request = request
    response.url = str(request.url)
    return response


def _close(idle: dict[_Origin, deque[DeadlineSocket]]) -> None:
    for connections in idle.values():
        while connections:
            connections.pop().close()


def _is_stale(connection: DeadlineSocket) -> bool:
    """The peer has closed this idle connection, or has sent bytes that belong to no request."""
    if isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MAX_REASON]
