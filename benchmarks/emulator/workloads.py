"""Workloads through google-cloud-firestore, as an application uses it.

They are the same for every emulator.
"""

import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias
from unittest.mock import patch

from google.api_core.exceptions import Aborted, FailedPrecondition
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore import DocumentReference, Query
from google.cloud.firestore_v1.base_query import FieldFilter

CLIENTS = 8
DOCUMENTS = 100  # in the queried collection; a query finds a tenth of them

# Adds one to the counter in a read-modify-write; raises an error of LOST if another write won.
Increment: TypeAlias = Callable[[firestore.Client, DocumentReference], None]
LOST = (Aborted, FailedPrecondition, ValueError)  # ValueError: the client's five attempts are over


class Operation(NamedTuple):
    name: str
    call: Callable[[], object]


@contextmanager
def client(address: str, project: str) -> Iterator[firestore.Client]:
    with patch.dict(os.environ, FIRESTORE_EMULATOR_HOST=address):  # the client reads it once
        made = firestore.Client(project=project, credentials=AnonymousCredentials())
    try:
        yield made
    finally:
        made.close()


def new_project() -> str:
    """The name of a new project, whose database is empty."""
    return f"bench-{uuid.uuid4().hex[:12]}"


def operations(of: firestore.Client) -> list[Operation]:
    """Operations of one client, without contention."""
    counter = of.document("counters/alone")
    counter.set({"n": 0})
    for number in range(DOCUMENTS):
        of.document(f"products/{number}").set(_product(number))
    product, query = of.document("products/0"), _query(of, 3)
    numbers = itertools.count()
    return [
        Operation("get", lambda: product.get().to_dict()),
        Operation("set", lambda: product.set(_product(next(numbers)))),
        Operation("query", lambda: [found.to_dict() for found in query.stream()]),
        Operation("transaction", lambda: locking(of, counter)),
    ]


def seconds(operation: Operation, calls: int) -> list[float]:
    """Duration of each call."""
    taken = []
    for _ in range(calls):
        begun = time.perf_counter()
        operation.call()
        taken.append(time.perf_counter() - begun)
    return taken


def locking(of: firestore.Client, counter: DocumentReference) -> None:
    """A locking transaction, which the client library retries."""

    @firestore.transactional
    def increment(transaction: firestore.Transaction) -> None:
        stored = counter.get(transaction=transaction)
        transaction.update(counter, {"n": stored.get("n") + 1})

    increment(of.transaction())


def optimistic(of: firestore.Client, counter: DocumentReference) -> None:
    """A write whose precondition is the update time that was read."""
    stored = counter.get()
    unchanged = of.write_option(last_update_time=stored.update_time)
    counter.update({"n": stored.get("n") + 1}, option=unchanged)


def commits_per_second(address: str, increment: Increment, window: float) -> float:
    """Commits to one document by ``CLIENTS`` clients. Raises ``AssertionError`` if one was lost."""
    project, path = new_project(), "counters/contended"
    with client(address, project) as one:
        one.document(path).set({"n": 0})
        deadline = time.perf_counter() + window

        def run(_: int) -> list[float]:
            """Times at which commits were acknowledged."""
            times = []
            with client(address, project) as own:
                counter = own.document(path)
                while time.perf_counter() < deadline:
                    try:
                        increment(own, counter)
                    except LOST:
                        continue
                    times.append(time.perf_counter())
            return times

        with ThreadPoolExecutor(CLIENTS) as pool:
            acknowledged = list(itertools.chain.from_iterable(pool.map(run, range(CLIENTS))))
        counted = one.document(path).get().get("n")
    if counted != len(acknowledged):
        raise AssertionError(f"{len(acknowledged)} commits, but the counter is {counted}")
    return sum(each <= deadline for each in acknowledged) / window


def _product(number: int) -> dict[str, object]:
    return {"name": f"product {number}", "price": 999, "group": number % 10, "tags": ["a", "b"]}


def _query(of: firestore.Client, group: int) -> Query:
    return of.collection("products").where(filter=FieldFilter("group", "==", group))
