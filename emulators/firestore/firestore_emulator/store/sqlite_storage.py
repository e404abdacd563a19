"""Documents on disk: a directory with one SQLite file, used by one process at a time.

Every commit is a SQLite transaction. It is in SQLite's log before memory changes, so before any
client can see it. The log survives the process, however that ends (see docs/adr/0015).
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.message import DecodeError

from firestore_emulator.model.clock import Clock, wall_clock
from firestore_emulator.model.errors import StorageError
from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.database import CheckDocument, Database, Databases

FILE = "firestore.sqlite3"

_APPLICATION_ID = 0x46495245  # "FIRE": distinguishes the emulator's files from others
_FORMAT = 1
_SCHEMA = """
CREATE TABLE databases (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_commit INTEGER NOT NULL  -- microseconds
);
CREATE TABLE documents (
    database INTEGER NOT NULL,
    path TEXT NOT NULL,
    content BLOB NOT NULL,  -- google.firestore.v1.Document
    PRIMARY KEY (database, path)
);
"""
_COMMITTED = """
INSERT INTO databases (name, last_commit) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET last_commit = excluded.last_commit RETURNING id
"""
_STORE = """
INSERT INTO documents (database, path, content) VALUES (?, ?, ?)
ON CONFLICT (database, path) DO UPDATE SET content = excluded.content
"""
_DELETE = "DELETE FROM documents WHERE database = ? AND path = ?"
_CLEAR = "DELETE FROM documents WHERE database = ?"
_LOAD = "SELECT content FROM documents JOIN databases ON database = id WHERE name = ?"


class DataError(Exception):
    """The data directory cannot be used. The message gives the reason in one line."""


class Storage:
    def __init__(
        self,
        directory: Path,
        now: Callable[[], int] = wall_clock,
        check: CheckDocument | None = None,
    ) -> None:
        self._directory = directory
        self._now = now
        self._check = check
        with self._data_errors():
            directory.mkdir(parents=True, exist_ok=True)
            # Any thread may call, one at a time. The server makes all calls in one thread.
            self._connection = sqlite3.connect(
                directory / FILE, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with self._data_errors():
                self._prepare()
        except DataError:
            self._connection.close()
            raise

    def databases(self) -> Databases:
        """All stored databases, read into memory. Commits to them and to new ones are stored."""
        with self._data_errors():
            found = self._connection.execute("SELECT name, last_commit FROM databases").fetchall()
            return Databases(self._create, [self._load(name, last) for name, last in found])

    def close(self) -> None:
        self._connection.close()

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # before the first access: held from then on
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("BEGIN EXCLUSIVE")
        ((owner,),) = run("PRAGMA application_id").fetchall()
        ((version,),) = run("PRAGMA user_version").fetchall()
        ((tables,),) = run("SELECT count(*) FROM sqlite_schema").fetchall()
        if tables and owner != _APPLICATION_ID:
            raise self._unusable(f"{FILE} was not made by this emulator")
        if version > _FORMAT:
            raise self._unusable(f"{FILE} was made by a later version of this emulator")
        if not tables:
            for statement in _SCHEMA.split(";"):
                run(statement)
        for (finding,) in run("PRAGMA quick_check(1)").fetchall():
            if finding != "ok":
                raise self._unusable(f"{FILE} is damaged")
        run(f"PRAGMA application_id = {_APPLICATION_ID}")
        run(f"PRAGMA user_version = {_FORMAT}")
        run("COMMIT")

    def _create(self, name: str) -> Database:
        journal = _SqliteJournal(self._connection, name)
        return Database(name, Clock(self._now), journal=journal, check=self._check)

    def _load(self, name: str, last_commit: int) -> Database:
        contents = self._connection.execute(_LOAD, (name,))
        return Database(
            name,
            Clock(self._now, last_commit),
            journal=_SqliteJournal(self._connection, name),
            documents=(Document.FromString(content) for (content,) in contents),
            check=self._check,
        )

    @contextmanager
    def _data_errors(self) -> Iterator[None]:
        """Raises every error in the block as a DataError."""
        try:
            yield
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise self._unusable("another process uses it") from error
            raise self._unusable(str(error)) from error
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        except DecodeError as error:
            raise self._unusable(f"a document in {FILE} is damaged") from error

    def _unusable(self, reason: str) -> DataError:
        return DataError(f"Cannot use the data in {self._directory}: {reason}")


class _SqliteJournal:
    """The journal of one database."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def commit(self, time: int, documents: Mapping[DocumentName, Document | None]) -> None:
        with self._transaction(time) as database:
            for name, document in documents.items():
                path = f"{name.collection}/{name.id}"
                if document is None:
                    self._connection.execute(_DELETE, (database, path))
                else:
                    row = (database, path, document.SerializeToString())
                    self._connection.execute(_STORE, row)

    def clear(self, time: int) -> None:
        with self._transaction(time) as database:
            self._connection.execute(_CLEAR, (database,))

    @contextmanager
    def _transaction(self, time: int) -> Iterator[int]:
        """Yields the database's row id. Commits the statements of the block, or none of them."""
        try:
            self._connection.execute("BEGIN")
            ((database,),) = self._connection.execute(_COMMITTED, (self._name, time)).fetchall()
            yield database
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise StorageError(f"The data directory cannot be written: {error}") from error
