"""A process that is killed within a commit of a hot product does not delay the next sale."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests
from support.emulator.instances import REQUIRE_INDEXES, in_environment, running
from support.in_process.apps import ORDER
from support.processes.shop import TIMEOUT, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUYERS = 8
OPENING_STOCK = 1000
COMMIT_MILLISECONDS = 250
"""Long enough that continuous buyers are always within a commit."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    latency = f"--latency=Commit={COMMIT_MILLISECONDS}"
    with (
        running("embedded", REQUIRE_INDEXES, latency) as address,
        in_environment(address),
        Shop(address, tmp_path, pairs=2) as shop,
    ):
        yield shop


class Buyers:
    """Buyers that reserve at one inventory process until it no longer responds."""

    def __init__(self, url: str) -> None:
        self.answered = threading.Semaphore(0)
        self._url = url
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._buy) for _ in range(BUYERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _buy(self) -> None:
        headers = {"Authorization": f"Bearer {ORDER}"}
        body = {"items": [{"product_id": "P-hot", "quantity": 1}]}
        with suppress(requests.RequestException):
            while True:
                path = f"/reservations/ORD{next(self._numbers)}.0.F"
                answer = requests.put(self._url + path, json=body, headers=headers, timeout=TIMEOUT)
                assert answer.status_code == 201, answer.text
                self.answered.release()


def test_next_sale_is_prompt_when_a_process_is_killed_in_a_commit(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.offer("P-hot", OPENING_STOCK)
    buyers = Buyers(shop.inventories[0])
    buyers.start()
    for _ in range(2 * BUYERS):  # the buyers are busy
        assert buyers.answered.acquire(timeout=TIMEOUT)
    time.sleep(COMMIT_MILLISECONDS / 2000)
    shop.kill(shop.inventories[0])
    killed = time.monotonic()
    answer = shop.place("P-hot", n=1)
    seconds = time.monotonic() - killed
    buyers.join()
    assert answer.status_code == 201, answer.text
    with capsys.disabled():
        print(f"\nthe next sale came {seconds:.2f} s after the kill")  # noqa: T201 - a figure
    reserved = [
        document for path, document in shop.documents().items() if path.startswith("reservations/")
    ]
    assert len(reserved) > 2 * BUYERS
    assert shop.stock("P-hot", n=1) == (OPENING_STOCK - len(reserved), len(reserved))
