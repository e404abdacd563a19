"""Documents survive the conversion to Datastore entities, and other entities are rejected."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.any_fields import IDS, MAPS
from support.emulator.firestore_messages import DATABASE, name, plain, value
from support.emulator.value_types import DOCUMENTS, documents

from firestore_emulator.managed_export.entities import to_document, to_entity
from firestore_emulator.managed_export.messages import EntityProto, Property
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.validation import MAX_DEPTH, check_size, normalize_fields


def bits(document: Document) -> tuple[str, bytes]:
    return document.name, document.SerializeToString(deterministic=True)


@pytest.mark.parametrize("document", documents(DATABASE), ids=DOCUMENTS)
def test_document_survives(document: Document) -> None:
    assert bits(to_document(to_entity(document))) == bits(document)


@given(IDS, MAPS)
def test_any_document_survives(document_id: str, fields: Mapping[str, Value]) -> None:
    document = Document(name=name(f"c/{document_id}"), fields=fields)
    assert bits(to_document(to_entity(document))) == bits(document)


@pytest.mark.parametrize("is_nested", [False, True])
def test_document_whose_record_is_too_large_for_an_import_is_rejected(*, is_nested: bool) -> None:
    """A valid document: its size counts the name of the field once."""
    flags = Value(array_value={"values": [Value(boolean_value=True)] * 50_000})
    fields = {"n" * 1400: flags}
    if is_nested:
        fields = {"a": Value(array_value={"values": [Value(map_value={"fields": fields})]})}
    document = Document(name=name("c/a"), fields=fields)
    check_size(document)
    with pytest.raises(InvalidArgumentError, match=r"c/a cannot be exported .* 67108864 bytes"):
        to_entity(document)


def test_document_of_another_database_survives() -> None:
    document = Document(name="projects/q-1/databases/second/documents/c/a/d/__id-7__")
    assert to_document(to_entity(document)) == document


def test_deepest_map_survives() -> None:
    fields: Any = {"n": 1}
    for _ in range(MAX_DEPTH):
        fields = {"m": fields}
    document = Document(name=name("c/a"), fields={key: value(fields[key]) for key in fields})
    assert to_document(to_entity(document)) == document


def entity(*properties: Property, raw: tuple[Property, ...] = (), **key: Any) -> bytes:
    """An entity as Google's programs may write it, with the key c/a unless the key has a path."""
    path = key.pop("path", {"element": [{"type": "c", "name": "a"}]})
    return EntityProto(
        key={"app": "s~p", "path": path, **key}, property=properties, raw_property=raw
    ).SerializeToString()


def stored(field: str = "f", meaning: int = 0, **content: Any) -> Property:
    """A property. Several contents of one name are an array."""
    multiple = content.pop("multiple", False)
    further = {each: content.pop(each) for each in ("stashed", "computed") if each in content}
    made = Property(name=field, multiple=multiple, value=content, **further)
    if meaning:
        made.meaning = meaning
    return made


def read(*properties: Property, **key: Any) -> dict[str, Any]:
    document = to_document(entity(*properties, **key))
    return {each: plain(document.fields[each]) for each in document.fields}


@pytest.mark.parametrize("app", ["p", "s~p", "dev~p", "eu~p"])
def test_project_has_no_partition(app: str) -> None:
    assert to_document(entity(app=app)).name == name("c/a")


def test_key_without_a_database_is_of_the_default_one() -> None:
    assert to_document(entity(database_id="")).name == name("c/a")
    assert to_document(entity(database_id="d")).name == "projects/p/databases/d/documents/c/a"


def test_indexed_and_raw_properties_are_fields() -> None:
    raw = (stored("b", string_value=b"x"),)
    assert read(stored("a", int64_value=1), raw=raw) == {"a": 1, "b": "x"}


def test_stashed_elements_keep_their_place_in_the_array() -> None:
    """An array has elements in both lists if some of them have no index entry."""
    indexed = [stored(int64_value=number, multiple=True) for number in (1, 3, 4)]
    raw = (
        stored(string_value=b"second", multiple=True, stashed=1),
        stored(string_value=b"last", multiple=True),
    )
    assert read(*indexed, raw=raw) == {"f": [1, "second", 3, 4, "last"]}


