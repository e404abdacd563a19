"""firestore.indexes.json has exactly the indexes that the functions' queries need.

Every test on the embedded emulator shows that none is missing, because the emulator rejects a query
without its index. The tests here show that each index is needed by a query.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import FailedPrecondition
from google.cloud.firestore import FieldFilter
from support.emulator.instances import INDEXES, REQUIRE_INDEXES, in_environment, running
from support.in_process.crashing import CrashingShop
from support.stores.queries import QUERIES

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
    assert definitions(collected) == definitions(INDEXES)


def definitions(file: Path) -> dict[str, list[Any]]:
    """Compare without the order."""
    content = json.loads(file.read_text())
    return {key: sorted(content[key], key=json.dumps) for key in content}


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
