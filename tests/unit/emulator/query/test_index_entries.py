"""The index entries of a document, by the automatic indexes, overrides, and defined indexes."""

from functools import partial
from typing import Any

import pytest
from support.emulator.firestore_messages import (
    DATABASE,
    Plain,
    delete,
    document,
    put,
    stored,
    vector,
)

from firestore_emulator.indexes import file_format
from firestore_emulator.indexes.entries import MAX_ENTRIES, check_entries, count_entries
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.store.database import Database

ASCENDING = {"order": "ASCENDING"}
CONTAINS = {"arrayConfig": "CONTAINS"}
VECTOR = {"vectorConfig": {"dimension": 2, "flat": {}}}


def index(collection_id: str = "c", **fields: Any) -> dict[str, Any]:
    return {
        "collectionGroup": collection_id,
        "queryScope": "COLLECTION",
        "fields": [{"fieldPath": path, **fields[path]} for path in fields],
    }


def override(path: str, *modes: dict[str, str]) -> dict[str, Any]:
    indexes = [{"queryScope": "COLLECTION", **mode} for mode in modes]
    return {"collectionGroup": "c", "fieldPath": path, "indexes": indexes}


def present(*indexes: dict[str, Any], overrides: tuple[dict[str, Any], ...] = ()) -> Indexes:
    return file_format.parse({"indexes": list(indexes), "fieldOverrides": list(overrides)})


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ({}, 0),
        ({"a": 1}, 2),
        ({"a": None, "b": "x"}, 4),
        ({"t": [1, 2, 2.0, "x"]}, 2 + 3),
        ({"t": []}, 2),
        ({"m": {"a": 1, "t": [1]}}, 2 + 2 + 3),
        ({"m": {}}, 2),
        ({"t": [{"a": 1}]}, 2 + 1),
        ({"v": vector(1, 2, 3)}, 2),
    ],
)
def test_automatic_indexes_have_an_entry_for_each_field(
    content: dict[str, Plain], count: int
) -> None:
    assert count_entries(document("c/d", **content), "c", Indexes()) == count


@pytest.mark.parametrize(
    ("indexes", "count"),
    [
        (present(), 9),
        (present(index(a=ASCENDING, b=ASCENDING)), 10),
        (present(index(a=ASCENDING, absent=ASCENDING)), 9),
        (present(index(a=ASCENDING, t=CONTAINS)), 9 + 3),
        (present(index(t=CONTAINS, b=ASCENDING), index(a=ASCENDING, b=ASCENDING)), 9 + 3 + 1),
        (present(index("other", a=ASCENDING, b=ASCENDING)), 9),
        (present(overrides=(override("t"),)), 4),
        (present(overrides=(override("t", CONTAINS),)), 4 + 3),
        (present(overrides=(override("*"),)), 0),
        (present(overrides=(override("*"), override("a", ASCENDING))), 1),
    ],
)
def test_defined_indexes_and_exemptions_count(indexes: Indexes, count: int) -> None:
    assert count_entries(document("c/d", a=1, b=2, t=[1, 2, 3]), "c", indexes) == count


def test_exemption_of_a_map_holds_for_its_fields() -> None:
    indexes = present(overrides=(override("m"), override("m.b", ASCENDING)))
    assert count_entries(document("c/d", m={"a": 1, "b": 2}), "c", indexes) == 1


@pytest.mark.parametrize(
    ("content", "count"), [({"v": vector(1, 2)}, 1), ({"v": vector(1)}, 0), ({"v": [1]}, 0)]
)
def test_vector_index_has_an_entry_for_its_dimension(content: dict[str, Plain], count: int) -> None:
    indexes = present(index(a=ASCENDING, v=VECTOR), overrides=(override("*"),))
    assert count_entries(document("c/d", a=1, **content), "c", indexes) == count
    assert count_entries(document("c/d", **content), "c", indexes) == 0


def limited(*indexes: dict[str, Any], overrides: tuple[dict[str, Any], ...] = ()) -> Database:
    defined = present(*indexes, overrides=overrides)
    return Database(DATABASE, check=check_entries(lambda: defined))


def test_document_has_at_most_40000_entries() -> None:
    db = limited()
    write = partial(put, "c/d")
    db.commit([write(t=list(range(MAX_ENTRIES - 2)))])
    before = stored(db, "c/d")
    with pytest.raises(InvalidArgumentError, match="too many index entries for entity c/d: 40001"):
        db.commit([put("c/other"), write(t=list(range(MAX_ENTRIES - 1)))])
    assert stored(db, "c/d") is before
    assert stored(db, "c/other") is None
    with pytest.raises(InvalidArgumentError, match="40002"):
        db.commit([write(m={str(n): n for n in range(MAX_ENTRIES // 2)})])


def test_defined_indexes_lower_the_number_of_elements() -> None:
    db = limited(index(a=ASCENDING, t=CONTAINS), index(b=ASCENDING, t=CONTAINS))
    db.commit([put("c/d", a=1, b=1, t=list(range(13_331)))])
    with pytest.raises(InvalidArgumentError, match="40002"):
        db.commit([put("c/d", a=1, b=1, t=list(range(13_332)))])
    db.commit([put("other/d", a=1, b=1, t=list(range(13_332)))])


def test_exempted_field_can_have_any_number_of_elements() -> None:
    db = limited(overrides=(override("t"),))
    db.commit([put("c/d", t=list(range(MAX_ENTRIES + 1)))])
    with pytest.raises(InvalidArgumentError, match="too many index entries"):
        db.commit([put("c/d/other/d", t=list(range(MAX_ENTRIES + 1)))])


def test_deleted_and_unchanged_documents_are_not_counted() -> None:
    db = Database(DATABASE)
    db.commit([put("c/d", t=list(range(MAX_ENTRIES + 1)))])
    kept = stored(db, "c/d")
    assert kept is not None
    strict = Database(DATABASE, documents=[kept], check=check_entries(Indexes))
    strict.commit([put("c/d", t=list(range(MAX_ENTRIES + 1)))])
    assert stored(strict, "c/d") is kept
    strict.commit([delete("c/d")])
    assert stored(strict, "c/d") is None
