"""Query results. The expected results for VALUES are those of the official emulator."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    Plain,
    composite,
    database,
    document,
    field_filter,
    name,
    orders,
    plain,
    put,
    reference,
    unary_filter,
    value,
    vector,
)

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Cursor, Document, StructuredQuery, Value
from firestore_emulator.model.names import Parent
from firestore_emulator.query.query import Query

# In the order of their values. Each document has its id in the field s too.
VALUES: dict[str, Plain] = {
    "null": None,
    "false": False,
    "true": True,
    "nan": NAN,
    "-inf": float("-inf"),
    "0": 0,
    "0.0": 0.0,
    "5": 5,
    "5.0": 5.0,
    "6": 6,
    "time": datetime(2020, 1, 1, tzinfo=UTC),
    "text": "text",
    "bytes": b"bytes",
    "reference": reference("a/b"),
    "[null]": [None],
    "[1]": [1],
    "[1,2]": [1, 2],
    "vector": vector(1, 2),
    "map": {"a": 1},
}
NOT_NULL = list(VALUES)[1:]
NUMBERS = ["-inf", "0", "0.0", "5", "5.0", "6"]

values = database(*(put(f"v/{key}", v=VALUES[key], s=key) for key in VALUES), put("v/absent", s=""))


def query(
    where: StructuredQuery.Filter | None = None,
    order: Iterable[str] = (),
    collection: str = "v",
    **rest: object,
) -> StructuredQuery:
    return StructuredQuery(
        from_=[{"collection_id": collection}], where=where, order_by=orders(*order), **rest
    )


def run(structured: StructuredQuery, parent: str = f"{DATABASE}/documents") -> list[Document]:
    return Query.compile(structured).run(values, Parent.parse(parent))


def ids(structured: StructuredQuery) -> list[str]:
    return [found.name.rpartition("/")[2] for found in run(structured)]


def but(*excluded: str) -> list[str]:
    return [key for key in NOT_NULL if key not in excluded]


def test_order_by_sorts_values_of_all_types() -> None:
    assert ids(query(order=["v"])) == list(VALUES)


def test_descending_order_reverses_names_too() -> None:
    assert ids(query(order=["-v"])) == list(reversed(VALUES))


@pytest.mark.parametrize(
    ("operator", "operand", "expected"),
    [
        ("LESS_THAN", 5, ["-inf", "0", "0.0"]),
        ("LESS_THAN_OR_EQUAL", 5.0, ["-inf", "0", "0.0", "5", "5.0"]),
        ("GREATER_THAN", -0.0, ["5", "5.0", "6"]),
        ("GREATER_THAN_OR_EQUAL", 0, ["0", "0.0", "5", "5.0", "6"]),
        ("GREATER_THAN_OR_EQUAL", float("-inf"), NUMBERS),
        ("GREATER_THAN", "", ["text"]),
        ("LESS_THAN_OR_EQUAL", True, ["false", "true"]),
        ("GREATER_THAN", [1], ["[1,2]"]),
        ("LESS_THAN", [1], ["[null]"]),
        ("GREATER_THAN_OR_EQUAL", {}, ["map"]),
        ("LESS_THAN_OR_EQUAL", vector(1, 2), ["vector"]),
        ("LESS_THAN", NAN, []),
        ("GREATER_THAN_OR_EQUAL", NAN, []),
        ("GREATER_THAN_OR_EQUAL", None, []),
        ("EQUAL", 0, ["0", "0.0"]),
        ("EQUAL", [1.0], ["[1]"]),
        ("EQUAL", None, []),
        ("EQUAL", NAN, []),
        ("EQUAL", reference("a/b"), ["reference"]),
        ("NOT_EQUAL", 5, but("5", "5.0")),
        ("NOT_EQUAL", NAN, but()),
        ("NOT_EQUAL", None, []),
        ("IN", [5, "text"], ["5", "5.0", "text"]),
        ("IN", [None, NAN, 6], ["6"]),
        ("IN", [[1]], ["[1]"]),
        ("NOT_IN", [5, "text"], but("5", "5.0", "text")),
        ("NOT_IN", [NAN, 5], but("5", "5.0")),
        ("NOT_IN", [None, 5], []),
        ("ARRAY_CONTAINS", 1.0, ["[1]", "[1,2]"]),
        ("ARRAY_CONTAINS", None, []),
        ("ARRAY_CONTAINS_ANY", [2, 7], ["[1,2]"]),
    ],
)
def test_field_filter_finds_matching_documents(
    operator: str, operand: Plain, expected: list[str]
) -> None:
    assert ids(query(field_filter("v", operator, operand), order=["v"])) == expected


def test_only_timestamps_in_operand_lists_are_cut_to_microseconds() -> None:
    finer = Value(timestamp_value={"seconds": 1_577_836_800, "nanos": 999})
    assert ids(query(field_filter("v", "IN", [finer]))) == ["time"]
    assert ids(query(field_filter("v", "EQUAL", finer))) == []
    assert ids(query(field_filter("v", "LESS_THAN", finer))) == ["time"]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("IS_NULL", ["null"]),
        ("IS_NOT_NULL", but()),
        ("IS_NAN", ["nan"]),
        ("IS_NOT_NAN", but("nan")),
    ],
)
def test_unary_filter_finds_matching_documents(operator: str, expected: list[str]) -> None:
    assert ids(query(unary_filter("v", operator), order=["v"])) == expected


@pytest.mark.parametrize(
    ("operator", "operand", "expected"),
    [
        ("EQUAL", reference("v/5"), ["5"]),
        ("IN", [reference("v/5"), reference("w/6")], ["5"]),
        ("GREATER_THAN", reference("v/text"), ["time", "true", "vector"]),
        ("GREATER_THAN", reference("w/a"), []),
    ],
)
def test_filter_by_name_finds_documents(operator: str, operand: Plain, expected: list[str]) -> None:
    assert ids(query(field_filter("__name__", operator, operand))) == expected


def test_and_requires_all_filters() -> None:
    where = composite("AND", field_filter("v", "GREATER_THAN", 0), field_filter("v", "EQUAL", 6))
    assert ids(query(where)) == ["6"]


def test_or_requires_one_filter() -> None:
    where = composite("OR", field_filter("v", "EQUAL", 6), field_filter("s", "EQUAL", ""))
    assert ids(query(where)) == ["6", "absent"]


def test_or_with_an_inequality_excludes_documents_without_its_field() -> None:
    where = composite("OR", field_filter("v", "GREATER_THAN", 5), field_filter("s", "EQUAL", ""))
    assert ids(query(where)) == ["6"]


def test_inequality_orders_results_without_order_by() -> None:
    assert ids(query(field_filter("v", "NOT_EQUAL", "none"))) == but()


def test_inequality_fields_follow_the_orders_in_the_last_direction() -> None:
    compiled = Query.compile(
        query(
            composite(
                "AND",
                field_filter("b", "GREATER_THAN", 0),
                field_filter("a", "NOT_EQUAL", 0),
                field_filter("c", "LESS_THAN", 0),
                field_filter("__name__", "GREATER_THAN", reference("v/5")),
            ),
            order=["x", "-c"],
        )
    )
    assert compiled.orders == (
        (("x",), False),
        (("c",), True),
        (("a",), True),
        (("b",), True),
        (("__name__",), True),
    )


@pytest.mark.parametrize(
    ("operator", "operand"),
    [
        ("LESS_THAN", None),
        ("GREATER_THAN_OR_EQUAL", NAN),
        ("NOT_EQUAL", None),
        ("NOT_IN", [None, None]),
    ],
)
def test_unsatisfiable_comparison_is_not_an_inequality(operator: str, operand: Plain) -> None:
    nothing = field_filter("other", operator, operand)
    named = field_filter("__name__", "EQUAL", reference("v/5"))
    assert ids(query(nothing, order=["__name__"])) == []
    assert ids(query(composite("AND", nothing, named))) == []


def test_unsatisfiable_comparison_in_an_or_requires_no_field() -> None:
    nothing = field_filter("other", "NOT_EQUAL", None)
    assert ids(query(composite("OR", nothing, field_filter("v", "EQUAL", 6)))) == ["6"]


@pytest.mark.parametrize("operand", [[None, 1], [None, NAN], [NAN]])
def test_not_in_of_more_than_null_is_an_inequality(operand: Plain) -> None:
    with pytest.raises(InvalidArgumentError, match="after the key"):
        Query.compile(query(field_filter("v", "NOT_IN", operand), order=["__name__"]))


def test_documents_without_an_ordered_field_are_excluded() -> None:
    assert "absent" not in ids(query(order=["v"]))
    assert "absent" in ids(query(order=["s"]))


def test_mixed_directions_sort_each_field() -> None:
    db = database(*(put(f"m/{a}{b}", a=a, b=b) for a in (1, 2) for b in (1, 2)))
    compiled = Query.compile(query(order=["-a", "b"], collection="m"))
    found = compiled.run(db, Parent.parse(f"{DATABASE}/documents"))
    assert [each.name.rpartition("/")[2] for each in found] == ["21", "22", "11", "12"]


@pytest.mark.parametrize(
    ("order", "cursors", "expected"),
    [
        (["v"], {"start_at": Cursor(values=[value(5)], before=True)}, ["5", "5.0", "6"]),
        (["v"], {"start_at": Cursor(values=[value(5)])}, ["6"]),
        (["v"], {"end_at": Cursor(values=[value(5)], before=True)}, ["-inf", "0", "0.0"]),
        (["v"], {"end_at": Cursor(values=[value(0)])}, ["-inf", "0", "0.0"]),
        (["-v"], {"start_at": Cursor(values=[value(0)])}, ["-inf"]),
        (["-v"], {"end_at": Cursor(values=[value(5)])}, ["6", "5.0", "5"]),
        (
            ["v", "__name__"],
            {"start_at": Cursor(values=[value(5), reference("v/5")])},
            ["5.0", "6"],
        ),
        (
            ["v", "-__name__"],
            {"start_at": Cursor(values=[value(5), reference("v/5.0")], before=True)},
            ["5.0", "5", "6"],
        ),
        (
            ["v", "__name__"],  # fewer values than orders: all documents with these values
            {"start_at": Cursor(values=[value(5)]), "end_at": Cursor(values=[value(6)])},
            ["6"],
        ),
        (["v"], {"start_at": Cursor(before=True)}, NUMBERS),
        (["v"], {"start_at": Cursor()}, []),
        (["v"], {"end_at": Cursor()}, NUMBERS),
    ],
)
def test_cursors_bound_the_results(
    order: list[str], cursors: dict[str, Any], expected: list[str]
) -> None:
    numbers = field_filter("v", "GREATER_THAN_OR_EQUAL", float("-inf"))
    assert ids(query(numbers, order, **cursors)) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"limit": {"value": 2}}, ["null", "false"]),
        ({"offset": 1, "limit": {"value": 2}}, ["false", "true"]),
        ({"offset": 18}, ["map"]),
        ({"offset": 100}, []),
        ({"limit": {"value": 0}}, []),
    ],
)
def test_offset_and_limit_select_a_slice(part: dict[str, Any], expected: list[str]) -> None:
    assert ids(query(order=["v"], **part)) == expected


def test_projection_returns_only_its_fields() -> None:
    (found,) = run(query(field_filter("v", "EQUAL", 6), select={"fields": [{"field_path": "v"}]}))
    assert {key: plain(found.fields[key]) for key in found.fields} == {"v": 6}
    (found,) = run(
        query(field_filter("v", "EQUAL", 6), select={"fields": [{"field_path": "__name__"}]})
    )
    assert found.name == name("v/6")
    assert not found.fields


nest = database(put("c/1"), put("c/1/c/2"), put("c/1/d/3"), put("d/4/c/5"), put("d/6"))


@pytest.mark.parametrize(
    ("selector", "parent", "expected"),
    [
        ({"collection_id": "c"}, "", ["c/1"]),
        ({"collection_id": "c"}, "c/1", ["c/1/c/2"]),
        ({"collection_id": "c"}, "absent/x", []),
        ({"collection_id": "c", "all_descendants": True}, "", ["c/1", "c/1/c/2", "d/4/c/5"]),
        ({"collection_id": "c", "all_descendants": True}, "c/1", ["c/1/c/2"]),
        ({}, "", ["c/1", "d/6"]),
        ({}, "c/1", ["c/1/c/2", "c/1/d/3"]),
        ({"all_descendants": True}, "c/1", ["c/1/c/2", "c/1/d/3"]),
        ({"all_descendants": True}, "", ["c/1", "c/1/c/2", "c/1/d/3", "d/4/c/5", "d/6"]),
        (None, "", ["c/1", "d/6"]),
    ],
)
def test_selector_finds_its_collections(
    selector: dict[str, object] | None, parent: str, expected: list[str]
) -> None:
    structured = StructuredQuery(from_=[] if selector is None else [selector])
    above = name(parent) if parent else f"{DATABASE}/documents"
    found = Query.compile(structured).run(nest, Parent.parse(above))
    assert [each.name for each in found] == list(map(name, expected))


INTEGERS = st.integers(-3, 3)


@given(
    rows=st.lists(st.tuples(INTEGERS, INTEGERS), max_size=12),
    start=INTEGERS,
    descending=st.booleans(),
    before=st.booleans(),
    limit=st.integers(0, 4),
)
def test_page_is_a_slice_of_all_results(
    rows: list[tuple[int, int]], start: int, *, descending: bool, before: bool, limit: int
) -> None:
    db = database(*(put(f"r/{i}", a=a, b=b) for i, (a, b) in enumerate(rows)))
    order = ["-a" if descending else "a", "b"]
    root = Parent.parse(f"{DATABASE}/documents")
    whole = Query.compile(query(order=order, collection="r")).run(db, root)
    sign = -1 if descending else 1
    keys = [(sign * plain(each.fields["a"]), plain(each.fields["b"])) for each in whole]
    assert keys == sorted(keys)
    cursor = Cursor(values=[value(start)], before=before)
    page = Query.compile(
        query(order=order, collection="r", start_at=cursor, limit={"value": limit})
    ).run(db, root)
    beyond = [
        each
        for each, key in zip(whole, keys, strict=True)
        if key[0] > sign * start or (before and key[0] == sign * start)
    ]
    assert page == beyond[:limit]


@pytest.mark.parametrize(
    ("structured", "message"),
    [
        (query(field_filter("v", "IN", list(range(31)))), "up to 30"),
        (query(field_filter("v", "ARRAY_CONTAINS_ANY", list(range(31)))), "up to 30"),
        (query(field_filter("v", "NOT_IN", list(range(11)))), "up to 10"),
        (query(field_filter("v", "IN", [])), "non-empty"),
        (query(field_filter("v", "IN", 1)), "non-empty"),
        (query(field_filter("v", "EQUAL", Value())), "unset"),
        (query(field_filter("v", "OPERATOR_UNSPECIFIED", 1)), "operator"),
        (query(field_filter("v..w", "EQUAL", 1)), "property path"),
        (query(field_filter("__v__", "EQUAL", 1)), "reserved"),
        (query(unary_filter("v", "OPERATOR_UNSPECIFIED")), "operator"),
        (query(unary_filter("__name__", "IS_NULL")), "__name__"),
        (
            query(StructuredQuery.Filter(unary_filter={"field": {"field_path": "v"}, "op": 77})),
            "operator",
        ),
        (query(StructuredQuery.Filter()), "Unknown Filter"),
        (query(composite("OPERATOR_UNSPECIFIED")), "neither AND nor OR"),
        (query(composite("OR")), "empty"),
        (query(field_filter("__name__", "EQUAL", "5")), "reference"),
        (query(field_filter("__name__", "IN", [5])), "reference"),
        (query(field_filter("__name__", "EQUAL", reference("v"))), "document id"),
        (query(field_filter("__name__", "ARRAY_CONTAINS", reference("v/5"))), "ARRAY_CONTAINS"),
        (
            query(composite("AND", *[field_filter("v", "NOT_EQUAL", 1)] * 2)),
            "single 'NOT_EQUAL'",
        ),
        (
            query(composite("AND", field_filter("v", "NOT_IN", [1]), field_filter("w", "IN", [1]))),
            "'NOT_IN' cannot",
        ),
        (
            query(
                composite(
                    "AND",
                    field_filter("v", "NOT_IN", [1]),
                    composite("OR", *[field_filter("w", "EQUAL", 1)] * 2),
                )
            ),
            "'NOT_IN' cannot",
        ),
        (
            query(
                composite(
                    "AND",
                    field_filter("v", "ARRAY_CONTAINS", 1),
                    field_filter("w", "ARRAY_CONTAINS_ANY", [1]),
                )
            ),
            "per disjunction",
        ),
        (
            query(
                composite(
                    "AND",
                    field_filter("v", "IN", list(range(6))),
                    field_filter("w", "IN", list(range(6))),
                )
            ),
            "36",
        ),
        (query(composite("OR", *[field_filter("v", "IN", list(range(16)))] * 2)), "32"),
        (query(order=["v", "-v"]), "duplicate"),
        (query(order=["__name__", "v"]), "after the key"),
        (query(order=[""]), "empty property path"),
        (
            StructuredQuery(order_by=[{"field": {"field_path": "v"}, "direction": 7}]),
            "Unrecognized",
        ),
        (query(order=["v"], start_at=Cursor(values=[value(1)] * 2)), "too many values"),
        (query(end_at=Cursor(values=[reference("v/5")])), "too many values"),
        (query(order=["__name__"], start_at=Cursor(values=[value(1)])), "reference"),
        (query(limit={"value": -1}), "limit is negative"),
        (query(offset=-1), "offset is negative"),
        (query(select={"fields": [{"field_path": ""}]}), "empty property path"),
        (query(collection="a/b"), "contains"),
        (StructuredQuery(from_=[{}, {}]), "more than one collection selector"),
    ],
)
def test_invalid_query_is_rejected(structured: StructuredQuery, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Query.compile(structured)


def test_several_arrays_in_an_or_and_30_disjunctions_are_valid() -> None:
    where = composite(
        "OR",
        field_filter("v", "ARRAY_CONTAINS", 1),
        field_filter("v", "ARRAY_CONTAINS_ANY", list(range(29))),
    )
    assert ids(query(where)) == ["[1,2]", "[1]"]


def test_results_are_the_stored_document_objects() -> None:
    (found,) = run(query(field_filter("v", "EQUAL", 6)))
    assert found in values.collection("v")
    assert found.fields == document("v/6", v=6, s="6").fields
