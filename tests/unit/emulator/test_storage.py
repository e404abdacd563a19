"""What is written to a data directory is what the next process finds."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.firestore_messages import (
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
    """What a process does with its data, from start to end."""
    with closing(Storage(directory, now)) as storage:
        yield storage.databases()


def test_the_documents_are_found_again(tmp_path: Path) -> None:
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


def test_databases_and_projects_are_kept_apart(tmp_path: Path) -> None:
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


def test_a_refused_commit_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as databases, pytest.raises(NotFoundError):
        databases[DATABASE].commit([put("c/a"), update("c/b", "x", x=1)])
    with opened(tmp_path) as databases:
        assert list(databases) == []


def test_looking_at_a_database_does_not_make_one(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].read()
    with opened(tmp_path) as databases:
        assert list(databases) == []


def test_clearing_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a"), put("c/b")])
        databases[DATABASE].clear()
        databases[DATABASE].commit([put("c/b", x=1)])
    with opened(tmp_path) as databases:
        assert [each.name for each in databases[DATABASE].collection("c")] == [name("c/b")]


@pytest.mark.parametrize("change", [put("c/b"), put("c/a"), None])
def test_commit_times_rise_although_the_clock_went_back(
    tmp_path: Path, change: Write | None
) -> None:
    """Whether the last commit changed something, nothing, or cleared all."""
    with opened(tmp_path, now=lambda: 5_000_000) as databases:
        databases[DATABASE].commit([put("c/a")])
        if change is None:
            databases[DATABASE].clear()
        else:
            databases[DATABASE].commit([change])
    with opened(tmp_path, now=lambda: 1_000_000) as databases:
        assert databases[DATABASE].commit([put("c/c")]).time == timestamp(5_000_002)


def test_what_was_before_the_start_is_not_read(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        time = databases[DATABASE].commit([put("c/a", x=1)]).time
        databases[DATABASE].commit([put("c/a", x=2)])
    with opened(tmp_path) as databases, pytest.raises(FailedPreconditionError, match="too old"):
        databases[DATABASE].read(time)


def test_reads_go_on_from_the_start(tmp_path: Path) -> None:
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


def test_what_cannot_be_written_does_not_happen(tmp_path: Path) -> None:
    """With a limit on files' sizes, as on a full disk; later, with room again, all is well."""
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


def refusal(directory: Path) -> str:
    with pytest.raises(DataError) as refused:
        Storage(directory)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"Cannot use the data in {directory}: ")
    return line.partition(": ")[2]


def test_a_directory_is_for_one_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert refusal(tmp_path) == "another process uses it"
    with opened(tmp_path):
        pass


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file/data") == "Not a directory"
    assert refusal(tmp_path / "file") == "File exists"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else" * 1000)
    assert refusal(tmp_path) == "file is not a database"


def test_somebody_elses_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    assert refusal(tmp_path) == f"{FILE} was not made by this emulator"


def test_a_later_format(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 2")
    assert refusal(tmp_path) == f"{FILE} was made by a later version of this emulator"


def test_a_page_of_garbage(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put(f"c/{n}", text="x" * 1000) for n in range(100)])
    content = bytearray((tmp_path / FILE).read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"?" * 4096
    (tmp_path / FILE).write_bytes(content)
    assert refusal(tmp_path) == f"{FILE} is damaged"


def test_a_document_of_garbage(tmp_path: Path) -> None:
    with opened(tmp_path) as databases:
        databases[DATABASE].commit([put("c/a")])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE documents SET content = x'ff'")
    with closing(Storage(tmp_path)) as storage, pytest.raises(DataError, match="is damaged"):
        storage.databases()
