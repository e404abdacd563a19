"""What the command line may say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from firestore_emulator.addresses import add_host_port
from firestore_emulator.errors import EmulatorError
from firestore_emulator.faults import Failure, Latency
from firestore_emulator.names import check_database

if TYPE_CHECKING:
    from collections.abc import Callable

Parsed = TypeVar("Parsed")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="firestore_emulator", description="Emulates Firestore.")
    add_host_port(made)
    _add_data(made, "keep the documents there; without, they end with the process")
    made.add_argument(
        "--import-data",
        type=Path,
        metavar="FILE",
        help="documents to begin with, as JSON lines of an export",
    )
    made.add_argument("--log", action="store_true", help="a line on stderr for each call")
    _add_faults(made)
    commands = made.add_subparsers(
        dest="command", title="with a data directory that no emulator uses"
    )
    _add_transfer(commands.add_parser("export", help="write JSON lines to stdout"))
    _add_transfer(commands.add_parser("import", help="read JSON lines from stdin"))
    return made


def _add_data(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", required=required, help=text)


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
