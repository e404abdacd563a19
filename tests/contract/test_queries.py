"""Pages that are read as Firestore's messages equal the client library's, document by document."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import firestore
from google.cloud.firestore import FieldFilter
from support.stores.builders import soon

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import StoreUnavailableError
from functions_common.firestore.queries import Found, Position, Queries, Query
from functions_common.limiter import (
    MAX_CONCURRENT,
    ConcurrencyLimiter,
    TooManyListRequestsError,
    firestore_list_limiter,
)
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from functions_common.runtime.settings import FirestoreSettings


@pytest.fixture
def connection(emulator: str) -> Iterator[FirestoreConnection]:
    project = f"test-{uuid.uuid4().hex[:12]}"
    connection = FirestoreConnection(FirestoreSettings(project, "(default)", emulator))
    for n in range(5):
        product = connection.client.document("products", f"P{n}")
        product.set({"name": f"é{n}", "lines": [{"n": n}], "none": None, "tags": ["t"]})
        for m in range(2):
            made = product.collection("adjustments").document(f"A{m}")
            made.set({"delta": n - m, "created_at": product.get().update_time})
    yield connection
    connection.close()


LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
PRODUCTS, P2 = ("products",), ("products", "P2")
OF_P1 = ("products", "P1", "adjustments")
PAGES: dict[str, tuple[Query, int]] = {
    "all": (Query(PRODUCTS), 9),
    "some": (Query(PRODUCTS), 2),
    "after one": (Query(PRODUCTS, after=Position(P2)), 9),
    "of a value": (Query(PRODUCTS, (("name", "==", "é3"),)), 9),
    "of two values": (Query(PRODUCTS, (("name", "==", "é3"), ("tags", "array_contains", "t"))), 9),
    "of a product": (Query(OF_P1), 9),
    "newest first": (Query(OF_P1, newest_first_by="created_at"), 9),
    "oldest first": (Query(OF_P1, order_by="created_at"), 9),
    "one of several values": (Query(PRODUCTS, (("name", "in", ["é1", "é3", "é9"]),)), 9),
    "of a time": (
        Query(
            OF_P1,
            (("created_at", ">=", LONG_AGO), ("created_at", "<", FAR_AHEAD)),
            order_by="created_at",
        ),
        9,
    ),
    "of no time": (Query(OF_P1, (("created_at", "<", LONG_AGO),), newest_first_by="created_at"), 9),
    "ids that begin with P": (Query(PRODUCTS, id_prefix="P"), 9),
    "ids that begin with P3": (Query(PRODUCTS, id_prefix="P3"), 9),
    "ids after one, with a prefix": (Query(PRODUCTS, id_prefix="P", after=Position(P2)), 9),
    "none": (Query(("nothing",)), 9),
}
"""Queries and the sizes of their pages."""


def by_library(client: firestore.Client, name: str) -> firestore.Query:
    """The same query, written with the client library."""
    products = client.collection("products").order_by("__name__")
    mine = client.document("products", "P1").collection("adjustments")
    of_value = products.where(filter=FieldFilter("name", "==", "é3"))
    down = firestore.Query.DESCENDING
    queries: dict[str, firestore.Query] = {
        "all": products,
        "some": products,
        "after one": products.start_after({"__name__": client.document(*P2)}),
        "of a value": of_value,
        "of two values": of_value.where(filter=FieldFilter("tags", "array_contains", "t")),
        "of a product": mine.order_by("__name__"),
        "newest first": mine.order_by("created_at", direction=down).order_by(
            "__name__", direction=down
        ),
        "oldest first": mine.order_by("created_at").order_by("__name__"),
        "one of several values": products.where(
            filter=FieldFilter("name", "in", ["é1", "é3", "é9"])
        ),
        "of a time": mine.where(filter=FieldFilter("created_at", ">=", LONG_AGO))
        .where(filter=FieldFilter("created_at", "<", FAR_AHEAD))
        .order_by("created_at"),
        "of no time": mine.where(filter=FieldFilter("created_at", "<", LONG_AGO)).order_by(
            "created_at", direction=down
        ),
        "ids that begin with P": products,
        "ids that begin with P3": products.start_at(
            {"__name__": client.document("products", "P3")}
        ).end_before({"__name__": client.document("products", "P4")}),
        "ids after one, with a prefix": products.start_after({"__name__": client.document(*P2)}),
        "none": client.collection("nothing").order_by("__name__"),
    }
    return queries[name]


def read(queries: Queries, name: str, deadline: Deadline) -> list[Found]:
    query, limit = PAGES[name]
    return queries.page(query, limit, lambda found: found, deadline)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_library_reads(connection: FirestoreConnection, name: str) -> None:
    _, limit = PAGES[name]
    expected = [
        (tuple(each.reference.path.split("/")), each.to_dict(), each.update_time, each.create_time)
        for each in by_library(connection.client, name).limit(limit).stream()
    ]
    found = [
        (each.path, dict(each.fields), each.update_time, created)
        for each, created in read(Queries(connection, ConcurrencyLimiter()), name, soon())
    ]
    assert found == expected
    assert bool(found) == (name not in ("none", "of no time"))


def test_the_second_page_continues_after_the_first(connection: FirestoreConnection) -> None:
    queries = Queries(connection, ConcurrencyLimiter())
    query, limit = PAGES["newest first"]
    whole = queries.page(query, limit, lambda found: found.document, soon())
    first, second = whole
    position = Position(first.path, first.fields["created_at"])
    rest = queries.page(replace(query, after=position), limit, lambda found: found.document, soon())
    assert rest == [second]


def test_a_page_may_take_all_the_time_that_its_request_has(
    connection: FirestoreConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is not the few seconds of a single document."""
    timeouts: list[float] = []
    queries = Queries(connection, ConcurrencyLimiter())

    def call(*_: Any, timeout: float, **__: Any) -> Any:
        timeouts.append(timeout)
        return []

    rpcs = connection.rpcs._replace(run_query=call)  # type: ignore[arg-type]
    monkeypatch.setattr(FirestoreConnection, "rpcs", rpcs)
    assert read(queries, "all", Deadline.after(60)) == []
    assert timeouts[0] > 50
    with pytest.raises((DeadlineExceededError, TooManyListRequestsError)):
        read(queries, "all", Deadline.after(0))


def test_twelve_pages_requested_together_are_all_read_in_turns(
    connection: FirestoreConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long pages that are read together slow each other, and orders, until all time out."""
    lock, current, most = threading.Lock(), 0, 0

    def call(*_: Any, **__: Any) -> Any:
        nonlocal current, most
        with lock:
            current += 1
            most = max(most, current)
        time.sleep(0.01)
        with lock:
            current -= 1
        return []

    rpcs = connection.rpcs._replace(run_query=call)  # type: ignore[arg-type]
    monkeypatch.setattr(FirestoreConnection, "rpcs", rpcs)
    queries = Queries(connection, firestore_list_limiter(64))
    with ThreadPoolExecutor(12) as pool:
        pages = [*pool.map(lambda _: read(queries, "all", Deadline.after(60)), range(12))]
    assert pages == [[]] * 12
    assert most <= MAX_CONCURRENT


def test_turn_is_returned_when_the_database_is_unavailable() -> None:
    settings = FirestoreSettings("test", "(default)", "127.0.0.1:1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
        connection = FirestoreConnection(settings)
        queries = Queries(connection, ConcurrencyLimiter(max_waiting=0, max_concurrent=1))
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                read(queries, "all", Deadline.after(3))
    connection.close()
