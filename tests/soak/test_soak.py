"""A shop in use for a long time, through rollovers between this release and the previous one.

    SOAK_SECONDS=3600 PREVIOUS=v0.1.0 .venv/bin/python -m pytest tests/soak -s

There are two pairs of order and inventory on one database. The first pair runs from the start to the
end, and its resources are compared. The second pair is replaced every few seconds. In the first half
it changes between this release and the previous one, so that each reads and changes the documents of
the other. Then `upgrade` runs. In the second half clients also hold orders until a payment, and
change parts of orders, which the previous release does not know.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from support.emulator.firestore_process import Firestore
from support.peers.event_sink import EventSink
from support.processes import releases
from support.processes.releases import THIS, ReleaseNotFoundError
from support.processes.resources import Growth, Resources, Row, table, verdict
from support.processes.sale import (
    OPENING_STOCK,
    PRODUCTS,
    Sale,
    check,
    check_events,
    sweep_until_done,
)
from support.processes.shop import COMMAND_SECONDS, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from local.processes import Process
    from support.processes.releases import Release
    from support.processes.sale import Role

SECONDS = float(os.environ.get("SOAK_SECONDS") or 120)
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))  # noqa: S311 - no secret
WARM_UP_RESPONSES = 400
"""Before the resources are measured for the first time: every thread and cache is in use."""
BUYERS, BUYER_PAUSE = 6, 0.5
"""A soak is long, not fast: the load is what two cores serve easily."""
ROLLOVER_EVERY, SWEEP_EVERY = 5.0, 3.0

FUNCTION_GROWTH = Growth(megabytes=16, descriptors=32, threads=8)
"""An idle connection for each thread of the server, and what an allocator keeps. The limit is the
same for any duration, so a leak of one descriptor or thread in a hundred requests exceeds it."""


class Soak(Sale):
    """A sale whose second pair is replaced again and again."""

    def __init__(self, shop: Shop, seed: int, pairs: Sequence[tuple[Release, Release]]) -> None:
        """``pairs``: the releases of order and inventory, in the sequence of the rollovers."""
        super().__init__(shop, seed, BUYER_PAUSE)
        self.rollovers: Counter[tuple[str, str]] = Counter()
        self.sweeps: Counter[str] = Counter()
        self._cycle = itertools.cycle(pairs)
        self._pairs = pairs
        self._order_release = THIS

    @property
    def complete(self) -> bool:
        """Each rollover was made at least once, and each release has run a sweep."""
        names = {(order.name, inventory.name) for order, inventory in self._pairs}
        return names == self.rollovers.keys() and self.sweeps.keys() >= {
            order.name for order, _ in self._pairs
        }

    def roll_over(self, chance: random.Random) -> None:
        self.over.wait(chance.uniform(0.5, 1.5) * ROLLOVER_EVERY)
        order, inventory = next(self._cycle)
        assert self.shop.roll_over(1, order, inventory) == [0, 0]
        self.rollovers[order.name, inventory.name] += 1

    def reconcile(self, chance: random.Random) -> None:
        """Run reconcile of one of the releases."""
        self.over.wait(chance.uniform(0.5, 1.5) * SWEEP_EVERY)
        release = chance.choice(self._pairs)[0]
        sweep = self.shop.command("reconcile", release=release, RECONCILE_AFTER_SECONDS="5")
        sweep.start()
        assert sweep.wait(COMMAND_SECONDS) == 0, sweep.log.read_text()
        self.sweeps[release.name] += 1

    def whole_orders(self) -> list[Role]:
        """The roles that every release knows."""
        return [
            *[self.buy_without_hold] * BUYERS,
            self.cancel,
            self.fulfil,
            self.restock,
            self.reconcile,
            self.roll_over,
        ]

    def all_roles(self) -> list[Role]:
        return [
            *[self.buy] * BUYERS,
            self.cancel,
            self.fulfil,
            *[self.move_part] * 2,
            self.confirm,
            self.restock,
            self.reconcile,
            self.roll_over,
        ]


class View:
    """The progress of the stages, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def run(self, title: str, sale: Soak, roles: Sequence[Role], seconds: float) -> None:
        """Until the time is over and the stage is complete, or a client has an error."""
        task = self._progress.add_task(title, total=seconds, counts="")
        began = time.monotonic()
        with sale.under_way(*roles):
            while not sale.errors and (time.monotonic() - began < seconds or not sale.complete):
                sale.over.wait(0.5)
                counts = f"{len(sale.told.placed)} orders, {sale.rollovers.total()} rollovers"
                self._progress.update(task, completed=time.monotonic() - began, counts=counts)


