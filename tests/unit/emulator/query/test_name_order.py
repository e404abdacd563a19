"""Queries by name read only the documents that they return, and equal a full scan."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.emulator.firestore_messages import (
    DATABASE,
    database,
    delete,
    field_filter,
    name,
    orders,
    plain,
    put,
    reference,
)
from support.emulator.watched_view import Watched

from firestore_emulator.model.messages import Cursor, Document, StructuredQuery
from firestore_emulator.model.names import Parent
from firestore_emulator.model.values import reference_key
from firestore_emulator.query.query import Query
from firestore_emulator.store.database import Database

ROOT = Parent.parse(f"{DATABASE}/documents")
PATHS = [
    *(f"c/{each}" for each in ("a", "b", "__id7__", "__id10__", "__id-1__")),
    *(f"c/a/c/{each}" for each in ("a", "z")),
    *(f"d/{above}/c/{each}" for above in ("a", "b") for each in ("a", "b")),
    "d/a",
]
CURSORS = st.none() | st.builds(
    lambda path, before: Cursor(values=[reference(path)], before=before),
    st.sampled_from([*PATHS, "c/__id8__", "c/aa", "c/zz", "d/a/c/c"]),
    st.booleans(),
)


@dataclass(frozen=True)
class Page:
    group: bool
    descending: bool
    start: Cursor | None
    end: Cursor | None
    offset: int
    limit: int | None
    n: int | None  # the value to filter by

    def query(self) -> StructuredQuery:
        return StructuredQuery(
            from_=[{"collection_id": "c", "all_descendants": self.group}],
            where=None if self.n is None else field_filter("n", "EQUAL", self.n),
            order_by=orders("-__name__" if self.descending else "__name__"),
            start_at=self.start,
            end_at=self.end,
            offset=self.offset,
            limit=None if self.limit is None else {"value": self.limit},
        )

    def of(self, stored: dict[str, int]) -> list[str]:
        """A full scan: reads, sorts and cuts all documents."""
        found = [
            name(path)
            for path, n in stored.items()
            if path.split("/")[-2] == "c" and (self.group or path.count("/") == 1)
            if self.n in {None, n}
        ]
        found.sort(key=reference_key, reverse=self.descending)
        found = [each for each in found if not self.start or self._reached(self.start, each)]
        found = [each for each in found if not self.end or not self._reached(self.end, each)]
        end = None if self.limit is None else self.offset + self.limit
        return found[self.offset : end]

    def _reached(self, cursor: Cursor, document: str) -> bool:
        key, own = reference_key(document), reference_key(cursor.values[0].reference_value)
        return cursor.before if key == own else (key < own) == self.descending


PAGES = st.builds(
    Page,
    group=st.booleans(),
    descending=st.booleans(),
    start=CURSORS,
    end=CURSORS,
    offset=st.integers(0, 2),
    limit=st.none() | st.integers(0, 4),
    n=st.none() | st.integers(0, 1),
)
CHANGES = st.lists(st.tuples(st.sampled_from(PATHS), st.none() | st.integers(0, 1)), max_size=6)


@given(rounds=st.lists(st.tuples(CHANGES, PAGES), min_size=1, max_size=5))
def test_ordered_scan_equals_a_full_scan_at_each_time(
    rounds: list[tuple[list[tuple[str, int | None]], Page]],
) -> None:
    of = Database(DATABASE)
    stored: dict[str, int] = {}
    earlier: list[tuple[Timestamp, dict[str, int]]] = []
    for changes, page in rounds:
        for path, n in changes:
            if n is None:
                of.commit([delete(path)])
                stored.pop(path, None)
            else:
                of.commit([put(path, n=n)])
                stored[path] = n
        earlier.append((of.read().time, dict(stored)))
        compiled = Query.compile(page.query())
        assert names(compiled.run(of, ROOT)) == page.of(stored)
        for time, then in earlier:
            assert names(compiled.run(of.read(time).view, ROOT)) == page.of(then)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("group", [False, True])
def test_query_reads_no_more_than_a_page(*, group: bool, descending: bool) -> None:
    paths = [f"c/{number:03}" for number in range(100)]
    others = (
        [f"{above}/1/c/{number}" for above in ("b", "d") for number in range(9)] if group else []
    )
    of = Watched(database(*(put(path, n=1) for path in [*paths, *others])))
    start = Cursor(values=[reference("c/050")])
    page = Page(group, descending, start, None, offset=0, limit=3, n=None)
    found = names(Query.compile(page.query()).run(of, ROOT))
    expected = paths[49:46:-1] if descending else paths[51:54]
    assert found == list(map(name, expected))
    assert of.taken == found


def test_filtered_query_reads_until_the_limit_is_reached() -> None:
    of = Watched(database(*(put(f"c/{number:02}", n=number % 2) for number in range(40))))
    page = Page(group=False, descending=False, start=None, end=None, offset=1, limit=2, n=1)
    found = Query.compile(page.query()).run(of, ROOT)
    assert [plain(each.fields["n"]) for each in found] == [1, 1]
    assert of.taken == [name(f"c/{number:02}") for number in range(6)]


def names(documents: Iterable[Document]) -> list[str]:
    return [document.name for document in documents]
