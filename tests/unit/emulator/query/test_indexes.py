"""The indexes that a query needs by Firestore's documentation, and the ones that serve it."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore_admin_v1 import types as admin
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    composite,
    field_filter,
    orders,
    reference,
    resolve,
    unary_filter,
    vector,
)

from firestore_emulator.indexes import file_format
from firestore_emulator.indexes.checks import collect_indexes, require_indexes
from firestore_emulator.indexes.file_format import MalformedError
from firestore_emulator.indexes.index import Index, Mode, Scope, VectorIndex
from firestore_emulator.indexes.index_file import IndexFile, IndexFileError
from firestore_emulator.indexes.requirements import Indexes, requirements_of
from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import FailedPreconditionError, StorageError
from firestore_emulator.model.messages import (
    PartitionQueryRequest,
    RunAggregationQueryRequest,
    RunQueryRequest,
    StructuredQuery,
)
from firestore_emulator.model.names import is_reserved
from firestore_emulator.query.query import Query
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

AUTOMATIC = Indexes([], {})
ROOT = f"{DATABASE}/documents"

a_is_1 = field_filter("a", "EQUAL", 1)
b_is_1 = field_filter("b", "EQUAL", 1)
a_above_1 = field_filter("a", "GREATER_THAN", 1)
b_above_1 = field_filter("b", "GREATER_THAN", 1)
t_has_1 = field_filter("t", "ARRAY_CONTAINS", 1)


def query(*where: StructuredQuery.Filter, order: str = "", group: bool = False) -> StructuredQuery:
    return StructuredQuery(
        from_=[{"collection_id": "c", "all_descendants": group}],
        where=composite("AND", *where) if where else None,
        order_by=orders(*order.split()),
    )


def missing(structured: StructuredQuery, present: Indexes = AUTOMATIC) -> list[str]:
    """The missing indexes of a query, each as its fields with their directions."""
    compiled = Query.compile(structured)
    return [
        written(requirement.index)
        for requirement in requirements_of(compiled)
        if not present.serve(requirement)
    ]


def written(index: Index | VectorIndex) -> str:
    assert isinstance(index, Index)
    marks = {Mode.ASCENDING: "", Mode.DESCENDING: "-", Mode.CONTAINS: "?"}
    fields = " ".join(
        marks[field.mode] + field_paths.to_text(field.path) for field in index.definition
    )
    return fields if index.scope is Scope.COLLECTION else f"group: {fields}"


def indexes_of(*definitions: str, **overrides: list[dict[str, str]]) -> Indexes:
    """Composite indexes of the collection c, as `written` formats them, and field overrides."""
    return file_format.parse(
        {
            "indexes": [_definition(text) for text in definitions],
            "fieldOverrides": [
                {"collectionGroup": "c", "fieldPath": path, "indexes": overrides[path]}
                for path in overrides
            ],
        }
    )


def _definition(text: str) -> dict[str, Any]:
    fields = text.removeprefix("group: ")
    return {
        "collectionGroup": "c",
        "queryScope": "COLLECTION" if text == fields else "COLLECTION_GROUP",
        "fields": [_field(each) for each in fields.split()],
    }


def _field(text: str) -> dict[str, str]:
    match text[0]:
        case "?":
            return {"fieldPath": text[1:], "arrayConfig": "CONTAINS"}
        case "-":
            return {"fieldPath": text[1:], "order": "DESCENDING"}
        case _:
            return {"fieldPath": text, "order": "ASCENDING"}


@pytest.mark.parametrize(
    "structured",
    [
        query(),
        query(order="__name__"),
        query(order="a"),
        query(order="-a"),
        query(order="-a -__name__"),
        query(a_is_1),
        query(a_is_1, order="__name__"),
        query(a_is_1, order="-__name__"),
        query(a_is_1, order="a"),
        query(a_is_1, b_is_1),
        query(a_is_1, b_is_1, order="-a"),
        query(a_is_1, t_has_1),
        query(a_above_1),
        query(a_above_1, order="-a"),
        query(a_is_1, a_above_1),
        query(t_has_1),
        query(field_filter("t", "ARRAY_CONTAINS_ANY", [1, 2]), order="__name__"),
        query(field_filter("a", "IN", [1, 2]), b_is_1),
        query(field_filter("a", "NOT_IN", [1, 2])),
        query(field_filter("a", "NOT_EQUAL", 1)),
        query(unary_filter("a", "IS_NULL"), unary_filter("b", "IS_NAN")),
        query(unary_filter("a", "IS_NOT_NULL")),
        query(a_is_1, field_filter("__name__", "GREATER_THAN", reference("c/d"))),
        query(field_filter("__name__", "EQUAL", reference("c/d")), a_is_1),
        query(composite("OR", a_is_1, b_is_1)),
        query(composite("OR", a_is_1, composite("AND", b_is_1, t_has_1))),
        query(composite("OR", a_is_1, field_filter("b", "NOT_EQUAL", None))),
        query(a_is_1, field_filter("b", "LESS_THAN", None), order="c"),
        query(field_filter("m.`x-y`", "EQUAL", 1), order="m.`x-y`"),
        query(group=True),
        query(order="__name__", group=True),
    ],
)
def test_query_needs_no_composite_index(structured: StructuredQuery) -> None:
    assert missing(structured) == []


@pytest.mark.parametrize(
    ("structured", "needed"),
    [
        (query(order="-__name__"), ["-__name__"]),
        (query(order="a b"), ["a b"]),
        (query(order="a -b"), ["a -b"]),
        (query(order="a -__name__"), ["a -__name__"]),
        (query(order="-a __name__"), ["-a __name__"]),
        (query(a_is_1, order="b"), ["a b"]),
        (query(a_is_1, order="-b"), ["a -b"]),
        (query(a_is_1, b_above_1), ["a b"]),
        (query(b_is_1, a_above_1, order="-a"), ["b -a"]),
        (query(a_above_1, b_above_1), ["a b"]),
        (query(a_above_1, b_above_1, order="-b"), ["-b -a"]),
        (query(a_above_1, order="b"), ["b a"]),
        (query(b_is_1, a_is_1, order="c"), ["a b c"]),
        (query(t_has_1, order="b"), ["?t b"]),
        (query(t_has_1, order="-__name__"), ["?t -__name__"]),
        (query(t_has_1, b_is_1, a_above_1), ["b ?t a"]),
        (query(field_filter("a", "IN", [1, 2]), order="-b"), ["a -b"]),
        (query(field_filter("a", "NOT_IN", [1, 2]), b_is_1), ["b a"]),
        (query(unary_filter("a", "IS_NULL"), order="b"), ["a b"]),
        (query(composite("OR", a_is_1, b_above_1)), ["a b"]),
        (query(composite("OR", a_is_1, b_is_1), order="x"), ["a x", "b x"]),
        (query(composite("OR", a_is_1, t_has_1), b_above_1), ["a b", "?t b"]),
        (query(a_is_1, group=True), ["group: a"]),
        (query(a_above_1, order="-a", group=True), ["group: -a"]),
        (query(t_has_1, group=True), ["group: ?t"]),
        (query(a_is_1, b_is_1, group=True), ["group: a b"]),
        (query(order="-__name__", group=True), ["group: -__name__"]),
    ],
)
def test_query_needs_a_composite_index(structured: StructuredQuery, needed: list[str]) -> None:
    assert missing(structured) == needed


@pytest.mark.parametrize("needed", ["-__name__", "a b", "a -__name__", "group: a b", "b ?t a"])
def test_defined_index_serves_its_query(needed: str) -> None:
    structured = {
        "-__name__": query(order="-__name__"),
        "a b": query(a_is_1, order="b"),
        "a -__name__": query(order="a -__name__"),
        "group: a b": query(a_is_1, b_is_1, group=True),
        "b ?t a": query(t_has_1, b_is_1, a_above_1),
    }[needed]
    assert missing(structured) == [needed]
    assert missing(structured, indexes_of(needed)) == []


@pytest.mark.parametrize(
    ("definitions", "serve"),
    [
        (["b a x"], True),
        (["-a -b x"], True),
        (["a x", "b x"], True),
        (["a x", "a b x"], True),
        (["a b x __name__"], True),
        (["a x"], False),
        (["a b -x"], False),
        (["a b x -__name__"], False),
        (["a x b"], False),
        (["a b x y"], False),
        (["a b d x"], False),
        (["?a b x"], False),
        (["a -x", "b x"], False),
        (["group: a b x"], False),
    ],
)
def test_definitions_serve_two_equalities_and_an_order(definitions: list[str], serve: bool) -> None:  # noqa: FBT001
    present = indexes_of(*definitions)
    assert missing(query(a_is_1, b_is_1, order="x"), present) == ([] if serve else ["a b x"])


def test_query_over_every_collection_id_needs_no_index() -> None:
    start = field_filter("__name__", "GREATER_THAN_OR_EQUAL", reference("c/d"))
    assert missing(StructuredQuery(from_=[{"all_descendants": True}], where=start)) == []


GROUP_ASCENDING = {"queryScope": "COLLECTION_GROUP", "order": "ASCENDING"}
ASCENDING = {"queryScope": "COLLECTION", "order": "ASCENDING"}


def test_field_override_replaces_the_automatic_indexes() -> None:
    present = indexes_of(a=[GROUP_ASCENDING])
    assert missing(query(a_is_1, group=True), present) == []
    assert missing(query(a_is_1, order="a", group=True), present) == []
    assert missing(query(order="-a", group=True), present) == ["group: -a"]
    assert missing(query(a_is_1), present) == ["a"]
    assert missing(query(b_is_1), present) == []


def test_override_of_a_map_or_wildcard_covers_its_fields() -> None:
    settings: dict[str, Any] = {"*": [], "m": [ASCENDING], "m.x": []}
    present = indexes_of(**settings)
    in_map = {path: query(order=path) for path in ("a", "m", "m.y", "m.y.z", "m.x", "m.x.y")}
    assert {path for path in in_map if missing(in_map[path], present)} == {"a", "m.x", "m.x.y"}
    assert missing(query(order="-m"), present) == ["-m"]


field_names = st.text(min_size=1).filter(lambda name: not is_reserved(name))


@given(st.lists(field_names, min_size=1, max_size=3).map(tuple))
def test_field_path_survives_formatting_and_parsing(path: tuple[str, ...]) -> None:
    assert field_paths.parse.__wrapped__(field_paths.to_text(path)) == path


def run(structured: StructuredQuery, service: Service) -> None:
    resolve(service.run_query(RunQueryRequest(parent=ROOT, structured_query=structured)))


def rejection(structured: StructuredQuery, present: Indexes = AUTOMATIC) -> str:
    service = Service(Databases(), check_indexes=require_indexes(present))
    with pytest.raises(FailedPreconditionError) as caught:
        run(structured, service)
    return str(caught.value)


def test_missing_index_error_has_a_console_link_and_a_definition() -> None:
    found = re.fullmatch(
        r"The query requires an index\. You can create it here: https://console\.firebase"
        r"\.google\.com/v1/r/project/p/firestore/indexes\?create_composite=(\S+)\n"
        r"In firestore\.indexes\.json: (.+)",
        rejection(query(a_is_1, order="-b")),
    )
    assert found is not None
    assert decoded(found[1]) == admin.Index(
        name=f"{DATABASE}/collectionGroups/c/indexes/_",
        query_scope="COLLECTION",
        fields=[
            {"field_path": "a", "order": "ASCENDING"},
            {"field_path": "b", "order": "DESCENDING"},
            {"field_path": "__name__", "order": "DESCENDING"},
        ],
    )
    assert json.loads(found[2]) == _definition("a -b")


def test_missing_single_field_index_error_links_to_the_field_settings() -> None:
    found = re.fullmatch(
        r"The query requires a COLLECTION_GROUP_CONTAINS index for collection c and field t\."
        r" You can create it here: .+\?create_exemption=(\S+)\nIn firestore\.indexes\.json: (.+)",
        rejection(query(t_has_1, group=True), indexes_of(t=[GROUP_ASCENDING])),
    )
    assert found is not None
    assert decoded(found[1]) == admin.Index(
        name=f"{DATABASE}/collectionGroups/c/fields/t",
        query_scope="COLLECTION_GROUP",
        fields=[{"field_path": "t", "array_config": "CONTAINS"}],
    )
    assert json.loads(found[2])["indexes"] == [
        GROUP_ASCENDING,
        {"queryScope": "COLLECTION_GROUP", "arrayConfig": "CONTAINS"},
    ]


def decoded(link: str) -> admin.Index:
    found: admin.Index = admin.Index.deserialize(base64.urlsafe_b64decode(f"{link}==="))
    return found


def nearest(
    *where: StructuredQuery.Filter, order: str = "", group: bool = False, dimension: int = 2
) -> StructuredQuery:
    structured = query(*where, order=order, group=group)
    structured.find_nearest.MergeFrom(
        StructuredQuery.FindNearest(
            vector_field={"field_path": "v"},
            query_vector=vector(*[1] * dimension),
            distance_measure=StructuredQuery.FindNearest.COSINE,
            limit={"value": 1},
        )
    )
    return structured


def vector_index(*fields: dict[str, str], scope: str = "COLLECTION") -> dict[str, Any]:
    embedding = {"fieldPath": "v", "vectorConfig": {"dimension": 2, "flat": {}}}
    return {"collectionGroup": "c", "queryScope": scope, "fields": [*fields, embedding]}


@pytest.mark.parametrize(
    ("structured", "definition"),
    [
        (nearest(), vector_index()),
        (nearest(group=True), vector_index(scope="COLLECTION_GROUP")),
        (nearest(a_is_1), vector_index(_field("a"))),
        (nearest(a_is_1, t_has_1), vector_index(_field("a"), _field("?t"))),
        (nearest(b_is_1, a_above_1), vector_index(_field("a"), _field("b"))),
        (nearest(order="-a"), vector_index(_field("-a"))),
        (nearest(), vector_index(_field("__name__"))),
    ],
)
def test_vector_query_needs_an_index_with_its_fields_and_dimension(
    structured: StructuredQuery, definition: dict[str, Any]
) -> None:
    assert rejection(structured, indexes_of("a v", "a b v"))
    present = file_format.parse({"indexes": [definition]})
    run(structured, Service(Databases(), check_indexes=require_indexes(present)))
    structured.find_nearest.query_vector.CopyFrom(vector(1, 1, 1))
    assert '"dimension": 3' in rejection(structured, present)


def test_missing_vector_index_error_has_a_command_and_a_definition() -> None:
    command, _, entry = rejection(nearest(a_is_1, t_has_1)).partition("\n")
    assert command == (
        "Missing vector index configuration. Please create the required index with the following"
        " gcloud command: gcloud firestore indexes composite create --project=p"
        " --database=(default) --collection-group=c --query-scope=COLLECTION"
        " --field-config=order=ASCENDING,field-path=a"
        " --field-config=array-config=CONTAINS,field-path=t"
        """ --field-config=vector-config='{"dimension": "2", "flat": "{}"}',field-path=v"""
    )
    found = json.loads(entry.removeprefix("In firestore.indexes.json: "))
    assert found == vector_index(_field("a"), _field("?t"))


def test_collected_vector_index_serves_the_query(tmp_path: Path) -> None:
    path = tmp_path / "firestore.indexes.json"
    service = Service(Databases(), check_indexes=collect_indexes(IndexFile.read_or_create(path)))
    for _ in range(2):
        run(nearest(a_is_1, group=True), service)
    assert json.loads(path.read_text())["indexes"] == [
        vector_index(_field("a"), scope="COLLECTION_GROUP")
    ]
    strict = Service(Databases(), check_indexes=require_indexes(IndexFile.read(path).indexes))
    run(nearest(a_is_1, group=True), strict)


@pytest.mark.parametrize("dimension", [0, -1, True, "3", None])
def test_vector_index_without_a_valid_dimension_is_malformed(dimension: object) -> None:
    definition = vector_index()
    definition["fields"][0]["vectorConfig"]["dimension"] = dimension
    with pytest.raises(MalformedError, match="positive integer"):
        file_format.parse({"indexes": [definition]})


def test_aggregation_needs_an_index_with_its_summed_fields() -> None:
    service = Service(Databases(), check_indexes=require_indexes(indexes_of("a n")))

    def aggregate(field: str, where: StructuredQuery.Filter) -> None:
        aggregation = {
            "structured_query": query(where),
            "aggregations": [{"sum": {"field": {"field_path": field}}}, {"count": {}}],
        }
        resolve(
            service.run_aggregation_query(
                RunAggregationQueryRequest(parent=ROOT, structured_aggregation_query=aggregation)
            )
        )

    aggregate("n", a_is_1)
    aggregate("a", a_is_1)
    with pytest.raises(FailedPreconditionError, match=r'"b", "order": "ASCENDING"}, {"fieldPath'):
        aggregate("n", b_is_1)


def test_partition_query_needs_no_index() -> None:
    service = Service(Databases(), check_indexes=require_indexes(AUTOMATIC))
    group = query(order="__name__", group=True)
    request = PartitionQueryRequest(parent=ROOT, structured_query=group, partition_count=2)
    assert not resolve(service.partition_query(request)).partitions


def test_collected_indexes_are_written_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "firestore.indexes.json"
    service = Service(Databases(), check_indexes=collect_indexes(IndexFile.read_or_create(path)))
    asked = [
        query(a_is_1, order="-b"),
        query(a_is_1),
        query(a_is_1, group=True),
        query(order="-a", group=True),
        query(a_is_1, order="-b"),
    ]
    for each in asked:
        run(each, service)
    assert json.loads(path.read_text()) == {
        "indexes": [_definition("a -b")],
        "fieldOverrides": [
            {
                "collectionGroup": "c",
                "fieldPath": "a",
                "indexes": [
                    ASCENDING,
                    {"queryScope": "COLLECTION", "order": "DESCENDING"},
                    {"queryScope": "COLLECTION", "arrayConfig": "CONTAINS"},
                    GROUP_ASCENDING,
                    {"queryScope": "COLLECTION_GROUP", "order": "DESCENDING"},
                ],
            }
        ],
    }
    strict = Service(Databases(), check_indexes=require_indexes(IndexFile.read(path).indexes))
    for each in asked:
        run(each, strict)
    assert list(tmp_path.iterdir()) == [path]


def test_collecting_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "firestore.indexes.json"
    vectors = {
        "collectionGroup": "c",
        "queryScope": "COLLECTION",
        "fields": [{"fieldPath": "v", "vectorConfig": {"dimension": 2, "flat": {}}}],
    }
    kept: dict[str, Any] = {"collectionGroup": "c", "fieldPath": "x", "ttl": True, "indexes": []}
    content: dict[str, Any] = {"indexes": [vectors, _definition("a b")], "fieldOverrides": [kept]}
    path.write_text(f"// made by init\n{json.dumps(content)}")
    service = Service(Databases(), check_indexes=collect_indexes(IndexFile.read_or_create(path)))
    run(query(a_is_1, order="b"), service)
    assert path.read_text().startswith("// made by init")
    run(query(a_is_1, order="-b"), service)
    run(query(order="x"), service)
    content["indexes"].append(_definition("a -b"))
    kept["indexes"] = [ASCENDING]
    assert json.loads(path.read_text()) == content


def test_query_fails_when_the_file_cannot_be_written(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    file = IndexFile.read_or_create(directory / "firestore.indexes.json")
    (directory / "firestore.indexes.json").unlink()
    directory.rmdir()
    with pytest.raises(StorageError, match=r"Cannot write .+: No such file"):
        run(query(order="a b"), Service(Databases(), check_indexes=collect_indexes(file)))


def changed(**changes: object) -> dict[str, Any]:
    return {"indexes": [_definition("a b") | changes]}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "The file must be an object."),
        ({}, "The file has no indexes."),
        ({"indexes": {}}, "indexes must be an array."),
        (
            {"indexes": [], "fieldOverride": []},
            "has the unknown key fieldOverride; known keys: ind",
        ),
        ({"indexes": [7]}, "indexes[0] must be an object."),
        (changed(collectionGroup=""), "indexes[0].collectionGroup must be a non-empty string."),
        (changed(queryScope="GROUP"), "indexes[0].queryScope is 'GROUP'; it must be COLLECTION or"),
        (changed(fields=[]), "indexes[0] has fewer than two fields"),
        (changed(fields=[_field("a")]), "define single-field indexes in fieldOverrides"),
        (changed(fields=[_field("a"), {"fieldPath": "b"}]), "indexes[0].fields[1] has no order."),
        (
            changed(fields=[_field("a"), _field("b") | {"order": "UP"}]),
            "it must be ASCENDING or",
        ),
        (changed(fields=[_field("a"), _field("b") | {"order": ["x"]}]), "order is ['x']; it must"),
        (
            changed(fields=[_field("a"), _field("b-c")]),
            "indexes[0].fields[1].fieldPath is not a field",
        ),
        ({"indexes": [], "fieldOverrides": [{}]}, "fieldOverrides[0] has no fieldPath."),
        (
            {"indexes": [], "fieldOverrides": [{"fieldPath": "*", "collectionGroup": "c"}]},
            "fieldOverrides[0] has no indexes.",
        ),
    ],
)
def test_malformed_index_file_is_reported(content: Any, why: str) -> None:
    with pytest.raises(MalformedError, match=re.escape(why)):
        file_format.parse(content)


def test_index_file_that_is_not_json_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "indexes.json"
    path.write_text("{")
    with pytest.raises(IndexFileError, match=r"indexes\.json is not valid JSON: Expecting"):
        IndexFile.read(path)
