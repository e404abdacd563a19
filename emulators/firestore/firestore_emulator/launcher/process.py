"""The emulator's process: start it, wait until it is ready, end it."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import IO

from firestore_emulator.addresses import format_address, parse_address
from firestore_emulator.launcher.choice import Running, ToStart, choose, command_of
from firestore_emulator.launcher.errors import EmulatorNotReadyError
from firestore_emulator.launcher.ports import LOOPBACK

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_RESPONSE_SECONDS = 2.0
_POLL_SECONDS = 0.02
_PORT_ATTEMPTS = 5
_PORT_TAKEN = "Address already in use"


class _EndedError(EmulatorNotReadyError):
    def __init__(self, exit_code: int, output: str) -> None:
        super().__init__(f"The emulator ended with exit code {exit_code}: {output}")
        self.output = output


@contextmanager
def emulator(
    environ: Mapping[str, str], port: int = 0, options: Sequence[str] = ()
) -> Iterator[str]:
    """The HOST:PORT of an emulator that is ready. It ends with the block if it was started here.

    The options are as for ``command``. An emulator that is already running keeps its own.
    """
    choice = choose(environ)
    if isinstance(choice, Running):
        check_ready(choice.address)
        yield choice.address
        return
    if port and is_ready(address := format_address(LOOPBACK, port)):
        raise EmulatorNotReadyError(f"Another emulator is already running on {address}.")
    with ExitStack() as running:
        yield _start(running, choice, environ, port, options)


def _start(
    running: ExitStack,
    choice: ToStart,
    environ: Mapping[str, str],
    port: int,
    options: Sequence[str],
) -> str:
    """The address that the process announces. Repeats if another process takes the free port."""
    for _ in range(_PORT_ATTEMPTS - 1):
        try:
            return running.enter_context(_started(choice, environ, port, options))
        except _EndedError as error:
            if port or choice.chooses_port or _PORT_TAKEN not in error.output:
                raise
    return running.enter_context(_started(choice, environ, port, options))


@contextmanager
def _started(
    choice: ToStart, environ: Mapping[str, str], port: int, options: Sequence[str]
) -> Iterator[str]:
    argv = command_of(choice, environ, LOOPBACK, port, options)
    with _process(argv, environ) as (process, output):
        yield _wait_until_ready(process, output, choice.announcement)


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


def _wait_until_ready(
    process: subprocess.Popen[bytes], output: IO[bytes], announcement: re.Pattern[str]
) -> str:
    """The address that the process announces: another emulator cannot be taken for it."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        ended = process.poll() is not None
        text = _written(output)
        if ended:
            raise _EndedError(process.returncode, text.strip())
        announced = announcement.search(text)
        if announced and is_ready(announced[1]):
            return announced[1]
        if time.monotonic() > deadline:
            raise EmulatorNotReadyError(
                f"The emulator did not respond within {_START_SECONDS:.0f} s."
            )
        time.sleep(_POLL_SECONDS)


def _written(output: IO[bytes]) -> str:
    """The output so far. To seek would move the position at which the process writes."""
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), size, 0).decode(errors="replace")
