"""Counts, sums and averages. The expected values are those of the official emulator."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    composite,
    database,
    field_filter,
    orders,
    plain,
    put,
    reference,
)

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import StructuredAggregationQuery, StructuredQuery
from firestore_emulator.model.names import Parent
from firestore_emulator.query.aggregation import Aggregation
from firestore_emulator.store.database import Database

ROOT = Parent.parse(f"{DATABASE}/documents")
COUNT: dict[str, Any] = {"count": {}}
MAX = 2**63 - 1

documents = database(
    put("c/a", x=1, y=5),
    put("c/b", x=2.5),
    put("c/c", y=7),
    put("c/d", x="text", y=1),
    put("c/e", x=None),
    put("c/f", x=[1]),
    put("c/m", d={"w": 3}),
)


def total(path: str) -> dict[str, Any]:
    return {"sum": {"field": {"field_path": path}}}


def average(path: str) -> dict[str, Any]:
    return {"avg": {"field": {"field_path": path}}}


def run(
    *aggregations: dict[str, Any], of: Database = documents, **query: object
) -> dict[str, object]:
    structured = StructuredQuery(from_=[{"collection_id": "c"}], **query)
    compiled = Aggregation.compile(
        StructuredAggregationQuery(structured_query=structured, aggregations=aggregations)
    )
    result = compiled.compute(compiled.query.run(of, ROOT))
    return {alias: plain(result.aggregate_fields[alias]) for alias in result.aggregate_fields}


def values(*numbers: object) -> Database:
    return database(*(put(f"c/{index}", x=number) for index, number in enumerate(numbers)))


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (COUNT, 7),
        ({"count": {"up_to": {"value": 2}}}, 2),
        ({"count": {"up_to": {"value": 9}}}, 7),
        ({"count": {"up_to": {"value": 0}}}, 0),
        (total("x"), 3.5),
        (total("y"), 13),
        (total("d.w"), 3),
        (total("absent"), 0),
        (average("x"), 1.75),
        (average("d.w"), 3.0),
        (average("absent"), None),
    ],
)
def test_aggregation_computes_the_expected_value(
    aggregation: dict[str, Any], expected: object
) -> None:
    (found,) = run(aggregation).values()
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("numbers", "summed", "averaged"),
    [
        ([MAX, 1], float(2**63), 2.0**62),
        ([MAX, 1, -MAX], 1, 1 / 3),
        ([-MAX, -2], float(-(2**63) - 1), -(2.0**62)),
        ([-MAX, -1], -(2**63), -(2.0**62)),
        ([1, 2.0], 3.0, 1.5),
        ([1e308, 1e308], math.inf, math.inf),
        ([math.inf, 1], math.inf, math.inf),
        ([-0.0, -0.0], 0.0, 0.0),
        ([True, "1", 4], 4, 4.0),
    ],
)
def test_sum_and_average_follow_the_services_arithmetic(
    numbers: list[Any], summed: float, averaged: float
) -> None:
    found = run(total("x"), average("x"), of=values(*numbers))
    assert found == {"field_1": summed, "field_2": averaged}
    assert type(found["field_1"]) is type(summed)


@pytest.mark.parametrize("numbers", [[NAN, 1], [math.inf, -math.inf]])
def test_sum_and_average_are_nan_when_undefined(numbers: list[float]) -> None:
    found = run(total("x"), average("x"), of=values(*numbers))
    assert [str(number) for number in found.values()] == ["nan", "nan"]


@given(st.lists(st.integers(-(2**63), MAX), min_size=1, max_size=8))
def test_sum_of_integers_is_exact(numbers: list[int]) -> None:
    exact = sum(numbers)
    fits = -(2**63) <= exact <= MAX
    found = run(total("x"), average("x"), of=values(*numbers))
    assert found == {
        "field_1": exact if fits else float(exact),
        "field_2": exact / len(numbers),
    }


def test_count_skips_documents_without_a_summed_field() -> None:
    assert run(COUNT, total("x")) == {"field_1": 5, "field_2": 3.5}
    assert run(COUNT, total("x"), average("y")) == {"field_1": 2, "field_2": 1, "field_3": 3.0}


def test_summed_field_orders_the_results_of_a_limit() -> None:
    assert run(COUNT, total("x"), limit={"value": 2}) == {"field_1": 2, "field_2": 1}
    assert run(total("x"), limit={"value": 2}, offset=1) == {"field_1": 3.5}
    assert run(total("x"), limit={"value": 1}, order_by=orders("-y")) == {"field_1": 1}


def test_inequality_fields_order_before_summed_fields() -> None:
    where = field_filter("y", "GREATER_THAN", 0)
    assert run(COUNT, total("x"), where=where, limit={"value": 1}) == {"field_1": 1, "field_2": 0}


def test_aggregation_applies_filters() -> None:
    where = composite("AND", field_filter("x", "EQUAL", 1), field_filter("y", "EQUAL", 5))
    assert run(COUNT, where=where) == {"field_1": 1}
    assert run(COUNT, where=field_filter("x", "EQUAL", 9)) == {"field_1": 0}


def test_aliases_default_to_numbered_fields() -> None:
    named = [{"alias": alias, **COUNT} for alias in ("total", "", "a b.c", "")]
    assert sorted(run(*named)) == ["a b.c", "field_1", "field_2", "total"]


@pytest.mark.parametrize(
    ("aggregations", "message"),
    [
        ([], "Aggregations can not be empty"),
        ([COUNT] * 6, "is 5. Received: 6"),
        ([{"alias": "a", **COUNT}] * 2, "duplicate alias: a"),
        ([{"alias": "field_1", **COUNT}, COUNT], "duplicate alias: field_1"),
        ([{"alias": "__a__", **COUNT}], "reserved"),
        ([{"alias": "é" * 751, **COUNT}], "longer than 1500 bytes"),
        ([{"alias": "a"}], "Operator field in Aggregation is not set"),
        ([{"count": {"up_to": {"value": -1}}}], "greater than or equal to zero"),
        ([total("")], "empty property path"),
        ([average("a..b")], "property path"),
        ([total("__name__")], "not supported for the property"),
    ],
)
def test_invalid_aggregation_is_rejected(aggregations: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        run(*aggregations)


def test_summed_field_may_have_an_inequality_when_ordered_by_name() -> None:
    first = field_filter("__name__", "GREATER_THAN_OR_EQUAL", reference("c/a"))
    with pytest.raises(InvalidArgumentError, match=r"fields \[x\] after __name__"):
        run(total("x"), where=first)
    above = field_filter("x", "GREATER_THAN", 1)
    assert run(total("x"), where=composite("AND", first, above)) == {"field_1": 2.5}


def test_aggregation_of_an_invalid_query_is_rejected() -> None:
    with pytest.raises(InvalidArgumentError, match=r"fields \[x\] after __name__"):
        run(total("x"), order_by=orders("__name__"))
    assert run(total("x"), order_by=orders("x", "__name__")) == {"field_1": 3.5}
    with pytest.raises(InvalidArgumentError, match="property x is not present in the base query"):
        run(total("x"), select={"fields": [{"field_path": "y"}]})
    assert run(total("y"), select={"fields": [{"field_path": "y"}]}) == {"field_1": 13}
