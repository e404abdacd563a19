"""find_nearest. The expected results are those of the official emulator."""

import math
from typing import Any

import pytest
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    composite,
    database,
    field_filter,
    orders,
    plain,
    put,
    value,
    vector,
)

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Cursor, Document, StructuredQuery, Value
from firestore_emulator.model.names import Parent
from firestore_emulator.query.query import Query

INFINITY = math.inf
EUCLIDEAN, COSINE, DOT_PRODUCT = 1, 2, 3

vectors = database(
    put("c/a", v=vector(1, 0), n=1, m={"v": vector(0, 1)}),
    put("c/b", v=vector(0, 1), n=2),
    put("c/c", v=vector(3, 4), n=1),
    put("c/h", v=vector(1, 0)),
    put("c/z", v=vector(0, 0)),
    put("c/three", v=vector(1, 0, 0)),
    put("c/null", v=None),
    put("c/array", v=[1.0, 0.0]),
    put("c/map", v={"value": [1.0, 0.0]}),
    put("c/absent", n=1),
    put("c/a/c/x", v=vector(1, 5)),
)


def nearest(
    *where: StructuredQuery.Filter,
    to: Value | None = None,
    field: str = "v",
    measure: int = EUCLIDEAN,
    limit: int = 10,
    threshold: float | None = None,
    result: str = "",
    group: bool = False,
    **others: Any,
) -> StructuredQuery:
    return StructuredQuery(
        from_=[{"collection_id": "c", "all_descendants": group}],
        where=composite("AND", *where) if where else None,
        find_nearest={
            "vector_field": {"field_path": field},
            "query_vector": to or vector(1, 0),
            "distance_measure": measure,
            "limit": {"value": limit},
            "distance_result_field": result,
            "distance_threshold": None if threshold is None else {"value": threshold},
        },
        **others,
    )


def run(structured: StructuredQuery) -> list[Document]:
    return Query.compile(structured).run(vectors, Parent(DATABASE, ""))


def ids(structured: StructuredQuery) -> str:
    return " ".join(found.name.rpartition("/")[2] for found in run(structured))


def distances(structured: StructuredQuery) -> dict[str, float]:
    found = run(structured)
    return {each.name.rpartition("/")[2]: each.fields["d"].double_value for each in found}


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (EUCLIDEAN, {"a": 0.0, "h": 0.0, "z": 1.0, "b": math.sqrt(2), "c": math.sqrt(20)}),
        (COSINE, {"a": 0.0, "h": 0.0, "c": 0.4, "b": 1.0, "z": pytest.approx(NAN, nan_ok=True)}),
        (DOT_PRODUCT, {"c": 3.0, "a": 1.0, "h": 1.0, "b": 0.0, "z": 0.0}),
    ],
)
def test_closest_documents_come_first_then_names(measure: int, expected: dict[str, float]) -> None:
    found = distances(nearest(measure=measure, result="d"))
    assert list(found) == list(expected)
    assert found == expected


@pytest.mark.parametrize(
    ("structured", "expected"),
    [
        (nearest(limit=2), "a h"),
        (nearest(limit=1000), "a h z b c"),
        (nearest(threshold=1), "a h z"),
        (nearest(threshold=-1), ""),
        (nearest(threshold=0.5, measure=COSINE), "a h c"),
        (nearest(threshold=1, measure=DOT_PRODUCT), "c a h"),
        (nearest(field="m.v", to=vector(0, 1)), "a"),
        (nearest(field="absent"), ""),
        (nearest(to=vector(1, 0, 0)), "three"),
        (nearest(to=vector(*[1] * 2048)), ""),
        (nearest(field_filter("n", "EQUAL", 1)), "a c"),
        (nearest(field_filter("n", "GREATER_THAN", 0)), "a b c"),
        (nearest(order_by=orders("-n")), "a b c"),
        (nearest(group=True), "a h z b c x"),
    ],
)
def test_results_satisfy_every_clause(structured: StructuredQuery, expected: str) -> None:
    assert ids(structured) == expected


def test_nan_is_the_greatest_distance() -> None:
    db = database(
        put("c/a", v=vector(1, 0)), put("c/b", v=vector(INFINITY, 0)), put("c/c", v=vector(0, 1))
    )

    def order(measure: int, threshold: float | None = None) -> str:
        structured = nearest(to=vector(INFINITY, 0), measure=measure, threshold=threshold)
        found = Query.compile(structured).run(db, Parent(DATABASE, ""))
        return "".join(each.name[-1] for each in found)

    assert order(EUCLIDEAN) == "acb"  # b is at infinity - infinity
    assert order(DOT_PRODUCT) == "cab"  # c is at 0 * infinity
    assert order(EUCLIDEAN, threshold=5) == ""
    assert order(DOT_PRODUCT, threshold=5) == "cab"


@pytest.mark.parametrize(
    ("result", "select", "expected"),
    [
        ("d", [], {"v", "n", "m", "d"}),
        ("d", ["n"], {"n"}),
        ("d", ["n", "d"], {"n", "d"}),
        ("x.y", ["`x.y`"], {"x.y"}),
        ("n", ["n"], {"n"}),
        ("", ["d"], set()),
    ],
)
def test_distance_is_a_field_that_the_projection_can_select(
    result: str, select: list[str], expected: set[str]
) -> None:
    projection = {"fields": [{"field_path": path} for path in select]} if select else None
    found = run(nearest(limit=1, result=result, select=projection))[0]
    assert set(found.fields) == expected
    if result in found.fields:
        assert plain(found.fields[result]) == 0.0


def test_distance_changes_no_stored_document() -> None:
    before = [each.SerializeToString() for each in vectors.collection("c")]
    run(nearest(result="n"))
    assert [each.SerializeToString() for each in vectors.collection("c")] == before


@pytest.mark.parametrize(
    ("structured", "message"),
    [
        (nearest(limit=0), "positive integer of no more than 1000"),
        (nearest(limit=-1), "positive integer of no more than 1000"),
        (nearest(limit=1001), "positive integer of no more than 1000"),
        (nearest(measure=0), "Distance Measure"),
        (nearest(measure=9), "Distance Measure"),
        (nearest(to=vector()), "zero length"),
        (nearest(to=vector(*[1] * 2049)), "at most 2048"),
        (nearest(to=value([1.0, 0.0])), "of type vector"),
        (nearest(to=value(None)), "of type vector"),
        (nearest(to=value({"__type__": "__vector__", "value": [1]})), "type 'double'"),
        (nearest(field=""), "empty property path"),
        (nearest(result="__d__"), "reserved"),
        (nearest(result="d" * 1501), "longer than"),
        (nearest(threshold=NAN), "finite"),
        (nearest(threshold=INFINITY), "finite"),
        (nearest(offset=1), "query offset"),
        (nearest(order_by=orders("n"), start_at=Cursor(values=[value(1)])), "cursor"),
        (nearest(order_by=orders("n"), end_at=Cursor(values=[value(1)])), "cursor"),
        (StructuredQuery(find_nearest={}), "empty property path"),
    ],
)
def test_invalid_clause_is_rejected(structured: StructuredQuery, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Query.compile(structured)


def test_limit_of_the_query_is_rejected() -> None:
    structured = nearest()
    structured.limit.value = 0
    with pytest.raises(InvalidArgumentError, match="query limit"):
        Query.compile(structured)
