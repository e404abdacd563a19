"""The emulator's process: start it, wait until it is ready, end it."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import IO

from firestore_emulator.addresses import format_address, parse_address
from firestore_emulator.launcher.choice import command
from firestore_emulator.launcher.errors import EmulatorNotReadyError

LOOPBACK = "127.0.0.1"

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_RESPONSE_SECONDS = 2.0
_POLL_SECONDS = 0.02


@contextmanager
def emulator(
    environ: Mapping[str, str], port: int = 0, options: Sequence[str] = ()
) -> Iterator[str]:
    """The HOST:PORT of an emulator that is ready. It ends with the block if it was started here.

    The options are as for ``command``. An emulator that is already running keeps its own.
    """
    port = port or free_port()
    argv = command(environ, LOOPBACK, port, options)
    if argv is None:
        address = environ["FIRESTORE_EMULATOR_HOST"]
        check_ready(address)
        yield address
        return
    address = format_address(LOOPBACK, port)
    if is_ready(address):  # otherwise the readiness check would find this one
        raise EmulatorNotReadyError(f"Another emulator is already running on {address}.")
    with _process(argv, environ) as (process, output):
        _wait_until_ready(process, output, address)
        yield address


def check_ready(address: str) -> None:
    if not is_ready(address):
        raise EmulatorNotReadyError(
            f"FIRESTORE_EMULATOR_HOST is {address}, but no emulator responds there."
            " Start one, or unset the variable."
        )


def is_ready(address: str) -> bool:
    """Whether an emulator at HOST:PORT responds to GET / within two seconds."""
    try:
        host, port = parse_address(address)
        with closing(HTTPConnection(host, port, timeout=_RESPONSE_SECONDS)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().read().strip() == b"Ok"
    except (OSError, ValueError, HTTPException):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _process(
    argv: list[str], environ: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process in a process group of its own; ends the whole group afterwards."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process, output
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _wait_until_ready(process: subprocess.Popen[bytes], output: IO[bytes], address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready(address):
        if process.poll() is not None:
            output.seek(0)
            raise EmulatorNotReadyError(
                f"The emulator ended with exit code {process.returncode}:"
                f" {output.read().decode(errors='replace').strip()}"
            )
        if time.monotonic() > deadline:
            raise EmulatorNotReadyError(
                f"The emulator did not respond on {address} within {_START_SECONDS:.0f} s."
            )
        time.sleep(_POLL_SECONDS)
