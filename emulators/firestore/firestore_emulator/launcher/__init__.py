"""Which Firestore emulator to use, and its life.

FIRESTORE_EMULATOR_HOST names one that is running; else EMULATOR says which to start: embedded (the
default) or official. EMULATOR_ARGS has further arguments for it. The environment is always given,
never read.

LauncherError
├── UnknownEmulatorError        EMULATOR is neither
├── EmulatorNotFoundError       the official one is not on this machine
└── EmulatorNotReadyError       it does not answer
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from firestore_emulator.launcher import official
from firestore_emulator.launcher.addresses import add_host_port, address_of, host_and_port

LOOPBACK = "127.0.0.1"

_PACKAGE_ROOT = Path(__file__).parents[2]
_SECONDS_TO_START = 30.0
_SECONDS_TO_END = 10.0
_SECONDS_TO_ANSWER = 2.0
_POLL_SECONDS = 0.02


class LauncherError(Exception):
    pass


class UnknownEmulatorError(LauncherError):
    pass


class EmulatorNotFoundError(LauncherError):
    pass


class EmulatorNotReadyError(LauncherError):
    pass


class Running(NamedTuple):
    address: str


class ToStart(NamedTuple):
    argv: Callable[[str, int], list[str]]  # from host and port


Choice: TypeAlias = Running | ToStart


def choose(environ: Mapping[str, str]) -> Choice:
    address = environ.get("FIRESTORE_EMULATOR_HOST")
    if address:
        return Running(address)
    match environ.get("EMULATOR") or "embedded":
        case "embedded":
            return ToStart(lambda host, port: _embedded(environ, host, port))
        case "official":
            return ToStart(_official(environ).argv)
        case other:
            raise UnknownEmulatorError(f'EMULATOR is "{other}"; it can be embedded or official.')


def command(
    environ: Mapping[str, str], host: str, port: int, options: Sequence[str] = ()
) -> list[str] | None:
    """What to run; None where FIRESTORE_EMULATOR_HOST names one that is running.

    The options are those of the emulator that is started; EMULATOR_ARGS may have more.
    """
    choice = choose(environ)
    if isinstance(choice, Running):
        return None
    return [*choice.argv(host, port), *options, *shlex.split(environ.get("EMULATOR_ARGS") or "")]


@contextmanager
def emulator(
    environ: Mapping[str, str], port: int = 0, options: Sequence[str] = ()
) -> Iterator[str]:
    """The address of an emulator that answers. One that was started here ends with the block.

    Options are as for ``command``; one that runs already has its own.
    """
    port = port or free_port()
    argv = command(environ, LOOPBACK, port, options)
    if argv is None:
        address = environ["FIRESTORE_EMULATOR_HOST"]
        check_answers(address)
        yield address
        return
    address = address_of(LOOPBACK, port)
    if answers(address):  # it would be taken for the one to be started
        raise EmulatorNotReadyError(f"Another emulator runs on {address}.")
    with _process(argv, environ) as (process, output):
        _wait_until_it_answers(process, output, address)
        yield address


def check_answers(address: str) -> None:
    if not answers(address):
        raise EmulatorNotReadyError(
            f"FIRESTORE_EMULATOR_HOST is {address}, but no emulator answers there."
        )


def answers(address: str) -> bool:
    try:
        host, port = host_and_port(address)
        with closing(HTTPConnection(host, port, timeout=_SECONDS_TO_ANSWER)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().read().strip() == b"Ok"
    except (OSError, ValueError, HTTPException):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _embedded(environ: Mapping[str, str], host: str, port: int) -> list[str]:
    """By way of env, so that it is found from a checkout too; env becomes what it starts."""
    path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), environ.get("PYTHONPATH")]))
    python = [sys.executable, "-m", "firestore_emulator"]
    return ["env", f"PYTHONPATH={path}", *python, f"--host-port={address_of(host, port)}"]


def _official(environ: Mapping[str, str]) -> official.Official:
    try:
        return official.find(environ, official.SDK_ROOTS)
    except official.OfficialNotFoundError as error:
        raise EmulatorNotFoundError(str(error)) from error


@contextmanager
def _process(
    argv: list[str], environ: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process in a group of its own, of which nothing is left afterwards."""
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
        process.wait(_SECONDS_TO_END)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], output: IO[bytes], address: str
) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not answers(address):
        if process.poll() is not None:
            output.seek(0)
            raise EmulatorNotReadyError(
                f"The emulator ended with {process.returncode}:"
                f" {output.read().decode(errors='replace').strip()}"
            )
        if time.monotonic() > deadline:
            raise EmulatorNotReadyError(
                f"The emulator did not answer on {address} in {_SECONDS_TO_START:.0f} s."
            )
        time.sleep(_POLL_SECONDS)


def main() -> None:
    """Becomes the emulator that was chosen."""
    parser = argparse.ArgumentParser(
        prog="firestore_emulator.launcher",
        description="Runs the Firestore emulator that EMULATOR names: embedded or official.",
    )
    add_host_port(parser)
    host, port = parser.parse_args().host_port
    try:
        argv = command(os.environ, host, port or free_port())
        if argv is None:
            check_answers(os.environ["FIRESTORE_EMULATOR_HOST"])
            print("FIRESTORE_EMULATOR_HOST names one that runs already.")  # noqa: T201
            return
    except LauncherError as error:
        sys.exit(str(error))
    os.execvp(argv[0], argv)  # noqa: S606
