"""The sockets of the public port. ``localhost`` has one for each IP family."""

import errno
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from firestore_emulator import launcher, listening_sockets
from firestore_emulator.launcher import is_ready
from firestore_emulator.listening_sockets import open_sockets


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
Open = Callable[[str, int], list[socket.socket]]


@pytest.fixture
def opened() -> Iterator[Open]:
    with ExitStack() as stack:

        def open_and_close(host: str, port: int) -> list[socket.socket]:
            return [stack.enter_context(each) for each in open_sockets(host, port)]

        yield open_and_close


def addresses(sockets: Sequence[socket.socket]) -> list[tuple[str, int]]:
    return [each.getsockname()[:2] for each in sockets]


@needs_ipv6
def test_localhost_has_one_port_for_both_families(opened: Open) -> None:
    (first, port), second = addresses(opened("localhost", 0))
    assert port > 0
    assert (first, second) == ("127.0.0.1", ("::1", port))


@needs_ipv6
def test_localhost_fails_when_the_port_is_taken_in_one_family(opened: Open) -> None:
    (taken,) = opened("::1", 0)
    taken.listen()
    with pytest.raises(OSError, match="in use"):
        open_sockets("localhost", taken.getsockname()[1])


@needs_ipv6
def test_port_0_chooses_another_port_when_the_first_is_taken_in_one_family(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind, ports = listening_sockets.bind, []

    def bind_with_a_conflict(address: listening_sockets.Address, port: int) -> socket.socket:
        if address.host == "::1":
            ports.append(port)
            if len(ports) == 1:
                raise OSError(errno.EADDRINUSE, "in use")
        return bind(address, port)

    monkeypatch.setattr(listening_sockets, "bind", bind_with_a_conflict)
    assert [port for _, port in addresses(opened("localhost", 0))] == [ports[1]] * 2


def test_localhost_has_one_address_when_the_other_family_is_missing(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_sockets, "LOCALHOST", ("127.0.0.1", "2001:db8::1"))
    ((host, port),) = addresses(opened("LOCALHOST", 0))
    assert (host, port > 0) == ("127.0.0.1", True)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_address_has_one_socket(opened: Open, host: str) -> None:
    ((bound, _),) = addresses(opened(host, 0))
    assert bound == host


def test_invalid_host_name_is_an_os_error() -> None:
    with pytest.raises(OSError, match="is not a host name"):
        open_sockets("x" * 100, 0)


@needs_ipv6
def test_emulator_on_localhost_responds_in_both_families() -> None:
    argv = [sys.executable, "-m", "firestore_emulator", "--host-port=localhost:0"]
    environ = {"PYTHONPATH": str(Path(launcher.__file__).parents[2])}
    with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        host, _, port = address.rpartition(":")
        assert host == "127.0.0.1"
        assert is_ready(address)
        assert is_ready(f"[::1]:{port}")
        process.terminate()
