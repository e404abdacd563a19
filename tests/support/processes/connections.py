"""Waits for the state of TCP connections on this machine, as Linux shows it (proc_net_tcp(5))."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

from support.waiting import wait_until

Address = tuple[str, int]

SECONDS = 10.0
"""For one connection."""
CLOSED_BY_PEER = 8
"""CLOSE_WAIT"""


class End(NamedTuple):
    """One end of a connection."""

    state: int
    unread: int
    """Bytes that have arrived and that the process has not read."""
    accepted: bool


def wait_until_read(sender: socket.socket) -> None:
    """Wait until the process at the other end has read all data that was sent."""

    def is_read() -> bool:
        end = _other_end(sender)
        return end is not None and end.accepted and end.unread == 0

    wait_until(is_read, "the data was not read")


def wait_until_arrived(sender: socket.socket) -> None:
    """Wait until the other end has received data that it has not read, or the end of the data."""

    def has_arrived() -> bool:
        end = _other_end(sender)
        return end is not None and (end.unread > 0 or end.state == CLOSED_BY_PEER)

    wait_until(has_arrived, "nothing has arrived")


def wait_until_refused(address: Address) -> None:
    """Wait until the address refuses connections."""

    def is_refused() -> bool:
        try:
            socket.create_connection(address, timeout=SECONDS).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass
        return False

    wait_until(is_refused, f"{address} did not refuse a connection")


def _other_end(sender: socket.socket) -> End | None:
    """None if there is no such connection."""
    local, remote = _hexadecimal(sender.getpeername()), _hexadecimal(sender.getsockname())
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == [local, remote]:
            unread = int(fields[4].partition(":")[2], 16)
            return End(int(fields[3], 16), unread, accepted=fields[9] != "0")
    return None


def _hexadecimal(address: Address) -> str:
    """An IPv4 address and a port, as in /proc/net/tcp: the address is in the order of this host."""
    number = int.from_bytes(socket.inet_aton(address[0]), "little")
    return f"{number:08X}:{address[1]:04X}"
