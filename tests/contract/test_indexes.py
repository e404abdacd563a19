"""firestore.indexes.json has exactly the indexes that the functions' queries need.

Every test on the embedded emulator shows that none is missing, because the emulator rejects a query
without its index. The tests here show that each index is needed by a query.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import FailedPrecondition
from google.cloud.firestore import FieldFilter
from support.emulator.instances import INDEXES, REQUIRE_INDEXES, in_environment, running
from support.in_process.crashing import CrashingShop
from support.stores.builders import NOW
from support.stores.queries import QUERIES

from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
from order_function.domain import Attempt, Line, Order
from order_function.order_documents import STORED_AT, to_document

if TYPE_CHECKING:
    from pathlib import Path


def test_index_file_has_exactly_the_needed_indexes(tmp_path: Path) -> None:
    collected = tmp_path / "firestore.indexes.json"
    with (
        running("embedded", f"--collect-indexes={collected}") as emulator,
        in_environment(emulator),
        CrashingShop(emulator) as shop,
    ):
        shop.begin()
        for query in QUERIES.values():
            query(shop.order_connection)
    assert composite(collected) == composite(INDEXES)


@pytest.mark.one_emulator
@pytest.mark.parametrize("query", QUERIES)
def test_every_query_has_its_index(emulator: str, query: str) -> None:
    """`make verify-firestore` runs this on the real service."""
    settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    connection = FirestoreConnection(settings)
    try:
        QUERIES[query](connection)
    finally:
        connection.close()


def composite(file: Path) -> list[Any]:
    """Compare without the order."""
    return sorted(json.loads(file.read_text())["indexes"], key=json.dumps)


def test_no_time_of_an_order_has_an_index_of_its_own() -> None:
    """A range of rising values accepts 500 writes a second, over all orders."""
    overrides = json.loads(INDEXES.read_text())["fieldOverrides"]
    without = {each["fieldPath"] for each in overrides if each["indexes"] == []}
    attempt = Attempt.begin("C1", [Line("P001", 1)], None, hold_seconds=9)
    order = replace(Order.new_reserved(attempt, (), "USD", NOW), updated_at=NOW)
    stored = to_document(order)
    times = {name for name, value in stored.items() if isinstance(value, datetime)}
    assert {"created_at", "updated_at", "expires_at", "payment_due"} <= times
    assert times | {STORED_AT, "history"} <= without


def test_every_list_of_orders_begins_with_a_field_that_spreads_its_index() -> None:
    first_fields = {
        index["fields"][0]["fieldPath"]
        for index in json.loads(INDEXES.read_text())["indexes"]
        if index["collectionGroup"] == "orders"
    }
    assert first_fields == {"customer_id", "shard"}


def test_query_without_an_index_fails_on_the_test_emulator() -> None:
    with (
        running("embedded", REQUIRE_INDEXES) as emulator,
        in_environment(emulator),
        CrashingShop(emulator) as shop,
    ):
        shop.begin()
        orders = shop.order_connection.client.collection("orders").limit(1)
        query = orders.where(filter=FieldFilter("status", "==", "pending")).order_by("created_at")
        with pytest.raises(FailedPrecondition, match="The query requires an index"):
            list(query.stream())
