"""The rule of group commit: a group is told what its requests, one after the other, would be told.

Any mix of requests, retries among them, is carried out in groups, on a store where commits conflict
and get lost; then one by one, in the order of arrival, on another where nothing goes wrong. Answers
and documents must be alike. Where a commit was carried out and the answer to it got lost, all its
requests are decided anew; so one by one they are sent anew, too, and the last answer counts.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from threading import Event
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import OPENING_TIME, soon, stocked
from support.fakes import MemoryStock
from support.queues import wait_until_queued

from inventory_function.domain import Line, Product, StockError, merge
from inventory_function.group_commit import GroupCommit
from inventory_function.operations import Adjust, Confirm, Consume, PutProduct, Release, Reserve
from inventory_function.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inventory_function.domain import Entity, Key
    from inventory_function.operations import Operation
    from inventory_function.transactions import Outcome

PRODUCTS = ("A", "B")
OPENING = 6

names = st.sampled_from(["R1", "R2", "R3", "R4"])
some = st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)
products = st.sampled_from([*PRODUCTS, "unknown"])
wanted = st.lists(st.builds(Line, products, st.integers(1, 4)), min_size=1, max_size=3).map(merge)
nonces = st.sampled_from(["n1", "n2", "n3"])
"""Few, so that a request and its own retry are both drawn."""
usd = st.just("USD")

operations = st.one_of(
    st.builds(Reserve, names, wanted, usd, nonces),
    st.builds(Release, some, usd),
    st.builds(Confirm, some),
    st.builds(Consume, some),
    st.builds(PutProduct, products, st.just("Lamp"), st.integers(0, 3), usd, st.booleans()),
    st.builds(
        Adjust,
        products,
        st.sampled_from(["k1", "k2"]),
        st.integers(-4, 4).filter(bool),
        st.just("counted"),
        st.none(),
        st.just("operator"),
        st.just(OPENING_TIME),
        nonces,
    ),
)
requests = st.lists(operations, min_size=1, max_size=3)
"""Of one thread: for several operations, each to be decided as if it had come alone."""
groups = st.lists(st.lists(requests, min_size=1, max_size=6), min_size=1, max_size=4)
troubles = st.lists(st.sampled_from(["", "conflict", "away", "lost", "dropped"]), max_size=6)


def told(outcome: Any) -> object:
    """What a caller is told, but for the moment at which a product was stored."""
    try:
        return outcome()
    except StockError as refusal:
        return type(refusal), str(refusal)


def documents(store: MemoryStock) -> dict[Key, Entity]:
    return {
        key: replace(entity, updated_at=None) if isinstance(entity, Product) else entity
        for key, (entity, _) in store.documents.items()
    }


def one_at_a_time(store: MemoryStock, asked: list[Operation[Any]], times: int) -> list[object]:
    """Each in a transaction of its own; what they are told the last time."""
    for _ in range(times):
        answers = []
        for operation in asked:
            (outcome,) = Transactions(store).execute([operation], soon())
            answers.append(told(outcome.result))
    return answers


@contextmanager
def held_up(group: GroupCommit, pool: ThreadPoolExecutor) -> Iterator[None]:
    """One request is under way until the end, so that all others queue."""
    reached, go_on = Event(), Event()

    class Slow:
        def needs(self, _: object) -> tuple[()]:
            return ()

        def decide(self, _: object) -> None:
            reached.set()
            assert go_on.wait(10)

    slow = pool.submit(group.run, Slow(), soon())
    assert reached.wait(10)
    try:
        yield
    finally:
        go_on.set()
    slow.result()


def as_a_group(
    group: GroupCommit, asked: list[list[Operation[Any]]], pool: ThreadPoolExecutor
) -> list[object]:
    """They arrive one after the other, and are carried out together."""
    answers: list[Future[list[Outcome]]] = []
    with held_up(group, pool):
        for n, several in enumerate(asked, start=1):
            answers.append(pool.submit(group.run_all, several, soon()))
            wait_until_queued(group, n)
    return [told(outcome.result) for answer in answers for outcome in answer.result()]


@given(groups, troubles)
@settings(deadline=None, print_blob=True, max_examples=60)
def test_a_group_is_told_what_its_requests_would_be_told_one_by_one(
    asked: list[list[list[Operation[Any]]]], faults: list[str]
) -> None:
    grouped, single = stocked(**dict.fromkeys(PRODUCTS, OPENING)), MemoryStock()
    single.documents.update(grouped.documents)
    group = GroupCommit(grouped)
    coming = grouped.faults.coming
    coming.extend(faults)
    with ThreadPoolExecutor(10) as pool:
        for each in asked:
            lost = coming.count("lost")
            answers = as_a_group(group, each, pool)
            times = 1 + lost - coming.count("lost")
            assert answers == one_at_a_time(single, [*chain.from_iterable(each)], times)
            assert documents(grouped) == documents(single)
