"""order and an inventory that sheds load, through both real servers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from support.clients.raw_client import RawClient, get
from support.processes.shop import Shop, at_once, count

pytestmark = pytest.mark.one_emulator


def test_orders_are_placed_when_inventory_sheds_reads(
    which: str, emulator: str, tmp_path: Path
) -> None:
    """Reads fill inventory's few threads and its queue. order repeats its reservations."""
    if which == "official":
        pytest.skip("one emulator is enough: this test is about the two servers")
    with Shop(emulator, tmp_path, CONCURRENCY="4", MAX_QUEUED="1") as shop, ExitStack() as ends:
        shop.offer("P001", 50)
        for _ in range(8):
            reader = ends.enter_context(RawClient(shop.inventories[0]))
            reader.send(get("/products/P001") * 100)
        answers = at_once(lambda n: shop.place("P001", 1, n=n), 4)
        assert set(count(answers)) <= {201, 503}
        assert shop.stock("P001")[1] == count(answers)[201]
