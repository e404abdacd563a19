"""Which emulator the environment chooses, and its command line."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from firestore_emulator.addresses import check_port, format_address, parse_address
from firestore_emulator.launcher import official
from firestore_emulator.launcher.errors import (
    EmulatorNotFoundError,
    InvalidAddressError,
    UnknownEmulatorError,
)

_PACKAGE_ROOT = Path(__file__).parents[2]


class Running(NamedTuple):
    address: str


class ToStart(NamedTuple):
    argv: Callable[[str, int], list[str]]  # from host and port


Choice: TypeAlias = Running | ToStart


def choose(environ: Mapping[str, str]) -> Choice:
    address = environ.get("FIRESTORE_EMULATOR_HOST")
    if address:
        _check_named(address)
        return Running(address)
    match environ.get("EMULATOR") or "embedded":
        case "embedded":
            return ToStart(lambda host, port: _embedded(environ, host, port))
        case "official":
            return ToStart(_official(environ).argv)
        case other:
            raise UnknownEmulatorError(f'EMULATOR is "{other}". Set it to embedded or official.')


def command(
    environ: Mapping[str, str], host: str, port: int, options: Sequence[str] = ()
) -> list[str] | None:
    """The command line to run, or None if FIRESTORE_EMULATOR_HOST names a running emulator.

    The options are those of the emulator to start. Those of EMULATOR_ARGS follow them.
    """
    choice = choose(environ)
    if isinstance(choice, Running):
        return None
    try:
        check_port(port)
    except ValueError as error:
        raise InvalidAddressError(str(error)) from error
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
