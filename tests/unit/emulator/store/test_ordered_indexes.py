"""Ordered indexes and sorted ids: maintained by commits, built in steps, bounded."""

import random

import pytest
from support.emulator.firestore_messages import database, delete, put

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.steps import run_at_once
from firestore_emulator.store import ordered_indexes
from firestore_emulator.store.change_feed import Change
from firestore_emulator.store.database import Database
from firestore_emulator.store.id_map import IdMap, IdRange
from firestore_emulator.store.ordered_index import Definition, IndexedField, Span
from firestore_emulator.store.ordered_indexes import MIN_DOCUMENTS, IndexScope, OrderedIndexes
from firestore_emulator.store.sorting import RUN, first_in_steps, sorted_in_steps

SCOPE = IndexScope("c", is_group=False)
BY_N = Definition((IndexedField(("n",)),))
BY_M = Definition((IndexedField(("m",)),))
ALL = Span((), ())
EVERY_ID = IdRange(lambda _: True, lambda _: False, descending=False)


def filled(count: int = MIN_DOCUMENTS) -> Database:
    return database(*(put(f"c/{number:04}", n=-number) for number in range(count)))


def ids(of: Database, definition: Definition = BY_N) -> list[str] | None:
    entries = of.by_index(SCOPE, definition, ALL)
    return None if entries is None else [entry[-1].name.rpartition("/")[2] for entry in entries]


def documents(count: int) -> list[Document]:
    return list(filled(count).collection("c"))


@pytest.mark.parametrize("count", [0, 1, RUN, 2 * RUN + 7])
def test_sorting_in_steps_equals_sorted(count: int) -> None:
    items = random.Random(1).sample(range(10 * RUN), count)  # noqa: S311 - test data
    assert run_at_once(sorted_in_steps(iter(items))) == sorted(items)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("count", [None, 0, 1, 7, 100])
def test_first_items_are_those_of_the_sorted_list(*, count: int | None, descending: bool) -> None:
    items = random.Random(1).sample(range(100), 50)  # noqa: S311 - test data
    found = run_at_once(first_in_steps(items, count, descending=descending))
    assert found == sorted(items, reverse=descending)[:count]


def test_small_collection_gets_no_index() -> None:
    of = filled(MIN_DOCUMENTS - 1)
    run_at_once(of.build_index(SCOPE, BY_N))
    assert ids(of) is None


def test_index_follows_commits() -> None:
    of = filled()
    run_at_once(of.build_index(SCOPE, BY_N))
    of.commit([put("c/0000", n=-9999), put("c/new", n=1), delete("c/0001"), put("c/0002", x=1)])
    found = ids(of)
    assert found is not None
    assert (found[0], found[-1], len(found)) == ("0000", "new", MIN_DOCUMENTS - 1)


def test_index_includes_the_commits_during_its_build() -> None:
    of = filled()
    steps = of.build_index(SCOPE, BY_N)
    next(steps)
    of.commit([put("c/0000", n=-9999), put("c/new", n=1), delete("c/0001")])
    run_at_once(steps)
    found = ids(of)
    assert found is not None
    assert (found[0], found[-1], len(found)) == ("0000", "new", MIN_DOCUMENTS)


def test_second_build_of_an_index_does_nothing() -> None:
    of = filled()
    first, second = of.build_index(SCOPE, BY_N), of.build_index(SCOPE, BY_N)
    next(first)
    run_at_once(second)
    assert ids(of) is None
    run_at_once(first)
    assert ids(of) is not None


def test_cancelled_build_can_be_repeated() -> None:
    of = filled()
    steps = of.build_index(SCOPE, BY_N)
    next(steps)
    steps.close()
    run_at_once(of.build_index(SCOPE, BY_N))
    assert ids(of) is not None


@pytest.mark.parametrize("is_building", [False, True])
def test_large_commit_drops_the_index(*, is_building: bool) -> None:
    of = filled()
    steps = of.build_index(SCOPE, BY_N)
    next(steps)
    if not is_building:
        run_at_once(steps)
    of.commit([put(f"c/new{number}", n=1) for number in range(ordered_indexes.MAX_CHANGES + 1)])
    run_at_once(steps)
    assert ids(of) is None


