"""python -m firestore_emulator --host-port=127.0.0.1:8085."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from firestore_emulator.addresses import add_host_port, address_of
from firestore_emulator.database import Databases
from firestore_emulator.server import serve
from firestore_emulator.storage import DataError, Storage


def main() -> None:
    arguments = _parser().parse_args()
    host, port = arguments.host_port
    try:
        with _databases(arguments.data) as databases:
            asyncio.run(serve(databases, host, port, ready=_announce))
    except DataError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Cannot listen on {address_of(host, port)}: {error.strerror or error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="firestore_emulator", description="Emulates Firestore.")
    add_host_port(parser)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="keep the documents there; without, they are in memory and end with the process",
    )
    return parser


@contextmanager
def _databases(directory: Path | None) -> Iterator[Databases]:
    if directory is None:
        yield Databases()
    else:
        with closing(Storage(directory)) as storage:
            yield storage.databases()


def _announce(address: str) -> None:
    print(f"Firestore emulator on {address}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
