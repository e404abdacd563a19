from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument
from google.cloud.firestore import (
    And,
    Client,
    CollectionReference,
    FieldFilter,
    Or,
    Query,
)
from google.cloud.firestore_v1.base_query import BaseFilter, BaseQuery
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.query_profile import ExplainOptions
from google.cloud.firestore_v1.vector import Vector

STOCK: dict[str, dict[str, Any]] = {
    "p1": {"price": 10, "kind": "a", "tags": ["x", "y"], "dims": {"w": 1}},
    "p2": {"price": 20.5, "kind": "b", "tags": ["y"], "dims": {"w": 2}},
    "p3": {"price": 20, "kind": "a", "tags": [], "note": None},
    "p4": {"price": 40, "kind": "c", "note": "n"},
    "p5": {"price": float("nan"), "kind": "b"},
    "p6": {"price": "unknown", "kind": "c", "note": None},
    "p7": {"kind": "a"},
}


@pytest.fixture
def stock(client: Client) -> CollectionReference:
    batch = client.batch()
    for name, content in STOCK.items():
        batch.set(client.document(f"stock/{name}"), content)
    batch.commit()
    return client.collection("stock")


def ids(query: BaseQuery) -> list[str]:
    return [found.id for found in query.stream()]


@pytest.mark.parametrize(
    ("field", "operator", "operand", "expected"),
    [
        ("price", "==", 20, ["p3"]),
        ("price", "==", 20.5, ["p2"]),
        ("price", "==", 10.0, ["p1"]),
        ("price", "<", 20, ["p1"]),
        ("price", "<=", 20, ["p1", "p3"]),
        ("price", ">", 20, ["p2", "p4"]),
        ("price", ">=", 20, ["p3", "p2", "p4"]),
        ("price", ">", "a", ["p6"]),
        ("price", "!=", 20, ["p5", "p1", "p2", "p4", "p6"]),
        ("price", "in", [10, 40, "unknown"], ["p1", "p4", "p6"]),
        ("price", "not-in", [10, 40], ["p5", "p3", "p2", "p6"]),
        ("tags", "array_contains", "y", ["p1", "p2"]),
        ("tags", "array_contains_any", ["x", "z"], ["p1"]),
        ("dims.w", ">=", 2, ["p2"]),
        ("dims", "==", {"w": 1}, ["p1"]),
        ("note", "==", None, ["p3", "p6"]),
        ("note", "!=", None, ["p4"]),
        ("price", "==", float("nan"), ["p5"]),
        ("price", "!=", float("nan"), ["p1", "p3", "p2", "p4", "p6"]),
        ("absent", "==", 1, []),
    ],
)
def test_operator_finds_matching_documents(
    stock: CollectionReference, field: str, operator: str, operand: object, expected: list[str]
) -> None:
    assert ids(stock.where(filter=FieldFilter(field, operator, operand))) == expected


def test_filter_by_name_finds_documents(stock: CollectionReference) -> None:
    assert ids(stock.where(filter=FieldFilter("__name__", ">", stock.document("p5")))) == [
        "p6",
        "p7",
    ]
    assert ids(stock.where(filter=FieldFilter("__name__", "in", [stock.document("p2")]))) == ["p2"]


def test_and_and_or_combine_filters(stock: CollectionReference) -> None:
    a, b = FieldFilter("kind", "==", "a"), FieldFilter("kind", "==", "b")
    cheap = FieldFilter("price", "<", 20.5)
    assert ids(stock.where(filter=And([a, cheap]))) == ["p1", "p3"]
    assert ids(stock.where(filter=Or([a, b]))) == ["p1", "p2", "p3", "p5", "p7"]
    assert ids(stock.where(filter=And([Or([a, b]), cheap]))) == ["p1", "p3"]


