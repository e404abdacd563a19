"""Which emulator the environment chooses, and its command line."""

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from firestore_emulator.addresses import check_port, format_address, parse_address
from firestore_emulator.launcher import official
from firestore_emulator.launcher.errors import (
    EmulatorNotFoundError,
    InvalidAddressError,
    UnknownEmulatorError,
)
from firestore_emulator.launcher.ports import free_port

_EMBEDDED_ANNOUNCEMENT = re.compile(r"^Firestore emulator on (\S+)$", re.MULTILINE)
_PACKAGE_ROOT = Path(__file__).parents[2]


class Running(NamedTuple):
    address: str


class ToStart(NamedTuple):
    argv: Callable[[str, int], list[str]]  # from host and port
    announcement: re.Pattern[str]  # in its output when it listens; the group is HOST:PORT
    chooses_port: bool  # whether it can listen on port 0


Choice: TypeAlias = Running | ToStart


def choose(environ: Mapping[str, str]) -> Choice:
    address = environ.get("FIRESTORE_EMULATOR_HOST")
    if address:
        _check_named(address)
        return Running(address)
    match environ.get("EMULATOR") or "embedded":
        case "embedded":
            argv = partial(_embedded, environ)
            return ToStart(argv, _EMBEDDED_ANNOUNCEMENT, chooses_port=True)
        case "official":
            found = _official(environ)
            return ToStart(found.argv, official.ANNOUNCEMENT, chooses_port=False)
        case other:
            raise UnknownEmulatorError(f'EMULATOR is "{other}". Set it to embedded or official.')


def command(
    environ: Mapping[str, str], host: str, port: int, options: Sequence[str] = ()
) -> list[str] | None:
    """The command line to run, or None if FIRESTORE_EMULATOR_HOST names a running emulator.

    The options are those of the emulator to start. Those of EMULATOR_ARGS follow them. Port 0
    chooses a free port.
    """
    choice = choose(environ)
    if isinstance(choice, Running):
        return None
    return command_of(choice, environ, host, port, options)


def command_of(
    choice: ToStart, environ: Mapping[str, str], host: str, port: int, options: Sequence[str]
) -> list[str]:
    try:
        check_port(port)
    except ValueError as error:
        raise InvalidAddressError(str(error)) from error
    if port == 0 and not choice.chooses_port:
        port = free_port()
    return [*choice.argv(host, port), *options, *shlex.split(environ.get("EMULATOR_ARGS") or "")]


def _check_named(address: str) -> None:
    try:
        parse_address(address)
    except ValueError as error:
        raise InvalidAddressError(f"FIRESTORE_EMULATOR_HOST is invalid: {error}") from error


def _embedded(environ: Mapping[str, str], host: str, port: int) -> list[str]:
    """Sets PYTHONPATH by ``env``, so that it also runs from a checkout; env becomes Python."""
    path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), environ.get("PYTHONPATH")]))
    python = [sys.executable, "-m", "firestore_emulator"]
    return ["env", f"PYTHONPATH={path}", *python, f"--host-port={format_address(host, port)}"]


def _official(environ: Mapping[str, str]) -> official.Official:
    try:
        return official.find(environ, official.SDK_ROOTS)
    except official.OfficialNotFoundError as error:
        raise EmulatorNotFoundError(str(error)) from error
