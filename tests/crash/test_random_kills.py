"""Real processes, killed by SIGKILL at random while clients buy, pay, cancel, fulfil and return.

    CRASH_SECONDS=600 CRASH_SEED=7 .venv/bin/python -m pytest tests/crash/test_random_kills.py -s

The seed determines the clients' actions. The exact moment of a kill depends on the machine.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.emulator.firestore_process import Firestore, firestore_process
from support.peers.event_sink import EventSink
from support.processes.sale import (
    OPENING_STOCK,
    PRODUCTS,
    Sale,
    check,
    check_events,
    sweep_until_done,
)
from support.processes.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = float(os.environ.get("CRASH_SECONDS") or 20)
SEED = int(os.environ.get("CRASH_SEED") or random.randrange(10**6))  # noqa: S311 - no secret
KILL_EVERY = 1.0
"""Average seconds between two kills. The processes take turns."""


class Killed(Sale):
    """A sale whose processes are killed."""

    def __init__(self, shop: Shop, firestore: Firestore, seed: int) -> None:
        super().__init__(shop, seed)
        self.firestore = firestore
        self.kills: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        roles = [
            *[self.buy] * 6,
            self.cancel,
            self.fulfil,
            *[self.move_part] * 2,
            *[self.confirm] * 2,
            self.restock,
            self.reconcile,
            self.kill,
        ]
        with self.under_way(*roles):
            time.sleep(seconds)

    def reconcile(self, chance: random.Random) -> None:
        """Run reconcile, and kill one of five while it runs."""
        sweeps = self._start_sweeps(chance)
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0.5, 1.5))
            if sweeps[0].alive:
                sweeps[0].kill()
                self.kills["reconcile"] += 1
                sweeps = sweeps[1:]
        self._finish(sweeps, chance)

    def kill(self, chance: random.Random) -> None:
        self.over.wait(chance.uniform(0.5, 1.5) * KILL_EVERY)
        n = chance.randrange(2)
        name = chance.choice(("order", "inventory", "emulator"))
        if name == "emulator":
            kill, start = self.firestore.kill, self.firestore.start
        else:
            url = (self.shop.orders if name == "order" else self.shop.inventories)[n]
            kill, start = partial(self.shop.kill, url), partial(self.shop.start, url)
        kill()
        self.kills[name] += 1
        self.over.wait(chance.uniform(0, 1.5))  # longer than the timeout of some requests
        start()


@pytest.fixture
def firestore(tmp_path: Path) -> Iterator[Firestore]:
    with firestore_process(tmp_path) as process:
        yield process


@pytest.fixture
def sink() -> Iterator[EventSink]:
    """Fails half of the time."""
    with EventSink() as sink:
        sink.failing = 0.5
        yield sink


@pytest.fixture
def shop(firestore: Firestore, tmp_path: Path, sink: EventSink) -> Iterator[Shop]:
    settings = {"REQUEST_DEADLINE_SECONDS": "2", "EVENT_SINK_URL": sink.url}
    with Shop(firestore.address, tmp_path, pairs=2, **settings) as shop:
        yield shop


@pytest.mark.timeout(SECONDS + 240)
def test_nothing_is_oversold_leaked_or_lost_when_processes_are_killed(
    shop: Shop, firestore: Firestore, sink: EventSink, capsys: pytest.CaptureFixture[str]
) -> None:
    for product in PRODUCTS:
        shop.offer(product, OPENING_STOCK)
    sale = Killed(shop, firestore, SEED)
    sale.run(SECONDS)
    assert not sale.errors
    sink.failing = 0.0
    reports = list(sweep_until_done(shop))
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what one runs it for
            f"\nseed {SEED}, {SECONDS:.0f} s: {sum(sale.kills.values())} kills {dict(sale.kills)},"
            f" responses {dict(sale.told.statuses)}; {len(sale.told.parts)} parts moved,"
            f" {len(sale.told.expired)} confirmations too late; swept up at the end: {reports[0]}"
        )
    code, line = shop.carry_out("audit", "--grace", "0")
    assert (code, line["findings"]) == (0, 0), line
    assert sum(sale.kills.values()) >= SECONDS / 6
    check(sale.told, shop.documents())
    check_events(sink, shop.documents())