def test_order_by_sorts_results(stock: CollectionReference) -> None:
    assert ids(stock.order_by("price")) == ["p5", "p1", "p3", "p2", "p4", "p6"]
    assert ids(stock.order_by("kind").order_by("price", direction=Query.DESCENDING)) == [
        "p3",
        "p1",
        "p2",
        "p5",
        "p6",
        "p4",
    ]
    assert ids(stock.order_by("kind", direction=Query.DESCENDING)) == [
        *("p6", "p4"),
        *("p5", "p2"),
        *("p7", "p3", "p1"),
    ]
    assert ids(stock) == list(STOCK)


def test_cursors_bound_the_results(stock: CollectionReference) -> None:
    by_price = stock.order_by("price")
    assert ids(by_price.start_at({"price": 20})) == ["p3", "p2", "p4", "p6"]
    assert ids(by_price.start_after({"price": 20})) == ["p2", "p4", "p6"]
    assert ids(by_price.end_before({"price": 20})) == ["p5", "p1"]
    assert ids(by_price.end_at({"price": 20})) == ["p5", "p1", "p3"]
    assert ids(stock.order_by("kind").start_after(stock.document("p3").get())) == [
        *("p7", "p2"),
        *("p5", "p4", "p6"),
    ]
    assert ids(stock.order_by("kind").order_by("price").start_at({"kind": "b"})) == [
        *("p5", "p2"),
        *("p4", "p6"),
    ]
    assert ids(stock.order_by("__name__").start_after({"__name__": "p5"})) == ["p6", "p7"]


def test_pages_by_cursor_contain_each_document_once(stock: CollectionReference) -> None:
    query = stock.order_by("kind", direction=Query.DESCENDING).limit(2)
    found, page = [], list(query.stream())
    while page:
        found += [each.id for each in page]
        page = list(query.start_after(page[-1]).stream())
    assert found == ["p6", "p4", "p5", "p2", "p7", "p3", "p1"]


def test_limit_and_offset_select_a_slice(stock: CollectionReference) -> None:
    assert ids(stock.order_by("price").offset(1).limit(2)) == ["p1", "p3"]
    assert [each.id for each in stock.order_by("price").limit_to_last(2).get()] == ["p4", "p6"]
    assert ids(stock.order_by("price").offset(99)) == []


def test_projection_returns_only_its_fields(stock: CollectionReference) -> None:
    query = stock.where(filter=FieldFilter("price", "==", 10))
    (found,) = query.select(["kind", "dims.w", "absent"]).stream()
    assert found.to_dict() == {"kind": "a", "dims": {"w": 1}}
    (found,) = query.select([]).stream()
    assert found.to_dict() == {}
    assert found.id == "p1"


def test_collection_group_finds_documents_under_every_parent(client: Client) -> None:
    for path in ("items/1", "orders/o1/items/2", "orders/o2/items/3", "orders/items/others/4"):
        client.document(path).set({"n": int(path[-1])})
    group = client.collection_group("items")
    assert [found.reference.path for found in group.order_by("n").stream()] == [
        "items/1",
        "orders/o1/items/2",
        "orders/o2/items/3",
    ]
    assert ids(group.where(filter=FieldFilter("n", ">", 1)).limit(1)) == ["2"]
    assert ids(client.collection("orders/o1/items")) == ["2"]


def test_query_finds_the_write_before_it(stock: CollectionReference) -> None:
    kind_a = stock.where(filter=FieldFilter("kind", "==", "a"))
    stock.document("p1").update({"kind": "z"})
    assert ids(kind_a) == ["p3", "p7"]
    stock.document("p7").delete()
    stock.document("p0").set({"kind": "a"})
    assert ids(kind_a) == ["p0", "p3"]


@pytest.mark.parametrize(
    "filtering",
    [
        FieldFilter("price", "in", list(range(31))),
        FieldFilter("price", "not-in", list(range(11))),
        FieldFilter("price", "in", []),
        And([FieldFilter("price", "!=", 1), FieldFilter("kind", "!=", "a")]),
        And([FieldFilter("tags", "array_contains", tag) for tag in ("x", "y")]),
    ],
)
def test_invalid_query_is_rejected(stock: CollectionReference, filtering: BaseFilter) -> None:
    with pytest.raises(InvalidArgument):
        ids(stock.where(filter=filtering))


