"""The commands: serve (the default), and export and import of a data directory."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from firestore_emulator.addresses import format_address
from firestore_emulator.cli.arguments import parser
from firestore_emulator.dispatch.call_log import CallLog
from firestore_emulator.dispatch.faults import Faults
from firestore_emulator.dispatch.interceptor import CallInterceptor
from firestore_emulator.indexes.checks import (
    CheckIndexes,
    collect_indexes,
    ignore_indexes,
    require_indexes,
)
from firestore_emulator.indexes.entries import check_entries
from firestore_emulator.indexes.index_file import IndexFile, IndexFileError
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.managed_export import folder
from firestore_emulator.managed_export.problems import cannot_read, cannot_write
from firestore_emulator.model.errors import EmulatorError
from firestore_emulator.model.messages import Document
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.server import serve
from firestore_emulator.service.service import Service
from firestore_emulator.store import json_lines, sqlite_storage
from firestore_emulator.store.database import CheckDocument, Database, Databases
from firestore_emulator.store.relocation import relocated
from firestore_emulator.store.sqlite_storage import DataError, Storage
from firestore_emulator.transactions.open_transactions import Limits

try:
    from uvloop import new_event_loop as _new_loop
except ImportError:  # uvloop does not support Windows
    from asyncio import new_event_loop as _new_loop  # type: ignore[assignment]


def main(argv: Sequence[str] | None = None, announce: Callable[[str], None] | None = None) -> None:
    """Run the command of the arguments, by default those of the process.

    ``announce`` gets the address as soon as the emulator serves. The default prints it.
    """
    arguments = parser().parse_args(argv)
    commands: dict[str | None, Callable[[argparse.Namespace], None]] = {
        None: partial(_serve, announce=announce or _announce),
        "export": _export,
        "import": _import,
    }
    try:
        commands[arguments.command](arguments)
    except (DataError, EmulatorError, IndexFileError) as error:
        sys.exit(str(error))


def _serve(arguments: argparse.Namespace, announce: Callable[[str], None]) -> None:
    host, port = arguments.host_port
    interceptors = list(_interceptors(arguments))
    limits = Limits(
        arguments.lock_wait,
        arguments.transaction_time,
        arguments.transaction_idle,
        arguments.document_commits,
    )
    check_indexes, indexes = _index_check(arguments)
    with _databases(arguments.data, check_entries(indexes)) as databases:
        if arguments.import_data is not None:
            json_lines.load(databases, _documents_at(arguments.import_data))
        service = Service(databases, limits, check_indexes, indexes)
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                hosts = arguments.allowed_host
                runner.run(serve(service, host, port, announce, interceptors, hosts))
        except OSError as error:
            sys.exit(f"Cannot listen on {format_address(host, port)}: {error.strerror or error}")
        if arguments.export_on_exit is not None:
            _export_all(databases, arguments.export_on_exit)


def _interceptors(arguments: argparse.Namespace) -> Iterator[CallInterceptor]:
    if arguments.log:
        yield CallLog(lambda line: print(line, file=sys.stderr, flush=True)).intercept  # noqa: T201
    if arguments.latency or arguments.fail:
        yield Faults(arguments.latency, arguments.fail, arguments.seed).intercept


def _index_check(arguments: argparse.Namespace) -> tuple[CheckIndexes, Callable[[], Indexes]]:
    """The check of queries, and the present indexes: those of the file and the automatic ones."""
    if arguments.require_indexes is not None:
        file = IndexFile.read(arguments.require_indexes)
        return require_indexes(file.indexes), lambda: file.indexes
    if arguments.collect_indexes is not None:
        file = IndexFile.read_or_create(arguments.collect_indexes)
        return collect_indexes(file), lambda: file.indexes
    return ignore_indexes, Indexes


@contextmanager
def _databases(directory: Path | None, check: CheckDocument | None = None) -> Iterator[Databases]:
    if directory is None:
        yield Databases(partial(Database, check=check))
    else:
        with closing(Storage(directory, check=check)) as storage:
            yield storage.databases()


def _documents_at(path: Path) -> Iterator[Document]:
    """The documents of an export in either format. Raises EmulatorError."""
    if path.is_dir() or path.name.endswith(folder.SUFFIX):
        yield from folder.read_all(path)
        return
    try:
        with path.open("rb") as lines:
            yield from json_lines.parse(lines)
    except OSError as error:
        raise cannot_read(path, error) from error


def _export(arguments: argparse.Namespace) -> None:
    if not (arguments.data / sqlite_storage.FILE).exists():
        sys.exit(f"{arguments.data} has no {sqlite_storage.FILE}: it is not a data directory")
    with _databases(arguments.data) as databases:
        chosen = [each for each in databases if arguments.database in {None, each.name}]
        if arguments.folder is None:
            for database in chosen:
                sys.stdout.buffer.writelines(map(json_lines.to_line, _documents_of(database)))
        elif len(chosen) == 1:
            run_at_once(folder.write(_documents_of(chosen[0]), arguments.folder))
        else:
            names = ", ".join(sorted(each.name for each in databases)) or "none"
            sys.exit(f"--folder exports one database. Name it by --database. There are: {names}")


def _export_all(databases: Databases, directory: Path) -> None:
    """Each database into a folder of its own, so that --import-data=DIR reads all of them.

    One that cannot be written loses no other.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error
    failures: list[str] = []
    for database in databases:
        try:
            run_at_once(folder.write(_documents_of(database), directory / _folder_name(database)))
        except EmulatorError as error:
            failures.append(str(error))
    if failures:
        sys.exit("\n".join(failures))


def _folder_name(database: Database) -> str:
    """The project, with the database after "+" unless it is the default one.

    "+" and leading dots of these names are escaped, as in a URL.
    """
    _, project, _, database_id = database.name.split("/")
    names = [project] if database_id == "(default)" else [project, database_id]
    name = "+".join(quote(each, safe="") for each in names)
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _documents_of(database: Database) -> list[Document]:
    return run_at_once(json_lines.documents_of(database))


def _import(arguments: argparse.Namespace) -> None:
    with _databases(arguments.data) as databases:
        documents: Iterable[Document]
        if arguments.folder is None:
            documents = json_lines.parse(sys.stdin.buffer)
        else:
            documents = folder.read_all(arguments.folder)
        moved = (relocated(each, arguments.database) for each in documents)
        count = json_lines.load(databases, moved)
    print(f"{count} documents imported", file=sys.stderr)  # noqa: T201


def _announce(address: str) -> None:
    print(f"Firestore emulator on {address}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
