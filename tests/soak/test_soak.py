"""A shop in use for a long time, through rollovers between this release and the previous one.

    SOAK_SECONDS=3600 PREVIOUS=v0.1.0 .venv/bin/python -m pytest tests/soak -s

Two pairs of order and inventory share one database. The first pair runs from the start to the end,
and its resources are compared. The second pair is replaced every few seconds.

In the first half the second pair changes between this release and the previous one, so that each
release reads and changes the documents of the other. Then `upgrade` runs. In the second half,
clients also hold orders until a payment, and change parts of orders. The previous release knows
neither.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from costs.usage import Meter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from support.emulator.firestore_process import Firestore, firestore_process
from support.peers.event_sink import EventSink
from support.processes import releases
from support.processes.releases import THIS, ReleaseNotFoundError
from support.processes.resources import FLAT, Resources, Row, table, table_of_start, verdict
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

    from support.processes.releases import Release
    from support.processes.sale import Role

    Pair = tuple[Release, Release]
    """The releases of order and of inventory."""

SECONDS = float(os.environ.get("SOAK_SECONDS") or 120)
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))  # noqa: S311 - no secret
WARM_UP_RESPONSES = 400
"""Before the first measurement, so that every thread, connection and cache is in use."""
BUYERS, BUYER_PAUSE = 6, 1.0
"""Average seconds between two orders of a buyer: two cores serve all clients easily."""
MOVE_PAUSE = 0.1
ROLLOVER_EVERY, SWEEP_EVERY = 8.0, 8.0
"""Average seconds."""

GROWTH = Resources(megabytes=16, descriptors=32, threads=8)
"""The most that a process may grow, in a soak of any length. A pool may still have been growing at
the start. A leak of one descriptor or thread in fifty requests exceeds it in two minutes, and a
leak of 300 bytes a request in an hour."""
MEGABYTES_PER_WRITE = 0.004
"""The emulator keeps all documents in memory, and their old versions for an hour."""


class Soak(Sale):
    """A sale whose second pair is replaced again and again."""

    def __init__(self, shop: Shop, seed: int, pairs: Sequence[Pair]) -> None:
        """``pairs``: the second pair after each rollover, in turn."""
        super().__init__(shop, seed, BUYER_PAUSE)
        self.rollovers: Counter[Pair] = Counter()
        self.sweeps: Counter[Release] = Counter()
        self._releases = list({order for order, _ in pairs})
        self._pairs = set(pairs)
        self._next = itertools.cycle(pairs)

    @property
    def complete(self) -> bool:
        """Each pair was started, and each release has run reconcile."""
        return self._pairs == {*self.rollovers} and {*self._releases} == {*self.sweeps}

    def roll_over(self, chance: random.Random) -> None:
        if self.over.wait(chance.uniform(0.5, 1.5) * ROLLOVER_EVERY):
            return
        pair = next(self._next)
        assert self.shop.roll_over(1, *pair) == [0, 0]
        self.rollovers[pair] += 1

    def move_part(self, chance: random.Random) -> None:
        self.over.wait(chance.uniform(0, 2) * MOVE_PAUSE)
        super().move_part(chance)

    def reconcile(self, chance: random.Random) -> None:
        """Run reconcile of any of the releases."""
        if self.over.wait(chance.uniform(0.5, 1.5) * SWEEP_EVERY):
            return
        release = chance.choice(self._releases)
        sweep = self.shop.command("reconcile", release=release, RECONCILE_AFTER_SECONDS="5")
        sweep.start()
        assert sweep.wait(COMMAND_SECONDS) == 0, sweep.log.read_text()
        self.sweeps[release] += 1

    def roles_of_all_releases(self) -> list[Role]:
        buyers = [self.buy_without_hold] * BUYERS
        return [*buyers, self.cancel, self.fulfil, self.restock, self.reconcile, self.roll_over]

    def roles_of_this_release(self) -> list[Role]:
        buyers = [self.buy] * BUYERS
        changes = [self.cancel, self.fulfil, self.move_part, self.move_part, self.confirm]
        return [*buyers, *changes, self.restock, self.reconcile, self.roll_over]

    def __str__(self) -> str:
        statuses = ", ".join(f"{n} of {status}" for status, n in sorted(self.told.statuses.items()))
        return (
            f"{len(self.told.placed)} orders, {sum(self.rollovers.values())} rollovers,"
            f" {sum(self.sweeps.values())} sweeps; responses: {statuses}"
        )


@pytest.fixture
def firestore(tmp_path: Path) -> Iterator[Firestore]:
    with firestore_process(tmp_path) as process:
        yield process


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
    """Prints while the test runs."""
    with capsys.disabled():
        made = Console()
        made.print()
        yield made


@pytest.fixture
def previous(tmp_path: Path, console: Console) -> Release | None:
    try:
        found = releases.previous(tmp_path / "previous")
    except ReleaseNotFoundError as error:
        console.print(f"Rollovers to the previous release are skipped: {error}", soft_wrap=True)
        return None
    console.print(f"The previous release is {found.name}.")
    return found


@pytest.mark.timeout(2 * SECONDS + 600)
def test_shop_is_consistent_and_its_processes_stay_flat_in_long_use(
    shop: Shop, firestore: Firestore, sink: EventSink, console: Console, previous: Release | None
) -> None:
    for product in PRODUCTS:
        shop.offer(product, OPENING_STOCK)
    warm_up = Soak(shop, SEED, [(THIS, THIS)])
    with warm_up.under_way(*warm_up.roles_of_all_releases()):
        while not warm_up.errors and warm_up.told.statuses.total() < WARM_UP_RESPONSES:
            warm_up.over.wait(0.1)
    assert not warm_up.errors
    start, meter = measured(shop, firestore), Meter(firestore.address, shop.project)
    written_before = meter.read().writes
    console.print(table_of_start(start))

    mixed = Soak(shop, SEED + 100, upgrade_and_rollback(previous))
    run("with the previous release", mixed, mixed.roles_of_all_releases(), console)
    upgrade(shop)
    alone = Soak(shop, SEED + 200, [(THIS, THIS)])
    run("this release", alone, alone.roles_of_this_release(), console)

    rows = compared(start, measured(shop, firestore), meter.read().writes - written_before)
    console.print(table(rows))
    console.print(verdict(rows), soft_wrap=True)
    swept, *_ = sweep_until_done(shop)
    code, audited = shop.carry_out("audit", "--grace", "0")
    counts = ", ".join(f"{number} {name}" for name, number in swept.items() if number)
    console.print(
        f"Seed {SEED}. Reconcile at the end: {counts or 'nothing to do'}."
        f" Audit: {audited['findings']} findings.",
        soft_wrap=True,
    )
    assert (code, audited["findings"]) == (0, 0), audited
    documents = shop.documents()
    for sale in (warm_up, mixed, alone):
        check(sale.told, documents)
    check_events(sink, documents)
    assert verdict(rows) == FLAT


def measured(shop: Shop, firestore: Firestore) -> dict[str, Resources]:
    """The resources of the processes that run from the start to the end."""
    return {
        "order": Resources.of(shop.pid(shop.orders[0])),
        "inventory": Resources.of(shop.pid(shop.inventories[0])),
        "emulator": Resources.of(firestore.pid),
    }


def compared(start: dict[str, Resources], end: dict[str, Resources], writes: int) -> list[Row]:
    allowed = dict.fromkeys(start, GROWTH)
    allowed["emulator"] = GROWTH._replace(megabytes=GROWTH.megabytes + writes * MEGABYTES_PER_WRITE)
    return [Row(name, start[name], end[name], allowed[name]) for name in start]


def upgrade_and_rollback(previous: Release | None) -> list[Pair]:
    """Inventory is upgraded before order, and rolled back after it, as CHANGELOG.md says."""
    if previous is None:
        return [(THIS, THIS)]
    return [(previous, THIS), (previous, previous), (previous, THIS), (THIS, THIS)]


def upgrade(shop: Shop) -> None:
    """End the last processes of the previous release, and complete its documents."""
    assert shop.roll_over(1, THIS, THIS) == [0, 0]
    code, line = shop.carry_out("upgrade")
    assert (code, line["left"]) == (0, 0), line


def run(title: str, sale: Soak, roles: Sequence[Role], console: Console) -> None:
    """Run until half of the soak is over and the sale is complete, or a client has an error."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    began = time.monotonic()
    with Progress(*columns, console=console) as progress, sale.under_way(*roles):
        task = progress.add_task(title, total=SECONDS / 2)
        while not sale.errors and not (progress.finished and sale.complete):
            sale.over.wait(0.5)
            counts = f"{title}: {len(sale.told.placed)} orders"
            progress.update(task, completed=time.monotonic() - began, description=counts)
    console.print(f"{title}: {sale}", soft_wrap=True)
    assert not sale.errors