COFFEES = {
    "kahawa": {"taste": Vector([1.0, 2.0, 3.0]), "roast": "dark"},
    "sleepy": {"taste": Vector([2.0, 2.0, 3.0]), "roast": "dark"},
    "owl": {"taste": Vector([3.0, 4.0, 5.0]), "roast": "light"},
    "unknown": {"roast": "light"},
}


@pytest.fixture
def coffees(client: Client) -> CollectionReference:
    batch = client.batch()
    for name, content in COFFEES.items():
        batch.set(client.document(f"coffees/{name}"), content)
    batch.commit()
    return client.collection("coffees")


@pytest.mark.parametrize(
    ("measure", "threshold", "expected"),
    [
        (DistanceMeasure.EUCLIDEAN, None, {"kahawa": 0.0, "sleepy": 1.0, "owl": 12**0.5}),
        (DistanceMeasure.EUCLIDEAN, 1.0, {"kahawa": 0.0, "sleepy": 1.0}),
        (DistanceMeasure.COSINE, 0.02, {"kahawa": 0.0, "owl": 0.017292370176009153}),
        (DistanceMeasure.DOT_PRODUCT, None, {"owl": 26.0, "sleepy": 15.0, "kahawa": 14.0}),
        (DistanceMeasure.DOT_PRODUCT, 15.0, {"owl": 26.0, "sleepy": 15.0}),
    ],
)
def test_find_nearest_returns_the_closest_documents_with_their_distance(
    coffees: CollectionReference,
    measure: DistanceMeasure,
    threshold: float | None,
    expected: dict[str, float],
) -> None:
    found = coffees.find_nearest(
        "taste",
        Vector([1.0, 2.0, 3.0]),
        limit=3,
        distance_measure=measure,
        distance_result_field="distance",
        distance_threshold=threshold,
    ).get()
    assert {each.id: each.get("distance") for each in found} == expected
    assert [each.id for each in found] == list(expected)
    assert found[0].get("taste") == COFFEES[found[0].id]["taste"]


def test_find_nearest_combines_with_filters_and_projection(coffees: CollectionReference) -> None:
    light: Any = coffees.where(filter=FieldFilter("roast", "==", "light")).select(["roast"])
    found = light.find_nearest(
        "taste", Vector([1.0, 2.0, 3.0]), limit=5, distance_measure=DistanceMeasure.EUCLIDEAN
    ).get()
    assert [(each.id, each.to_dict()) for each in found] == [("owl", {"roast": "light"})]


@pytest.mark.parametrize("limit", [0, 1001])
def test_find_nearest_with_an_invalid_limit_is_rejected(
    coffees: CollectionReference, limit: int
) -> None:
    query = coffees.find_nearest(
        "taste", Vector([1.0]), limit=limit, distance_measure=DistanceMeasure.EUCLIDEAN
    )
    with pytest.raises(InvalidArgument, match="no more than 1000"):
        query.get()


def test_explained_query_returns_metrics_to_the_client(
    stock: CollectionReference, which: str
) -> None:
    if which == "official":
        pytest.skip("the official emulator ignores explain_options")
    query = stock.where(filter=FieldFilter("kind", "==", "a"))
    planned = query.get(explain_options=ExplainOptions(analyze=False))
    assert list(planned) == []
    assert planned.get_explain_metrics().plan_summary.indexes_used == [
        {"query_scope": "Collection", "properties": "(kind ASC, __name__ ASC)"}
    ]
    analyzed = query.get(explain_options=ExplainOptions(analyze=True))
    assert [found.id for found in analyzed] == ["p1", "p3", "p7"]
    stats = analyzed.get_explain_metrics().execution_stats
    assert (stats.results_returned, stats.read_operations) == (3, 3)
    count: Any = query.count()
    counted = count.get(explain_options=ExplainOptions(analyze=True))
    assert counted[0][0].value == 3
    assert counted.get_explain_metrics().execution_stats.read_operations == 1
