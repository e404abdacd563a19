"""The address of loopback, and a free port on it."""

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Another process can take the port before it is used; port 0 has no such gap."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
