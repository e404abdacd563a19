"""Queries that read an index find the same documents as a full scan, and look at few."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import assume, given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    NAN,
    Plain,
    composite,
    database,
    delete,
    field_filter,
    orders,
    put,
    reference,
    unary_filter,
    value,
    vector,
)
from support.emulator.full_scan import full_scan

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Cursor, Document, StructuredQuery, Value, Write
from firestore_emulator.model.names import Parent
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.query.filters import Condition, FieldCondition
from firestore_emulator.query.query import Query
from firestore_emulator.store import database as database_module
from firestore_emulator.store.database import Database
from firestore_emulator.store.view import View

ROOT = Parent.parse(f"{DATABASE}/documents")
PATHS = [
    *(f"c/{each}" for each in ("a", "b", "d", "e", "__id7__", "__id10__")),
    *(f"c/a/c/{each}" for each in ("a", "z")),
    *(f"d/{above}/c/{each}" for above in ("a", "b") for each in ("a", "b")),
    "d/a",
]
SCALARS: list[Plain] = [
    *(None, False, True, NAN, float("-inf"), -0.0, 0, 1, 1.0, 2, "", "a", "b", b"a"),
    datetime(2020, 1, 1, tzinfo=UTC),
    reference("c/a"),
    Value(geo_point_value={"latitude": 1, "longitude": -1}),
]
ARRAYS: list[Plain] = [[], [None], [1], [1.0, 2], ["a", 1, 1]]
MAPS: list[Plain] = [{}, {"x": 1}, {"x": 1.0, "y": NAN}, vector(1, 2)]
VALUES = [*SCALARS, *ARRAYS, *MAPS]
FEW: list[Plain] = [None, NAN, 0, 1, 1.0, 2, "a", [1], [1, "a"]]  # so that filters find something
FIELDS = ["a", "b", "m.x"]
COMPARISONS = ["LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"]

values = st.sampled_from(FEW) | st.sampled_from(VALUES)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Plain]:
    content: dict[str, Plain] = {
        name: draw(values) for name in ("a", "b") if draw(st.integers(0, 4))
    }
    if draw(st.booleans()):
        content["m"] = {"x": draw(st.sampled_from(FEW))} if draw(st.booleans()) else draw(values)
    return content


@st.composite
def filters(draw: st.DrawFn) -> StructuredQuery.Filter:
    path = draw(st.sampled_from(FIELDS))
    kind = draw(st.integers(0, 7))
    if kind == 0:
        operator = draw(st.sampled_from(["IS_NULL", "IS_NAN", "IS_NOT_NULL", "IS_NOT_NAN"]))
        return unary_filter(path, operator)
    if kind == 1:
        operator = draw(st.sampled_from(["IN", "NOT_IN", "ARRAY_CONTAINS_ANY"]))
        return field_filter(path, operator, draw(st.lists(values, min_size=1, max_size=3)))
    if kind == 2:
        name = reference(draw(st.sampled_from(PATHS)))
        return field_filter("__name__", draw(st.sampled_from(["EQUAL", *COMPARISONS])), name)
    operators = st.sampled_from(["EQUAL", "EQUAL", "ARRAY_CONTAINS", "NOT_EQUAL", *COMPARISONS])
    return field_filter(path, draw(operators), draw(values))


@st.composite
def wheres(draw: st.DrawFn) -> StructuredQuery.Filter | None:
    found = draw(st.lists(filters(), max_size=3))
    if not found:
        return None
    if draw(st.integers(0, 5)):
        return composite("AND", *found)
    return composite("AND", composite("OR", *found), draw(filters()))


@st.composite
def cursors(draw: st.DrawFn, order: list[str]) -> Cursor | None:
    count = draw(st.integers(0, len(order)))
    if not count or draw(st.booleans()):
        return None
    found = [
        reference(draw(st.sampled_from(PATHS)))
        if path.endswith("__name__")
        else value(draw(st.sampled_from(FEW)))
        for path in order[:count]
    ]
    return Cursor(values=found, before=draw(st.booleans()))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    paths = draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        paths.append("__name__")
    order = [f"{draw(st.sampled_from(['', '-']))}{path}" for path in paths]
    limit = draw(st.none() | st.integers(0, 5))
    structured = StructuredQuery(
        from_=[{"collection_id": "c", "all_descendants": draw(st.booleans())}],
        where=draw(wheres()),
        order_by=orders(*order),
        start_at=draw(cursors(order)),
        end_at=draw(cursors(order)),
        offset=draw(st.integers(0, 2)),
        limit=None if limit is None else {"value": limit},
    )
    try:
        return Query.compile(structured)
    except InvalidArgumentError:
        assume(False)
        raise


CHANGES = st.lists(st.tuples(st.sampled_from(PATHS), st.none() | documents()), max_size=6)


@pytest.fixture(autouse=True, scope="module")
def _index_every_collection() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "MIN_DOCUMENTS", 0)
        yield


def versions(found: list[Document]) -> list[tuple[str, int]]:
    """Unlike documents, these are equal even with a NaN."""
    return [(each.name, each.update_time.ToMicroseconds()) for each in found]


def names(found: list[Document]) -> list[str]:
    return [document.name for document in found]


@given(rounds=st.lists(st.tuples(CHANGES, queries()), min_size=1, max_size=5))
def test_query_equals_a_full_scan_at_each_time(
    rounds: list[tuple[list[tuple[str, dict[str, Plain] | None]], Query]],
) -> None:
    of = database(put("c/a", a=1, b="a"), put("d/a/c/a", a=2, b=1), put("c/e", a=[1, "a"], b=0))
    times: list[Timestamp] = []
    known: list[Query] = []
    for changes, query in rounds:
        known.append(query)
        for path, content in changes:
            of.commit([delete(path) if content is None else put(path, **content)])
        times.append(of.read().time)
        for each in known:
            run_at_once(each.prepare(of, ROOT))
            for view in (of, *(of.read(time).view for time in times)):
                assert versions(each.run(view, ROOT)) == versions(full_scan(each, view, ROOT))


@dataclass
class Counting:
    """Counts the documents that a query looks at."""

    where: Condition
    seen: list[str] = field(default_factory=list)

    def matches(self, document: Document) -> bool:
        self.seen.append(document.name)
        return self.where.matches(document)

    def leaves(self) -> Iterator[FieldCondition]:
        return self.where.leaves()

    def alternatives(self) -> Iterator[tuple[FieldCondition, ...]]:
        return self.where.alternatives()

    def disjunctions(self) -> int:
        return self.where.disjunctions()

    def array_conditions(self) -> int:
        return self.where.array_conditions()


MANY = 500
numbered = database(
    *(
        put(f"c/{index:03}", n=index, even=index % 2 == 0, tags=["all", index % 10], g=index % 50)
        for index in range(MANY)
    )
)


def compiled(where: StructuredQuery.Filter | None, *order: str, limit: int | None = None) -> Query:
    return Query.compile(
        StructuredQuery(
            from_=[{"collection_id": "c"}],
            where=where,
            order_by=orders(*order),
            limit=None if limit is None else {"value": limit},
        )
    )


def looked_at(query: Query, view: View = numbered) -> int:
    counting = Counting(query.where)
    run_at_once(query.prepare(numbered, ROOT))
    found = replace(query, where=counting).run(view, ROOT)
    assert found == full_scan(query, view, ROOT)
    return len(counting.seen)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (compiled(None, "n", limit=1), 1),
        (compiled(None, "-n", limit=3), 3),
        (compiled(field_filter("even", "EQUAL", True), "n", limit=2), 2),
        (compiled(field_filter("g", "EQUAL", 7)), 10),
        (compiled(field_filter("g", "IN", [7, 8])), 20),
        (compiled(field_filter("g", "IN", [7, 8]), "-n", limit=3), 3),
        (compiled(field_filter("tags", "ARRAY_CONTAINS", 3), "n", limit=4), 4),
        (compiled(field_filter("tags", "ARRAY_CONTAINS_ANY", ["all", 3]), "n", limit=4), 4),
        (compiled(field_filter("n", "GREATER_THAN", 490)), 9),
        (compiled(field_filter("n", "LESS_THAN_OR_EQUAL", 9), "-n"), 10),
        (
            compiled(
                composite(
                    "AND",
                    field_filter("n", "GREATER_THAN_OR_EQUAL", 10),
                    field_filter("n", "LESS_THAN", 20),
                )
            ),
            10,
        ),
        (compiled(field_filter("__name__", "GREATER_THAN", reference("c/489"))), 10),
        (compiled(field_filter("__name__", "EQUAL", reference("c/100"))), 1),
        (compiled(field_filter("__name__", "IN", [reference("c/9"), reference("c/499")])), 1),
        (compiled(field_filter("n", "IN", [3, 5]), "-n"), 3),
        (
            compiled(
                composite(
                    "AND",
                    field_filter("even", "EQUAL", True),
                    field_filter("__name__", "LESS_THAN", reference("c/010")),
                )
            ),
            5,
        ),
        (compiled(None, "g", "-n", limit=5), 5),
    ],
)
def test_query_looks_at_its_results_only(query: Query, expected: int) -> None:
    assert looked_at(query) == expected


def test_query_at_an_earlier_time_looks_at_few_documents() -> None:
    of = database(*(put(f"c/{index:03}", n=index) for index in range(MANY)))
    time = of.read().time
    of.commit([put("c/000", n=MANY), delete("c/001")])
    query = compiled(None, "n", limit=3)
    run_at_once(query.prepare(of, ROOT))
    counting = Counting(query.where)
    found = replace(query, where=counting).run(of.read(time).view, ROOT)
    assert names(found) == names(full_scan(query, of.read(time).view, ROOT))
    assert len(counting.seen) == 3


QUERIES = [
    compiled(None),
    compiled(None, "n"),
    compiled(None, "-g", "n", limit=400),
    compiled(field_filter("tags", "ARRAY_CONTAINS_ANY", ["all", 3]), "n"),
    compiled(composite("OR", field_filter("g", "LESS_THAN", 40), field_filter("even", "EQUAL", 1))),
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("is_prepared", [False, True])
@pytest.mark.parametrize("is_past", [False, True])
def test_query_continues_on_its_documents_after_a_pause(
    query: Query, *, is_prepared: bool, is_past: bool
) -> None:
    of = Database(DATABASE)
    of.commit([each for index in range(100) for each in _written(index)])
    time = of.read().time
    if is_past:
        of.commit([delete("c/050"), *_written(20, g=99), *_written(100)])
    if is_prepared:
        run_at_once(query.prepare(of, ROOT))
    view = of.read(time).view if is_past else of
    expected = full_scan(query, view, ROOT)
    steps = query.execute(view, ROOT)
    next(steps)
    of.share()
    of.commit([*_written(30, g=98), delete("c/090"), delete("c/099"), *_written(200)])
    of.clear()
    assert names(run_at_once(steps).documents) == names(expected)


def _written(index: int, **changed: Plain) -> list[Write]:
    content: dict[str, Plain] = {
        "n": index,
        "even": index % 2 == 0,
        "tags": ["all", index % 10],
        "g": index % 50,
    }
    return [put(f"c/{index:03}", **(content | changed))]
