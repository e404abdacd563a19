"""Every query of the functions has a limit, because a collection may have a million documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.in_process.crashing import CrashingShop, UnlimitedQueryError
from support.stores.queries import QUERIES


@pytest.fixture
def shop(emulator: str) -> Iterator[CrashingShop]:
    """A shop whose connections fail a query without a limit."""
    with CrashingShop(emulator) as shop:
        shop.begin()
        yield shop


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_has_a_limit(shop: CrashingShop, query: str) -> None:
    QUERIES[query](shop.order_connection)
    assert shop.network.calls[-1] == "order RunQuery"


def test_query_without_a_limit_fails_in_this_test(shop: CrashingShop) -> None:
    with pytest.raises(UnlimitedQueryError):
        list(shop.order_connection.client.collection("orders").stream())
