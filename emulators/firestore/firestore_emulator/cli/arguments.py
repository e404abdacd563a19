"""The command line's options and commands."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from firestore_emulator import __version__
from firestore_emulator.addresses import add_host_port_option
from firestore_emulator.dispatch.faults import Failure, Latency
from firestore_emulator.model.errors import EmulatorError
from firestore_emulator.model.names import check_database
from firestore_emulator.transactions.open_transactions import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

Parsed = TypeVar("Parsed")


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="firestore_emulator", description="Run a Firestore emulator."
    )
    root.add_argument("--version", action="version", version=f"firestore-emulator {__version__}")
    add_host_port_option(root)
    root.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name of this emulator, for requests of browsers; may be repeated",
    )
    _add_data(root, "store the documents in this directory (default: in memory only)")
    root.add_argument(
        "--import-data",
        type=Path,
        metavar="PATH",
        help="load an export at startup: a file of JSON lines, a *.overall_export_metadata of a"
        " managed export, or a folder that contains one",
    )
    root.add_argument(
        "--export-on-exit",
        type=Path,
        metavar="DIR",
        help="write a managed export of each database into DIR at the end",
    )
    _add_indexes(root)
    root.add_argument("--log", action="store_true", help="log a line to stderr for each call")
    _add_limits(root)
    _add_faults(root)
    commands = root.add_subparsers(
        dest="command", title="commands for a data directory that no emulator is using"
    )
    _add_transfer(
        commands.add_parser("export", help="write JSON lines to stdout, or a managed export"),
        "write a managed export of the database as this folder, instead of JSON lines",
    )
    _add_transfer(
        commands.add_parser("import", help="read JSON lines from stdin, or a managed export"),
        "read the managed export in this folder, instead of JSON lines",
    )
    return root


def _add_data(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", required=required, help=text)


def _add_indexes(parser: argparse.ArgumentParser) -> None:
    indexes = parser.add_mutually_exclusive_group()
    indexes.add_argument(
        "--require-indexes",
        type=Path,
        metavar="FILE",
        help="reject a query whose index is not in FILE (a firestore.indexes.json)",
    )
    indexes.add_argument(
        "--collect-indexes",
        type=Path,
        metavar="FILE",
        help="add the indexes that queries need to FILE, and create FILE if necessary",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("time limits in seconds")
    for option, default, text in (
        ("--lock-wait", DEFAULT_LIMITS.lock_wait, "longest wait for a lock"),
        ("--transaction-time", DEFAULT_LIMITS.transaction, "longest transaction"),
        ("--transaction-idle", DEFAULT_LIMITS.idle, "longest pause between its requests"),
    ):
        limits.add_argument(
            option,
            type=_with_reason(_seconds),
            default=default,
            metavar="SECONDS",
            help=f"{text} (default: {default:g}, as in the service)",
        )
    limits.add_argument(
        "--document-commits",
        type=_with_reason(_rate),
        default=math.inf,
        metavar="N",
        help="commits of one document in a second; further ones wait (default: no limit)",
    )


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise ValueError(f"{text} is not a number above 0")
    return rate


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{text} is not a number of seconds above 0")
    return seconds


def _add_faults(parser: argparse.ArgumentParser) -> None:
    faults = parser.add_argument_group(
        "injected faults",
        "METHOD is a method such as Commit, or * for all. Options may be repeated.",
    )
    faults.add_argument(
        "--latency",
        type=_with_reason(Latency.parse),
        action="append",
        default=[],
        metavar="METHOD=MS[..MS][:PROBABILITY]",
        help="delay the method by this many milliseconds, or by a random number in the range",
    )
    faults.add_argument(
        "--fail",
        type=_with_reason(Failure.parse),
        action="append",
        default=[],
        metavar="METHOD=CODE[:PROBABILITY][:before|after]",
        help="fail before the method runs, or after it has run: then only the response is lost",
    )
    faults.add_argument(
        "--seed", type=int, default=0, help="seed of the random numbers (default: 0)"
    )


def _with_reason(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Shows the message of a ValueError, which argparse omits."""

    def parsed(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def _add_transfer(parser: argparse.ArgumentParser, folder: str) -> None:
    _add_data(parser, "data directory", required=True)
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help=folder)
    parser.add_argument(
        "--database",
        type=_database,
        metavar="projects/P/databases/D",
        help="export this database only; import all documents into it (default: each in its own)",
    )


def _database(name: str) -> str:
    try:
        check_database(name)
    except EmulatorError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name
