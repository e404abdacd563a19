"""A sync by ``updated_since`` misses no change that becomes visible within MAX_VISIBILITY_DELAY.

Firestore sets ``stored_at`` when it begins to process a write, and the change is visible after the
commit. The emulator of these tests delays that: its ``stored_at`` is earlier than the commit.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.emulator.instances import in_environment
from support.emulator.serving import serving
from support.in_process.apps import OPERATOR, order_app
from support.stores.builders import BY, soon
from support.stores.fakes import FakeInventory

from firestore_emulator.model.clock import to_microseconds
from firestore_emulator.service.service import Service
from firestore_emulator.store import writes
from firestore_emulator.store.database import Databases
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
from order_function import app
from order_function.domain import Attempt, Line, Order
from order_function.store import FirestoreOrderStore

if TYPE_CHECKING:
    from collections.abc import Iterator

LATEST = app.MAX_VISIBILITY_DELAY.total_seconds()
WRITERS, SECONDS = 8, 3.0
PAUSE = 0.05
"""Seconds of a writer between two orders. Without a pause, the syncs take minutes."""


class Database:
    """Firestore with commits that are visible a given time after their ``stored_at``."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.max_lag, self.lag = 0.0, 0.0
        """Seconds: each commit has ``lag``, or a random time up to ``max_lag``."""
        transform = writes.transform  # the place where a write gets its time

        def earlier(document: Any, write: Any, now: Any) -> Any:
            lag = self.lag or random.uniform(0, self.max_lag)  # noqa: S311 - nothing secret
            time_of_write = type(now)()
            time_of_write.FromMicroseconds(to_microseconds(now) - round(lag * 1_000_000))
            return transform(document, write, time_of_write)

        patch.setattr(writes, "transform", earlier)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(monkeypatch)


@pytest.fixture
def connection() -> Iterator[FirestoreConnection]:
    with serving(Service(Databases())) as address, in_environment(address):
        project = f"test-{uuid.uuid4().hex[:12]}"
        connection = FirestoreConnection(FirestoreSettings(project, "(default)", address))
        yield connection
        connection.close()


class Sync:
    """A client that follows all changes as docs/api.md says."""

    def __init__(self, connection: FirestoreConnection) -> None:
        self._client: Any = order_app(
            FirestoreOrderStore(connection), FakeInventory()
        ).test_client()
        self._since = "2000-01-01T00:00:00Z"
        self.seen: dict[str, str] = {}
        """The last status of each order."""

    def run(self) -> None:
        query = {"updated_since": self._since, "limit": "20"}
        page: dict[str, Any] = {"next_cursor": None}
        while page["next_cursor"] or "orders" not in page:
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
            headers = {"Authorization": f"Bearer {OPERATOR}"}
            response = self._client.get("/orders", query_string=query | cursor, headers=headers)
            assert response.status_code == 200
            page = response.json
            self.seen |= {each["order_id"]: each["status"] for each in page["orders"]}
        self._since = page["next_updated_since"]


def new_order() -> Order:
    return Order.new_pending(Attempt.begin("C1", [Line("P1", 1)], None), datetime.now(UTC))


def with_lag(database: Database, connection: FirestoreConnection, seconds: float) -> bool:
    """Whether a sync sees an order that becomes visible so late, after one that it has seen."""
    store, sync = FirestoreOrderStore(connection), Sync(connection)
    store.create(new_order(), soon())
    sync.run()
    assert len(sync.seen) == 1
    late = new_order()
    database.lag = seconds
    store.create(late, soon())
    sync.run()
    return late.order_id in sync.seen


@pytest.mark.parametrize("seconds", [0.0, 1.0, LATEST - 0.5])
def test_late_change_is_seen(
    database: Database, connection: FirestoreConnection, seconds: float
) -> None:
    assert with_lag(database, connection, seconds)


def test_change_later_than_the_bound_is_missed(
    database: Database, connection: FirestoreConnection
) -> None:
    """So the bound is what a sync depends on."""
    assert not with_lag(database, connection, LATEST + 5)


def missed(connection: FirestoreConnection) -> set[str]:
    """The orders of which a sync beside many writers does not have the last status."""
    store, sync = FirestoreOrderStore(connection), Sync(connection)
    stopped = threading.Event()

    def write() -> None:
        while not stopped.wait(PAUSE):
            order = new_order()
            store.create(order, soon())
            found = store.get(order.order_id, soon())
            assert found is not None
            store.replace(found.order.begin_cancel(BY), found.version, soon())

    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write) for _ in range(WRITERS)]
        try:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                sync.run()
        finally:
            stopped.set()
        for each in writing:
            each.result()
    sync.run()
    stored = connection.client.collection("orders").get()
    return {
        each.id for each in stored if (each.to_dict() or {})["status"] != sync.seen.get(each.id)
    }


def test_sync_beside_writers_misses_no_late_change(
    database: Database, connection: FirestoreConnection
) -> None:
    database.max_lag = LATEST - 1
    assert missed(connection) == set()


def test_sync_without_the_bound_misses_late_changes(
    database: Database, connection: FirestoreConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MAX_VISIBILITY_DELAY", timedelta())
    database.max_lag = LATEST - 1
    assert missed(connection)
