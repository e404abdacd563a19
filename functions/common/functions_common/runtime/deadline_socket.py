"""Connections with a deadline that includes the name look-up.

Imports little, since ``prewarm`` uses it before all other modules.
"""

from __future__ import annotations

import socket
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Address: TypeAlias = tuple[int, Any]
    """The address family, and the address in the format of the family."""

FRESH_SECONDS = 10.0
"""After this time a name is looked up again."""
LAST_GOOD_SECONDS = 3600.0
"""While look-ups fail, the last good addresses are used for this long."""
STALE_WAIT_SECONDS = 0.25
"""The longest wait for a look-up if there are last good addresses."""


class ResponseTooLargeError(Exception):
    """The peer sent more bytes than the caller accepts."""


class DeadlineSocket(socket.socket):
    """Ends all sends and receives at one deadline, and limits the bytes that it receives.

    Call ``arm`` before each exchange to set both.
    """

    expires_at = 0.0
    receivable = 0

    def arm(self, expires_at: float, receivable: int) -> None:
        """``expires_at``: seconds on the monotonic clock. ``receivable``: bytes."""
        self.expires_at, self.receivable = expires_at, receivable

    def recv_into(self, *args: Any) -> int:  # noqa: ANN401 - passed through
        self.settimeout(_remaining(self.expires_at))
        received = super().recv_into(*args)
        self.receivable -= received
        if self.receivable < 0:
            raise ResponseTooLargeError("the response is too large")
        return received

    def send(self, *args: Any) -> int:  # noqa: ANN401 - passed through
        self.settimeout(_remaining(self.expires_at))
        return super().send(*args)

    def sendall(self, *args: Any) -> None:  # noqa: ANN401 - passed through
        self.settimeout(_remaining(self.expires_at))
        super().sendall(*args)


class _LookUp:
    """A look-up in progress, shared by all callers that need the name."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None


class _Name:
    def __init__(self) -> None:
        self.addresses: list[Address] = []
        self.found_at = float("-inf")
        self.fresh = False
        self.look_up: _LookUp | None = None


class Resolver:
    """Looks up names in threads, since ``getaddrinfo`` has no timeout and cannot be cancelled.

    Each name has at most one thread, for all its callers. Only the settings contain names, so there
    are few.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[tuple[str, int], _Name] = {}

    def addresses(self, host: str, port: int, expires_at: float) -> list[Address]:
        """The addresses of the name.

        If the look-up fails, hangs or cannot begin, these are the last good ones. Raises OSError if
        there are none, or if they are too old.
        """
        if literal := _literal(host, port):
            return literal
        with self._lock:
            name = self._names.setdefault((host, port), _Name())
            age = time.monotonic() - name.found_at
            if name.fresh and age < FRESH_SECONDS:
                return name.addresses
            usable = age < LAST_GOOD_SECONDS
            look_up = name.look_up or self._start(name, host, port)
        seconds = _remaining(expires_at)
        done = look_up.done.wait(min(seconds, STALE_WAIT_SECONDS) if usable else seconds)
        if usable or (done and look_up.error is None):
            return name.addresses
        raise look_up.error or TimeoutError(f"no address of {host} by the deadline")

    def doubt(self, host: str, port: int) -> None:
        """The addresses did not work: look up the name again before the next use."""
        with self._lock:
            if name := self._names.get((host, port)):
                name.fresh = False

    def _start(self, name: _Name, host: str, port: int) -> _LookUp:
        look_up = _LookUp()
        args = (name, look_up, host, port)
        try:
            threading.Thread(target=self._run, args=args, name="look-up", daemon=True).start()
        except RuntimeError as error:  # the process has no more threads
            look_up.error = OSError(str(error))
            look_up.done.set()
        else:
            name.look_up = look_up
        return look_up

    def _run(self, name: _Name, look_up: _LookUp, host: str, port: int) -> None:
        found: list[Address] = []
        try:
            found = _look_up(host, port)
        except Exception as error:  # noqa: BLE001 - callers wait for the event, and raise the error
            look_up.error = error
        with self._lock:
            if found:
                name.addresses, name.found_at, name.fresh = found, time.monotonic(), True
            name.look_up = None
        look_up.done.set()


_resolver = Resolver()


def connect(
    host: str, port: int, expires_at: float, resolver: Resolver = _resolver
) -> DeadlineSocket:
    """Connect by the deadline. Raises OSError. Each address gets its part of the time."""
    addresses = resolver.addresses(host, port, expires_at)
    error: OSError = TimeoutError("the deadline has passed")
    for n, (family, address) in enumerate(addresses):
        connection = DeadlineSocket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_remaining(expires_at) / (len(addresses) - n))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as failed:
            connection.close()
            error = failed
        else:
            return connection
    resolver.doubt(host, port)
    raise error


def _look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def _literal(host: str, port: int) -> list[Address]:
    """The address if ``host`` is an IP address, which needs no look-up. Empty for a name."""
    if not host.replace(".", "").isdigit() and ":" not in host:
        return []
    return _look_up(host, port, socket.AI_NUMERICHOST)


def _remaining(expires_at: float) -> float:
    seconds = expires_at - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds
