"""An import restores the exported documents, whatever their content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.any_fields import IDS, MAPS
from support.emulator.firestore_messages import (
    DATABASE,
    database,
    name,
    plain_fields,
    put,
    reference,
)

from firestore_emulator.model.clock import timestamp
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.model.validation import MAX_DEPTH
from firestore_emulator.store import json_lines
from firestore_emulator.store.database import Database, Databases
from firestore_emulator.store.relocation import relocated


def contents(of: Database) -> dict[str, bytes]:
    """All fields of all documents, to the bit."""
    return {
        document.name: Document(fields=document.fields).SerializeToString(deterministic=True)
        for document in documents_of(of)
    }


def documents_of(of: Database) -> list[Document]:
    return run_at_once(json_lines.documents_of(of))


def exported(of: Database) -> list[bytes]:
    return [json_lines.to_line(document) for document in documents_of(of)]


@given(st.dictionaries(IDS.map(lambda each: f"c/{each}"), MAPS, min_size=1, max_size=3))
def test_round_trip_changes_nothing(documents: dict[str, dict[str, Any]]) -> None:
    source = database(*(put(path, **fields) for path, fields in documents.items()))
    lines = exported(source)
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    copies = Databases()
    assert json_lines.load(copies, json_lines.parse(b"".join(lines).split(b"\n"))) == len(documents)
    assert contents(copies[DATABASE]) == contents(source)


def test_deepest_document_survives_a_round_trip() -> None:
    deep: dict[str, Any] = {"x": 1}
    for _ in range(MAX_DEPTH):
        deep = {"x": deep}
    source = database(put("c/a", **deep))
    copies = Databases()
    json_lines.load(copies, json_lines.parse(exported(source)))
    assert contents(copies[DATABASE]) == contents(source)


def test_line_is_the_rest_representation() -> None:
    source = database(put("c/a", n=1, text="é", deep={"none": None}))
    (line,) = exported(source)
    assert line.decode().startswith(f'{{"name": "{name("c/a")}", "fields": {{')
    assert '"text": {"stringValue": "é"}' in line.decode()
    assert '"n": {"integerValue": "1"}' in line.decode()
    assert '"createTime": "1970-01-01T01:00:00Z"' in line.decode()


def test_lines_are_sorted_by_path() -> None:
    source = database(put("b/b"), put("b/a"), put("a/b/z/z"), put("a/c"))
    paths = [document.name for document in documents_of(source)]
    assert paths == [name("a/c"), name("a/b/z/z"), name("b/a"), name("b/b")]


def test_import_has_its_own_commit_time() -> None:
    source = database(put("c/a"))
    later = Databases(lambda _: database())
    later[DATABASE].commit([put("c/b")])
    json_lines.load(later, json_lines.parse(exported(source)))
    times = {document.name: document.create_time for document in documents_of(later[DATABASE])}
    assert times[name("c/a")] == timestamp(3_600_000_001)
    assert times.keys() == {name("c/a"), name("c/b")}


def test_references_move_with_documents_into_another_database() -> None:
    elsewhere = Value(reference_value="projects/x/databases/y/documents/c/a")
    source = database(
        put("c/a", own=reference("c/b"), deep=[{"own": reference("c/b")}], x=elsewhere)
    )
    target = "projects/q/databases/second"
    (moved,) = (relocated(each, target) for each in json_lines.parse(exported(source)))
    parent = f"{target}/documents/c"
    assert moved.name == f"{parent}/a"
    assert moved.fields["own"].reference_value == f"{parent}/b"
    deep = moved.fields["deep"].array_value.values[0].map_value.fields["own"]
    assert deep.reference_value == f"{parent}/b"
    assert moved.fields["x"] == elsewhere


def test_documents_keep_their_database_by_default() -> None:
    databases = Databases()
    lines = [f'{{"name": "projects/{each}/databases/d/documents/c/a"}}'.encode() for each in "pq"]
    assert json_lines.load(databases, json_lines.parse(lines)) == 2
    assert [each.name for each in databases] == ["projects/p/databases/d", "projects/q/databases/d"]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b"{}",
        b"\xff",
        b'{"name": "c/a"}',
        b'{"name": "projects/p/databases/d/documents/c"}',
        b'{"name": "projects/p/databases/d/documents/c/a", "more": 1}',
        b'{"name": "projects/p/databases/d/documents/c/a", "fields": {"x": 1}}',
    ],
)
def test_invalid_line_is_reported_by_number_in_one_line(line: bytes) -> None:
    good = b'{"name": "projects/p/databases/d/documents/c/a"}'
    with pytest.raises(InvalidArgumentError, match=r"^Line 3 is not a document: .+$") as raised:
        list(json_lines.parse([good, b"", line]))
    assert "\n" not in str(raised.value)


def test_import_is_atomic() -> None:
    databases = Databases(lambda _: database())
    reserved = f'{{"name": "{name("c/b")}", "fields": {{"__id__": {{"nullValue": null}}}}}}'
    lines = [f'{{"name": "{name("c/a")}"}}'.encode(), reserved.encode()]
    with pytest.raises(EmulatorError, match="reserved"):
        json_lines.load(databases, json_lines.parse(lines))
    assert documents_of(databases[DATABASE]) == []


def test_import_replaces_its_documents_and_keeps_others() -> None:
    source = database(put("c/a", x=1))
    target = database(put("c/a", y=2), put("c/b", z=3))
    json_lines.load(Databases(lambda _: target), json_lines.parse(exported(source)))
    assert plain_fields(target, "c/a") == {"x": 1}
    assert plain_fields(target, "c/b") == {"z": 3}
