"""A process finds in a data directory what an earlier process stored there."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    delete,
    name,
    plain_fields,
    put,
    reference,
    stored,
    update,
)

from firestore_emulator.model.clock import timestamp, wall_clock
from firestore_emulator.model.errors import (
    FailedPreconditionError,
    NotFoundError,
    StorageError,
)
from firestore_emulator.model.messages import Write
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.database import Databases
from firestore_emulator.store.sqlite_storage import FILE, DataError, Storage

EVERYTHING: dict[str, Any] = {
    "null": None,
    "yes": True,
    "int": -(2**63),
    "nan": NAN,
    "text": "é\0",
    "bytes": b"\0\xff",
    "ref": reference("c/a"),
    "list": [1, {"deep": [2.5]}],
    "map": {},
}


@contextmanager
def opened(directory: Path, now: Callable[[], int] = wall_clock) -> Iterator[Databases]:
    """The databases of one process run, from start to end."""
    with closing(Storage(directory, now)) as storage:
        yield storage.databases()


def test_documents_survive_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a", **EVERYTHING), put("c/a/d/b"), put("c/gone")])
        databases[DATABASE].commit([delete("c/gone"), update("c/a", "int", int=1)])
        before = stored(databases[DATABASE], "c/a")
    with opened(tmp_path) as databases:
        database = databases[DATABASE]
        after = stored(database, "c/a")
        assert before is not None
        assert after is not None
        assert after.SerializeToString(deterministic=True) == before.SerializeToString(
            deterministic=True
        )
        assert plain_fields(database, "c/a/d/b") == {}
        assert stored(database, "c/gone") is None
        assert sorted(database.collection_paths("")) == ["c", "c/a/d"]


def test_databases_and_projects_are_stored_separately(tmp_path: Path) -> None:
    other = "projects/q/databases/second"
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a", x=1)])
        write = put("c/a", x=2)
        write.update.name = f"{other}/documents/c/a"
        databases[other].commit([write])
        databases[DATABASE].clear()
    with opened(tmp_path) as databases:
        assert {database.name for database in databases} == {DATABASE, other}
        assert stored(databases[DATABASE], "c/a") is None
        found = databases[other].get(DocumentName.parse(f"{other}/documents/c/a"))
        assert found is not None
        assert found.fields["x"].integer_value == 2


def test_failed_commit_stores_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as databases, pytest.raises(NotFoundError):
        databases[DATABASE].commit([put("c/a"), update("c/b", "x", x=1)])
    with opened(tmp_path) as databases:
        assert list(databases) == []


def test_reading_a_database_does_not_create_it(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].read()
    with opened(tmp_path) as databases:
        assert list(databases) == []


def test_clear_survives_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a"), put("c/b")])
        databases[DATABASE].clear()
        databases[DATABASE].commit([put("c/b", x=1)])
    with opened(tmp_path) as databases:
        assert [each.name for each in databases[DATABASE].collection("c")] == [name("c/b")]


@pytest.mark.parametrize("change", [put("c/b"), put("c/a"), None])
def test_commit_times_rise_over_restarts_when_the_clock_goes_back(
    tmp_path: Path, change: Write | None
) -> None:
    """The last commit changed a document, changed nothing, or was a clear."""
    with opened(tmp_path, now=lambda: 5_000_000) as databases:
        databases[DATABASE].commit([put("c/a")])
        if change is None:
            databases[DATABASE].clear()
        else:
            databases[DATABASE].commit([change])
    with opened(tmp_path, now=lambda: 1_000_000) as databases:
        assert databases[DATABASE].commit([put("c/c")]).time == timestamp(5_000_002)


def test_time_before_the_start_cannot_be_read(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        time = databases[DATABASE].commit([put("c/a", x=1)]).time
        databases[DATABASE].commit([put("c/a", x=2)])
    with opened(tmp_path) as databases, pytest.raises(FailedPreconditionError, match="too old"):
        databases[DATABASE].read(time)


def test_times_since_the_start_can_be_read(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a", x=1)])
    with opened(tmp_path) as databases:
        time = databases[DATABASE].read().time
        databases[DATABASE].commit([put("c/a", x=2)])
        found = databases[DATABASE].read(time).view.get(DocumentName.parse(name("c/a")))
        assert found is not None
        assert found.fields["x"].integer_value == 1


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_commit_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk. With space again, commits succeed."""
    with opened(tmp_path) as databases:
        database = databases[DATABASE]
        database.commit([put("c/a", x=1)])
        with files_of_at_most(100_000):
            with pytest.raises(StorageError, match="data directory cannot be written"):
                database.commit([put("c/a", x=2), put("c/big", text="x" * 200_000)])
            database.commit([put("c/small")])
        assert plain_fields(database, "c/a") == {"x": 1}
        assert stored(database, "c/big") is None
        database.commit([put("c/b", text="x" * 200_000)])
    with opened(tmp_path) as databases:
        assert plain_fields(databases[DATABASE], "c/a") == {"x": 1}
        assert stored(databases[DATABASE], "c/big") is None
        assert stored(databases[DATABASE], "c/small") is not None
        assert stored(databases[DATABASE], "c/b") is not None


def error_reason(directory: Path) -> str:
    with pytest.raises(DataError) as raised:
        Storage(directory)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"Cannot use the data in {directory}: ")
    return line.partition(": ")[2]


def test_second_storage_cannot_open_the_directory(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert error_reason(tmp_path) == "another process uses it"
    with opened(tmp_path):
        pass


def test_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert error_reason(tmp_path / "file/data") == "Not a directory"
    assert error_reason(tmp_path / "file") == "File exists"


def test_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else" * 1000)
    assert error_reason(tmp_path) == "file is not a database"


def test_database_of_another_program_is_reported(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    assert error_reason(tmp_path) == f"{FILE} was not made by this emulator"


def test_later_format_is_reported(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 2")
    assert error_reason(tmp_path) == f"{FILE} was made by a later version of this emulator"


def test_damaged_page_is_reported(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put(f"c/{n}", text="x" * 1000) for n in range(100)])
    content = bytearray((tmp_path / FILE).read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"?" * 4096
    (tmp_path / FILE).write_bytes(content)
    assert error_reason(tmp_path) == f"{FILE} is damaged"


def test_damaged_document_is_reported(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a")])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE documents SET content = x'ff'")
    with closing(Storage(tmp_path)) as storage, pytest.raises(DataError, match="is damaged"):
        storage.databases()