def test_computed_properties_are_not_read() -> None:
    computed = stored("g", int64_value=2, computed=True)
    assert read(stored(int64_value=1), computed) == {"f": 1}


@pytest.mark.parametrize(
    ("meaning", "content", "expected"),
    [
        (0, {"string_value": b"a"}, "a"),
        (15, {"string_value": b"a"}, "a"),
        (14, {"string_value": b"\xff"}, b"\xff"),
        (16, {"string_value": b"\xff"}, b"\xff"),
        (24, {}, []),
        (0, {}, None),
    ],
)
def test_meaning_distinguishes_types(
    meaning: int, content: Mapping[str, Any], expected: object
) -> None:
    assert read(stored(meaning=meaning, **content)) == {"f": expected}


def test_geo_point_may_have_no_meaning() -> None:
    document = to_document(entity(stored(pointvalue={"x": 1.5, "y": -2.5})))
    assert document.fields["f"] == Value(geo_point_value={"latitude": 1.5, "longitude": -2.5})


def deep(levels: int) -> bytes:
    nested = EntityProto()
    for _ in range(levels):
        inner = stored("m", 19, string_value=nested.SerializePartialToString())
        nested = EntityProto(raw_property=[inner])
    return nested.SerializePartialToString()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"\xff", "not an entity"),
        (lambda: entity(name_space="n"), "Firestore has no namespaces, such as n"),
        (lambda: entity(path={}), "lacks a document id"),
        (lambda: entity(path={"element": [{"type": "c", "name": "a/b"}]}), 'contains "/"'),
        (lambda: entity(path={"element": [{"type": "c", "name": ".."}]}), r'"\.\."'),
        (lambda: entity(app=""), "projects//databases"),
        (
            lambda: entity(stored(int64_value=1), stored(int64_value=2)),
            "The field f is there twice",
        ),
        (
            lambda: entity(stored(int64_value=1, multiple=True), stored(int64_value=2)),
            "The field f is there twice",
        ),
        (
            lambda: entity(stored(int64_value=1, string_value=b"")),
            "The field f has the type int64_value and string_value with the meaning 0",
        ),
        (
            lambda: entity(stored(uservalue={"email": "e"})),
            "The field f has the type uservalue with the meaning 0",
        ),
        (
            lambda: entity(stored(meaning=99, string_value=b"")),
            "The field f has the type string_value with the meaning 99",
        ),
        (
            lambda: entity(stored(meaning=31, double_value=1, multiple=True), stored("g", 31)),
            "The field g has the type null with the meaning 31",
        ),
        (
            lambda: entity(
                stored(meaning=31, double_value=1, multiple=True),
                stored(int64_value=1, multiple=True),
            ),
            "The vector f has elements that are no doubles",
        ),
        (lambda: entity(stored(string_value=b"\xff")), "not an entity"),
        (lambda: entity(stored(meaning=19, string_value=b"\xff")), "not an entity"),
        (
            lambda: entity(stored(meaning=19, string_value=deep(MAX_DEPTH))),
            "nested deeper than 20 levels",
        ),
        (
            lambda: entity(stored(meaning=19, string_value=deep(2_000))),
            "nested deeper than 20 levels",
        ),
    ],
)
def test_entity_that_firestore_does_not_have_is_rejected(
    make: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        to_document(make())


@pytest.mark.parametrize("microseconds", [-(2**63), 2**63 - 1, -62_135_596_800_000_001])
def test_time_outside_the_years_1_to_9999_is_rejected(microseconds: int) -> None:
    with pytest.raises(InvalidArgumentError, match="outside the years"):
        normalize_fields(to_document(entity(stored(meaning=7, int64_value=microseconds))).fields)


@given(st.data())
def test_damaged_entity_is_rejected_or_another_document(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(documents(DATABASE)))
    content = bytearray(to_entity(document))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    try:
        found = to_document(bytes(content[:end]))
        normalize_fields(found.fields)
    except InvalidArgumentError:
        return
    assert found.name
