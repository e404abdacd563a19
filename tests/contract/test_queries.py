"""Pages that are read as Firestore's messages equal the client library's, document by document."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud.firestore import Client, FieldFilter, Query
from support.builders import soon

from functions_common.firestore.client import Connection
from functions_common.firestore.documents import Wire
from functions_common.firestore.errors import StoreUnavailableError
from functions_common.firestore.queries import Found, Queries
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError
from functions_common.runtime.settings import FirestoreSettings
from functions_common.runtime.turns import TooManyListsError, Turns


@pytest.fixture
def connection(emulator: str) -> Iterator[Connection]:
    project = f"test-{uuid.uuid4().hex[:12]}"
    connection = Connection(FirestoreSettings(project, "(default)", emulator))
    for n in range(5):
        product = connection.client.document("products", f"P{n}")
        product.set({"name": f"é{n}", "lines": [{"n": n}], "none": None})
        for m in range(2):
            made = product.collection("adjustments").document(f"A{m}")
            made.set({"delta": n - m, "created_at": product.get().update_time})
    yield connection
    connection.client.close()  # type: ignore[no-untyped-call]


def pages(client: Client) -> dict[str, tuple[Query, int]]:
    """The queries, with the sizes of their pages."""
    products = client.collection("products").order_by("__name__")
    mine = client.document("products", "P1").collection("adjustments")
    place = {"__name__": client.document("products", "P2")}
    return {
        "all": (products, 9),
        "some": (products, 2),
        "after one": (products.start_after(place), 9),
        "of a value": (
            client.collection("products").where(filter=FieldFilter("name", "==", "é3")),
            9,
        ),
        "of a product": (mine.order_by("__name__"), 9),
        "none": (client.collection("nothing").order_by("__name__"), 9),
    }


def read(queries: Queries, connection: Connection, name: str, deadline: Deadline) -> list[Found]:
    query, limit = pages(connection.client)[name]
    return queries.page(query, limit, lambda found: found, deadline)


@pytest.mark.parametrize("name", ["all", "some", "after one", "of a value", "of a product", "none"])
def test_page_equals_the_page_of_the_client_library(connection: Connection, name: str) -> None:
    query, limit = pages(connection.client)[name]
    expected = [
        (tuple(each.reference.path.split("/")), each.to_dict(), each.update_time, each.create_time)
        for each in query.limit(limit).stream()
    ]
    found = [
        (each.path, dict(each.fields), each.update_time, created)
        for each, created in read(Queries(connection, Turns()), connection, name, soon())
    ]
    assert found == expected
    assert bool(found) == (name != "none")


def test_page_has_the_whole_deadline_of_its_request(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is not the few seconds of a single document."""
    timeouts: list[float] = []
    queries = Queries(connection, Turns())

    def call(*_: Any, timeout: float, **__: Any) -> Any:
        timeouts.append(timeout)
        return []

    wire: Any = Wire.of(connection.client)
    monkeypatch.setattr(queries, "_wire", wire._replace(run_query=call))
    assert read(queries, connection, "all", Deadline.after(60)) == []
    assert timeouts[0] > 50
    with pytest.raises((DeadlineExceededError, TooManyListsError)):
        read(queries, connection, "all", Deadline.after(0))


def test_turn_is_returned_when_the_database_is_unavailable() -> None:
    settings = FirestoreSettings("test", "(default)", "127.0.0.1:1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
        connection = Connection(settings)
        queries = Queries(connection, Turns(most_waiting=0, at_once=1))
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                read(queries, connection, "all", Deadline.after(3))
    connection.client.close()  # type: ignore[no-untyped-call]
