"""What the command line may say."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from firestore_emulator.addresses import add_host_port_option
from firestore_emulator.grpc_api.faults import Failure, Latency
from firestore_emulator.model.errors import EmulatorError
from firestore_emulator.model.names import check_database
from firestore_emulator.transactions.open_transactions import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

Parsed = TypeVar("Parsed")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="firestore_emulator", description="Emulates Firestore.")
    add_host_port_option(made)
    _add_data(made, "keep the documents there; without, they end with the process")
    made.add_argument(
        "--import-data",
        type=Path,
        metavar="FILE",
        help="documents to begin with, as JSON lines of an export",
    )
    _add_indexes(made)
    made.add_argument("--log", action="store_true", help="a line on stderr for each call")
    _add_limits(made)
    _add_faults(made)
    commands = made.add_subparsers(
        dest="command", title="with a data directory that no emulator uses"
    )
    _add_transfer(commands.add_parser("export", help="write JSON lines to stdout"))
    _add_transfer(commands.add_parser("import", help="read JSON lines from stdin"))
    return made


def _add_data(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", required=required, help=text)


def _add_indexes(parser: argparse.ArgumentParser) -> None:
    indexes = parser.add_mutually_exclusive_group()
    indexes.add_argument(
        "--require-indexes",
        type=Path,
        metavar="FILE",
        help="refuse a query that needs an index which is not in FILE (a firestore.indexes.json)",
    )
    indexes.add_argument(
        "--collect-indexes",
        type=Path,
        metavar="FILE",
        help="add the indexes that queries need to FILE, which is made if it is not there",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("limits of time, in seconds")
    for option, default, text in (
        ("--lock-wait", DEFAULT_LIMITS.lock_wait, "for a lock"),
        ("--transaction-time", DEFAULT_LIMITS.transaction, "for a transaction"),
        ("--transaction-idle", DEFAULT_LIMITS.idle, "for the next request of one"),
    ):
        limits.add_argument(
            option,
            type=_told(_seconds),
            default=default,
            metavar="SECONDS",
            help=f"{text} (default: {default:g}, as in the service)",
        )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{text} is no number of seconds above 0")
    return seconds


def _add_faults(parser: argparse.ArgumentParser) -> None:
    faults = parser.add_argument_group("faults", "for tests; METHOD such as Commit, or * for all")
    faults.add_argument(
        "--latency",
        type=_told(Latency.parse),
        action="append",
        default=[],
        metavar="METHOD=MS[..MS]",
        help="wait before the method is carried out; may be repeated",
    )
    faults.add_argument(
        "--fail",
        type=_told(Failure.parse),
        action="append",
        default=[],
        metavar="METHOD=CODE[:PROBABILITY][:before|after]",
        help="answer an error before the method is carried out, or after: its answer is lost",
    )
    faults.add_argument("--seed", type=int, default=0, help="of the faults' draws (default: 0)")


def _told(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """With the reason, which argparse leaves out of a ValueError."""

    def parsed(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def _add_transfer(parser: argparse.ArgumentParser) -> None:
    _add_data(parser, "the data directory", required=True)
    parser.add_argument(
        "--database",
        type=_database,
        metavar="projects/P/databases/D",
        help="only this one; an import moves all documents there (default: each its own)",
    )


def _database(name: str) -> str:
    try:
        check_database(name)
    except EmulatorError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name