def test_large_commit_keeps_the_indexes_of_other_collections() -> None:
    of = filled()
    run_at_once(of.build_index(SCOPE, BY_N))
    of.commit([put(f"d/{number}", n=1) for number in range(ordered_indexes.MAX_CHANGES + 1)])
    assert ids(of) is not None


@pytest.mark.parametrize("is_read", [False, True])
def test_index_that_is_only_changed_is_dropped(*, is_read: bool) -> None:
    of = filled()
    run_at_once(of.build_index(SCOPE, BY_N))
    for number in range(3 * MIN_DOCUMENTS):
        of.commit([put("c/0000", n=number)])
        if is_read:
            of.by_index(SCOPE, BY_N, ALL)
    assert (ids(of) is not None) == is_read


def test_clear_drops_indexes() -> None:
    of = filled()
    run_at_once(of.build_index(SCOPE, BY_N))
    of.clear()
    assert ids(of) is None


def test_least_recently_read_index_makes_room() -> None:
    indexes = OrderedIndexes(max_entries=25)
    scopes = [IndexScope(path, is_group=False) for path in ("a", "b", "c")]
    for scope in scopes[:2]:
        run_at_once(indexes.build(scope, BY_N, documents(10)))
    indexes.find(scopes[0], BY_N)
    run_at_once(indexes.build(scopes[2], BY_N, documents(10)))
    assert [indexes.find(scope, BY_N) is not None for scope in scopes] == [True, False, True]


def test_growing_index_makes_room_too() -> None:
    indexes = OrderedIndexes(max_entries=25)
    scopes = [IndexScope(path, is_group=False) for path in ("a", "c")]
    for scope in scopes:
        run_at_once(indexes.build(scope, BY_N, documents(12)))
    indexes.update({DocumentName.parse(each.name): Change(None, each) for each in grown()})
    assert [indexes.find(scope, BY_N) is not None for scope in scopes] == [False, True]


def grown() -> list[Document]:
    return [put(f"c/new{number}", n=1).update for number in range(2)]


def test_number_of_indexes_is_bounded() -> None:
    indexes = OrderedIndexes()
    scopes = [
        IndexScope(str(number), is_group=False) for number in range(ordered_indexes.MAX_INDEXES + 1)
    ]
    for scope in scopes:
        run_at_once(indexes.build(scope, BY_N, []))
    assert [scope for scope in scopes if indexes.find(scope, BY_N) is None] == scopes[:1]


def test_too_large_an_index_is_not_kept() -> None:
    indexes = OrderedIndexes(max_entries=9)
    run_at_once(indexes.build(SCOPE, BY_N, documents(10)))
    assert indexes.find(SCOPE, BY_N) is None


def test_shared_index_keeps_the_entries_of_a_read() -> None:
    of = filled()
    run_at_once(of.build_index(SCOPE, BY_N))
    before, reading = ids(of), of.by_index(SCOPE, BY_N, ALL)
    assert reading is not None
    of.share()
    of.commit([delete("c/0000"), delete("c/0063")])
    assert [entry[-1].name.rpartition("/")[2] for entry in reading] == before


def test_document_with_several_fields_absent_has_no_entry() -> None:
    both = Definition((*BY_N.fields, *BY_M.fields))
    (document,) = database(put("c/a", n=1)).collection("c")
    assert not list(both.entries(document))


def test_ids_are_sorted_in_steps_beside_changes() -> None:
    items = IdMap[int]()
    for number in range(100):
        items[f"{number:03}"] = number
    steps = items.sort()
    next(steps)
    items["new"] = 100
    del items["000"]
    items["001"] = -1
    run_at_once(steps)
    assert list(items.in_order(EVERY_ID)) == [-1, *range(2, 101)]


def test_shared_ids_keep_the_items_of_an_iteration() -> None:
    items = IdMap[int]()
    for number in range(3):
        items[str(number)] = number
    ordered, unordered = items.in_order(EVERY_ID), iter(items.values())
    items.share()
    items["3"] = 3
    del items["0"]
    assert list(ordered) == list(unordered) == [0, 1, 2]
    assert list(items.in_order(EVERY_ID)) == [1, 2, 3]
