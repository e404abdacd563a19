"""Open the listening sockets of HOST:PORT, with the same port for both IP families."""

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

# The resolver's result would depend on /etc/hosts, which often has only one of them.
LOCALHOST = ("127.0.0.1", "::1")

_ATTEMPTS = 20
_MISSING_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class Address(NamedTuple):
    family: socket.AddressFamily
    host: str
    rest: tuple[int, ...]
    required: bool

    def with_port(self, port: int) -> tuple[str | int, ...]:
        return (self.host, port, *self.rest)


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of the host. Raises OSError if one cannot be bound.

    ``localhost`` has both loopback addresses, or one if this machine lacks the other's family.
    Port 0 chooses a port that is free on all addresses.
    """
    addresses = _addresses(host)
    for _ in range(_ATTEMPTS - 1):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            # The port that the system chose for the first address is taken on another one.
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(addresses, port)


def _addresses(host: str) -> Sequence[Address]:
    if host.lower() == "localhost":
        first, *others = (_resolve(each)[0] for each in LOCALHOST)
        return [first, *(each._replace(required=False) for each in others)]
    return _resolve(host)


def _resolve(host: str) -> Sequence[Address]:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(f"{host} is not a host name") from error
    return [
        Address(family, str(address[0]), tuple(int(each) for each in address[2:]), required=True)
        for family, _, _, _, address in dict.fromkeys(found)
    ]


def _bind_all(addresses: Sequence[Address], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    with ExitStack() as on_error:
        for address in addresses:
            try:
                opened = bind(address, bound[0].getsockname()[1] if bound else port)
            except OSError as error:
                if address.required or error.errno not in _MISSING_FAMILY:
                    raise
            else:
                bound.append(on_error.enter_context(opened))
        on_error.pop_all()
    return bound


def bind(address: Address, port: int) -> socket.socket:
    with ExitStack() as on_error:
        opened = on_error.enter_context(socket.socket(address.family, socket.SOCK_STREAM))
        if os.name == "posix":  # elsewhere the option would allow two processes on one port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address.with_port(port))
        on_error.pop_all()
    return opened