@pytest.fixture
def firestore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Firestore]:
    process = Firestore(tmp_path)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", process.address)  # for clients in this process
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def sink() -> Iterator[EventSink]:
    with EventSink() as sink:
        yield sink


@pytest.fixture
def shop(firestore: Firestore, tmp_path: Path, sink: EventSink) -> Iterator[Shop]:
    with Shop(firestore.address, tmp_path, pairs=2, EVENT_SINK_URL=sink.url) as shop:
        yield shop


@pytest.fixture
def console(capsys: pytest.CaptureFixture[str]) -> Iterator[Console]:
    """Writes to the terminal while the test runs."""
    with capsys.disabled():
        made = Console()
        made.print()
        yield made


def previous_release(folder: Path, console: Console) -> Release | None:
    try:
        found = releases.previous(folder)
    except ReleaseNotFoundError as error:
        console.print(f"The rollovers are between processes of this release only: {error}")
        return None
    console.print(f"The previous release is {found.name}.")
    return found


def mixed(previous: Release | None) -> list[tuple[Release, Release]]:
    """An upgrade and a rollback: inventory is upgraded before order, and rolled back after it."""
    if previous is None:
        return [(THIS, THIS)]
    return [(previous, THIS), (previous, previous), (previous, THIS), (THIS, THIS)]


@pytest.mark.timeout(2 * SECONDS + 600)
def test_shop_is_consistent_and_its_processes_stay_flat_in_long_use(
    shop: Shop, firestore: Firestore, sink: EventSink, console: Console, tmp_path: Path
) -> None:
    previous = previous_release(tmp_path / "previous", console)
    for product in PRODUCTS:
        shop.offer(product, OPENING_STOCK)
    pids = {
        "order": shop.pid(shop.orders[0]),
        "inventory": shop.pid(shop.inventories[0]),
        "emulator": firestore.pid,
    }
    warm_up(shop)
    start = {name: Resources.of(pid) for name, pid in pids.items()}
    sales = []
    with View(console) as view:
        for title, pairs in (
            ("with the previous release", mixed(previous)),
            ("this release", [(THIS, THIS)]),
        ):
            sale = Soak(shop, SEED + len(sales), pairs)
            roles = sale.all_roles() if sales else sale.whole_orders()
            view.run(title, sale, roles, SECONDS / 2)
            sales.append(sale)
            assert not sale.errors
            if len(sales) == 1:
                assert shop.roll_over(1, THIS, THIS) == [0, 0]
                code, line = shop.carry_out("upgrade")
                assert (code, line["left"]) == (0, 0), line
    end = {name: Resources.of(pid) for name, pid in pids.items()}
    rows = [Row(name, start[name], end[name], FUNCTION_GROWTH) for name in pids]
    console.print(table(rows))
    console.print(verdict(rows))
    for sale in sales:
        console.print(f"{dict(sale.told.statuses)}, {dict(sale.rollovers)}, {dict(sale.sweeps)}")
    reports = list(sweep_until_done(shop))
    console.print(reports)
    code, line = shop.carry_out("audit", "--grace", "0")
    console.print(line)
    assert (code, line["findings"]) == (0, 0), line
    documents = shop.documents()
    console.print(len(documents))
    for sale in sales:
        check(sale.told, documents)
    check_events(sink, documents)


def warm_up(shop: Shop) -> None:
    sale = Soak(shop, SEED, [(THIS, THIS)])
    with sale.under_way(*sale.whole_orders()):
        while not sale.errors and sale.told.statuses.total() < WARM_UP_RESPONSES:
            sale.over.wait(0.1)
    assert not sale.errors
