"""The rule of group commit: requests in a group get the same results as one after the other.

A property test carries out any mix of requests, retries included, in groups. Commits of that store
conflict and get lost. Then it carries the requests out one by one, in the order of arrival, on a
second store without faults. Results and documents must be equal. If a commit was carried out and
its response was lost, the group decides all its requests again. So the test repeats these requests
one by one too, and compares the last results.
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
from support.in_process.queues import wait_until_queued
from support.stores.builders import OPENING_TIME, put_product, soon, stocked
from support.stores.fakes import MemoryStock

from inventory_function.domain import Line, Movement, MovementKind, Product, StockError, merge
from inventory_function.group_commit import GroupCommit
from inventory_function.operations import Adjust, Confirm, Consume, Move, Release, Reserve
from inventory_function.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inventory_function.domain import Entity, Key
    from inventory_function.operations import StockOperation
    from inventory_function.transactions import Outcome

PRODUCTS = ("A", "B")
OPENING = 6

names = st.sampled_from(["R1", "R2", "R3", "R4"])
products = st.sampled_from([*PRODUCTS, "unknown"])
line_lists = st.lists(st.builds(Line, products, st.integers(1, 4)), min_size=1, max_size=3).map(
    merge
)
nonces = st.sampled_from(["n1", "n2", "n3"])
"""Few, so that hypothesis draws both a request and its retry."""
usd = st.just("USD")

operations = st.one_of(
    st.builds(Reserve, names, line_lists, usd, nonces),
    st.builds(Release, names, usd),
    st.builds(Confirm, names),
    st.builds(Consume, names),
    st.builds(
        Move,
        names,
        st.builds(Movement, st.integers(1, 3), st.sampled_from(MovementKind), line_lists),
    ),
    st.builds(
        put_product,
        products,
        name=st.just("Lamp"),
        price=st.integers(0, 3),
        active=st.booleans(),
        max_per_order=st.none() | st.integers(1, 3),
    ),
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
"""The operations of one caller; each is decided as if it had been requested alone."""
rounds = st.lists(st.lists(requests, min_size=1, max_size=6), min_size=1, max_size=4)
faults = st.lists(st.sampled_from(["", "conflict", "away", "lost", "dropped"]), max_size=6)


def comparable(outcome: Outcome) -> object:
    """The result of an operation, or its error in a form that can be compared."""
    try:
        return outcome.result()
    except StockError as error:
        return type(error), str(error)


def documents(store: MemoryStock) -> dict[Key, Entity]:
    """The documents without the times at which they were stored."""
    return {
        key: replace(entity, updated_at=None) if isinstance(entity, Product) else entity
        for key, (entity, _) in store.documents.items()
    }


def run_one_by_one(
    store: MemoryStock, operations: list[StockOperation[Any]], times: int
) -> list[object]:
    """Carry out each operation in its own transaction; return the results of the last time."""
    for _ in range(times):
        results = []
        for operation in operations:
            (outcome,) = Transactions(store).execute([operation], soon())
            results.append(comparable(outcome))
    return results


@contextmanager
def commit_in_flight(group: GroupCommit, pool: ThreadPoolExecutor) -> Iterator[None]:
    """Keep one request in flight until the block ends, so that all others queue."""
    reached, proceed = Event(), Event()

    class Slow:
        def needs(self, _: object) -> tuple[()]:
            return ()

        def decide(self, _: object) -> None:
            reached.set()
            assert proceed.wait(10)

    slow = pool.submit(group.run, Slow(), soon())
    assert reached.wait(10)
    try:
        yield
    finally:
        proceed.set()
    slow.result()


def run_as_group(
    group: GroupCommit, requests: list[list[StockOperation[Any]]], pool: ThreadPoolExecutor
) -> list[object]:
    """Queue the requests one after the other, and carry them out together."""
    futures: list[Future[list[Outcome]]] = []
    with commit_in_flight(group, pool):
        for n, operations in enumerate(requests, start=1):
            futures.append(pool.submit(group.run_all, operations, soon()))
            wait_until_queued(group, n)
    return [comparable(outcome) for future in futures for outcome in future.result()]


@given(rounds, faults)
@settings(deadline=None, print_blob=True, max_examples=60)
def test_group_commit_gives_the_results_of_single_transactions(
    rounds: list[list[list[StockOperation[Any]]]], faults: list[str]
) -> None:
    grouped, single = stocked(**dict.fromkeys(PRODUCTS, OPENING)), MemoryStock()
    single.documents.update(grouped.documents)
    group = GroupCommit(grouped)
    coming = grouped.faults.coming
    coming.extend(faults)
    with ThreadPoolExecutor(10) as pool:
        for requests in rounds:
            lost = coming.count("lost")
            results = run_as_group(group, requests, pool)
            times = 1 + lost - coming.count("lost")
            assert results == run_one_by_one(single, [*chain.from_iterable(requests)], times)
            assert documents(grouped) == documents(single)
