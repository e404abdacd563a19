"""Writes, preconditions and atomicity of Database.commit."""

import pytest
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    database,
    delete,
    document,
    name,
    plain_fields,
    put,
    stored,
    update,
)

from firestore_emulator.model.clock import timestamp, to_microseconds
from firestore_emulator.model.errors import (
    AlreadyExistsError,
    EmulatorError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from firestore_emulator.model.messages import Precondition, Write
from firestore_emulator.store.database import Databases


def versioned(path: str, version: int, **fields: int) -> Write:
    write = put(path, **fields)
    write.current_document.update_time.CopyFrom(timestamp(version))
    return write


def version_of_a() -> int:
    return 3_600_000_000


def test_put_replaces_the_whole_document() -> None:
    db = database(put("c/a", x=1, y=2))
    db.commit([put("c/a", z=3)])
    assert plain_fields(db, "c/a") == {"z": 3}


def test_mask_sets_deletes_and_keeps_fields() -> None:
    db = database(put("c/a", x=1, y=2, n={"p": 1, "q": 2, "r": 3}))
    db.commit([update("c/a", "x", "y", "n.p", "n.q", x=10, n={"p": 5, "r": 9}, ignored=1)])
    assert plain_fields(db, "c/a") == {"x": 10, "n": {"p": 5, "r": 3}}


def test_empty_mask_creates_an_empty_document() -> None:
    db = database(update("c/a", exists=None))
    assert plain_fields(db, "c/a") == {}


def test_commit_sets_create_and_update_times() -> None:
    db = database(put("c/a", x=1))
    db.commit([put("c/a", x=2)])
    found = stored(db, "c/a")
    assert found is not None
    assert to_microseconds(found.create_time) == version_of_a()
    assert to_microseconds(found.update_time) == version_of_a() + 1


@pytest.mark.parametrize("content", [{"x": 1}, {"x": NAN}, {"x": {"y": [NAN, None]}}])
def test_write_without_change_keeps_the_update_time(content: dict[str, object]) -> None:
    db = database(put("c/a", **content))
    before = stored(db, "c/a")
    commit = db.commit([put("c/a", **content)])
    assert stored(db, "c/a") is before
    assert to_microseconds(commit.results[0].update_time) == version_of_a()
    assert to_microseconds(commit.time) == version_of_a() + 1


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (0.0, -0.0), (None, False)])
def test_equal_value_in_another_representation_is_a_change(before: object, after: object) -> None:
    db = database(put("c/a", x=before))
    result = db.commit([put("c/a", x=after)]).results[0]
    assert to_microseconds(result.update_time) == version_of_a() + 1


def test_delete_removes_the_document() -> None:
    db = database(put("c/a"))
    result = db.commit([delete("c/a")]).results[0]
    assert stored(db, "c/a") is None
    assert not result.HasField("update_time")
    assert list(db.collection_paths("")) == []
    db.commit([delete("c/a")])


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (update("c/none", x=1), NotFoundError, f"No document to update: {name('c/none')}"),
        (delete("c/none", exists=True), NotFoundError, "No document to update"),
        (
            update("c/a", exists=False),
            AlreadyExistsError,
            f"Document already exists: {name('c/a')}",
        ),
        (delete("c/a", exists=False), AlreadyExistsError, "Document already exists"),
        (
            versioned("c/a", 3_599_999_999),
            FailedPreconditionError,
            r"the stored version \(3600000000\) does not match the required .* \(3599999999\)",
        ),
        (
            versioned("c/none", 3_600_000_000),
            FailedPreconditionError,
            r"the stored version \(0\) does not match",
        ),
        (versioned("c/none", 0), FailedPreconditionError, "does not match"),
        (versioned("c/a", 3_600_000_001), InvalidArgumentError, "greater than the stored version"),
        (Write(), InvalidArgumentError, "empty write"),
        (put("c/a/b"), InvalidArgumentError, "lacks a document id"),
        (
            Write(delete=name("c/a"), update_mask={"field_paths": ["x"]}),
            InvalidArgumentError,
            "a delete must not specify a document mask",
        ),
        (
            Write(
                delete=name("c/a"),
                update_transforms=[{"field_path": "x", "increment": {"integer_value": 1}}],
            ),
            InvalidArgumentError,
            "a delete must not specify update transforms",
        ),
        (
            Write(transform={"document": name("c/a")}),
            InvalidArgumentError,
            "must not be empty",
        ),
        (
            Write(update={"name": "projects/other/databases/(default)/documents/c/a"}),
            InvalidArgumentError,
            "is not in database",
        ),
        (update("c/a", "__name__"), InvalidArgumentError, "names cannot be written"),
    ],
)
def test_failed_write_undoes_the_whole_commit(
    write: Write, error: type[EmulatorError], message: str
) -> None:
    db = database(put("c/a", x=1))
    with pytest.raises(error, match=message.replace("(default)", r"\(default\)")):
        db.commit([put("c/b"), put("c/d", x=2), delete("c/d"), put("c/d", x=1), write])
    assert plain_fields(db, "c/a") == {"x": 1}
    assert stored(db, "c/b") is None


def test_current_version_precondition_succeeds() -> None:
    db = database(put("c/a", x=1))
    db.commit([versioned("c/a", 3_600_000_000, x=2)])
    assert plain_fields(db, "c/a") == {"x": 2}


def test_writes_of_one_document_apply_in_order_at_one_time() -> None:
    db = database()
    commit = db.commit([put("c/a", x=1), update("c/a", "y", y=2), update("c/a", "x", x=3)])
    assert plain_fields(db, "c/a") == {"x": 3, "y": 2}
    assert [result.update_time for result in commit.results] == [commit.time] * 3


def test_exists_precondition_includes_earlier_writes_of_the_commit() -> None:
    db = database(put("c/a", x=1))
    db.commit([delete("c/a"), update("c/a", "y", y=1, exists=False)])
    assert plain_fields(db, "c/a") == {"y": 1}


def test_update_time_precondition_compares_the_stored_version() -> None:
    db = database(put("c/a", x=1))
    db.commit([versioned("c/a", version_of_a(), x=2), versioned("c/a", version_of_a(), x=3)])
    assert plain_fields(db, "c/a") == {"x": 3}


def test_document_read_earlier_does_not_change() -> None:
    db = database(put("c/a", x=1, n={"y": 1}))
    snapshot = stored(db, "c/a")
    db.commit([update("c/a", "x", "n.y", x=2, n={"y": 2})])
    assert snapshot is not None
    assert dict(snapshot.fields) == dict(document("c/a", x=1, n={"y": 1}).fields)


def test_databases_are_separate() -> None:
    databases = Databases()
    databases[DATABASE].commit([put("c/a")])
    assert stored(databases[DATABASE], "c/a") is not None
    assert list(databases["projects/p/databases/other"].collection("c")) == []
    with pytest.raises(InvalidArgumentError):
        databases["nonsense"]


def test_times_rise_across_a_clear() -> None:
    db = database(put("c/a"))
    db.clear()
    assert stored(db, "c/a") is None
    assert to_microseconds(db.commit([put("c/a")]).time) > version_of_a()


def test_empty_precondition_has_no_effect() -> None:
    write = put("c/a")
    write.current_document.CopyFrom(Precondition())
    assert stored(database(write), "c/a") is not None
