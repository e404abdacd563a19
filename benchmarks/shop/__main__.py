"""`python -m benchmarks.shop [part ...]` measures, prints tables and writes results.json.

Without a part it measures all of ``PARTS``, in a quarter of an hour. The exit code is 1 if a
requirement does not hold or an order of our design failed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from costs import acts
from local.origin import origin
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import official
from benchmarks.packages import installed
from benchmarks.shop import cold, layer, page, sales, usage
from benchmarks.shop.buyers import Sales
from benchmarks.shop.peers import postgres
from benchmarks.shop.requirements import LINES, failed
from firestore_emulator.launcher import emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

OFFICIAL_SALE_SECONDS = 20.0  # the usual design sells one unit in two seconds there
LAYER_SECONDS, OFFICIAL_LAYER_SECONDS = 4.0, 20.0
LAYER_ROUNDS = 3


FAILED_MS = 60_000
"""Stands for the wait of a buyer whose order failed."""
MIN_PLACED = 20
"""A ratio to fewer sales than these says nothing."""
PEER_PACKAGES = Path(postgres.__file__).with_name("requirements.txt")
PEERS = {"flask": "flask_postgres", "fastapi": "fastapi_postgres", "optimistic": "optimistic"}
"""The designs beside ours, and what their ratios are called."""


class Run:
    """One run of the benchmark: its figures, and the log folder of its processes."""

    def __init__(self, console: Console, logs: Path) -> None:
        self.console, self.logs = console, logs
        self.ratios: dict[str, float | str] = {}
        """A text, if the baseline has hardly sold anything."""
        self.raw: dict[str, object] = {}
        self.failures: dict[str, int] = {}

    def hot(self) -> None:
        """One product, then fifty, over HTTP; ours and the usual design."""
        with started("embedded") as address:
            found = sales.hot_and_many(address, self.logs, sales.ROUNDS, sales.SECONDS)
        self._sold("sales", found)
        self.ratio("hot_over_many", found["ours hot"], found["ours many"])
        self.ratio("hot_http_ratio", found["ours hot"], found["usual hot"])
        self.ratio("many_ratio", found["ours many"], found["usual many"])

    def hot_official(self) -> None:
        """Part hot on the official emulator, if it is installed."""
        with started("official") as address:
            found = sales.hot_and_many(address, self.logs, 1, OFFICIAL_SALE_SECONDS)
        self._sold("sales_official", found)
        self.ratio("hot_http_ratio_official", found["ours hot"], found["usual hot"])

    def peers(self) -> None:
        """One product, then fifty: ours, optimistic commits, and two shops on PostgreSQL."""
        with (
            installed(PEER_PACKAGES) as packages,
            postgres.running() as server,
            started("embedded") as address,
        ):
            found = sales.beside_peers(address, server, packages, self.logs, sales.ROUNDS)
        self._sold("sales_beside_peers", found)
        for kind in ("hot", "many"):
            for name, key in PEERS.items():
                self.ratio(f"{kind}_over_{key}", found[f"ours {kind}"], found[f"{name} {kind}"])

    def open(self) -> None:
        """One product to buyers who arrive at a fixed rate: ours, and two shops on PostgreSQL."""
        with (
            installed(PEER_PACKAGES) as packages,
            postgres.running() as server,
            started("embedded") as address,
        ):
            found = sales.at_open_rates(address, server, packages, self.logs)
        self._record("sales_open", found)
        self.failures |= sales.failures({name: found[name] for name in sales.OPEN_NOT_OVERLOADED})

    def far(self) -> None:
        """200 buyers of one product, with the service's latency and few commits a second."""
        for rate in sales.FAR_RATES:
            found = sales.of_a_hot_document(self.logs, rate)
            self._sold(f"sales_far_{rate}", found)
            self.ratio(f"far_{rate}_over_usual", found["ours"], found["usual"])
            self.ratios[f"far_{rate}_p99_ms"] = round(min(found["ours"].percentile(99), FAILED_MS))

    def layer(self) -> None:
        """The transaction layer without HTTP."""
        self._layer("hot_layer_ratio", "embedded", LAYER_ROUNDS, LAYER_SECONDS)

    def layer_official(self) -> None:
        """Part layer on the official emulator, if it is installed."""
        self._layer("hot_layer_ratio_official", "official", 1, OFFICIAL_LAYER_SECONDS)

    def processes(self) -> None:
        """200 buyers of one product, with one process of inventory and with four."""
        with started("embedded") as address:
            self._sold("inventory_processes", sales.processes(address, self.logs))

    def kill(self) -> None:
        """An inventory process is killed under load."""
        found = {}
        for which in ("embedded",) if official.missing() else ("embedded", "official"):
            with started(which) as address:
                found[which] = sales.after_a_kill(address, self.logs)
        self.raw["seconds_to_next_sale_after_kill"] = found
        self.ratios["next_sale_after_kill"] = max(found.values())

    def warm(self) -> None:
        """Sequential orders; ours and the floor."""
        with started("embedded") as address:
            found = sales.one_at_a_time(address, self.logs)
        self.raw["one_order_p50_ms"] = found
        self.ratios["warm_over_floor"] = round(found["ours"] / found["floor"], 3)

    def events(self) -> None:
        """Fifty products over HTTP, with events and without."""
        with started("embedded") as address:
            found = sales.with_and_without_events(address, self.logs, sales.ROUNDS)
        self._sold("sales_with_events", found)
        self.ratio("with_events_ratio", found["with events"], found["without events"])

    def cold(self) -> None:
        """Time from the start of a process to its first response."""
        with started("embedded") as address:
            found = cold.seconds_to_first_response(address, self.logs)
        self.raw["seconds_to_first_answer"] = found
        self.ratios["cold_over_hello"] = round(found["order"] / found["hello"], 3)

    def usage(self) -> None:
        """Processor time of an order by process, and memory at rest."""
        with started("embedded") as address:
            found = usage.of_an_order(address, self.logs)
        self.ratios |= {key: round(value, 3) for key, value in found.items()}

    def cost(self) -> None:
        """Firestore usage of an order, counted by the emulator."""
        self.ratios |= acts.figures(acts.measure(self.logs))

    def _layer(self, key: str, which: str, rounds: int, seconds: float) -> None:
        with started(which) as address:
            layers = layer.layers(address, "P-layer")
            found: dict[str, list[float]] = {name: [] for name in layers}
            for _ in range(rounds):
                for name, one in layers.items():
                    found[name].append(layer.reservations_per_second(one, "P-layer", seconds))
        medians = {name: statistics.median(rates) for name, rates in found.items()}
        self.raw[f"{key}_reservations_per_second"] = medians
        self.ratio(
            key,
            Sales(seconds, [seconds] * round(medians["ours"] * seconds)),
            Sales(seconds, [seconds] * round(medians["usual"] * seconds)),
        )

    def ratio(self, key: str, ours: Sales, other: Sales) -> None:
        """Sales of ours over those of the other."""
        if other.placed < MIN_PLACED:
            self.ratios[key] = f"the baseline sold {other.placed} units, ours {ours.placed}"
        else:
            self.ratios[key] = round(ours.per_second / other.per_second, 3)

    def _sold(self, key: str, found: dict[str, Sales]) -> None:
        self._record(key, found)
        self.failures |= sales.failures(found)

    def _record(self, key: str, found: dict[str, Sales]) -> None:
        self.raw[key] = {name: sold.figures() for name, sold in found.items()}
        table = Table(title=key.replace("_", " "))
        headings = ("", "orders/s", "share placed", "p50 ms", "p99 ms", "409", "other failures")
        for heading in headings:
            table.add_column(heading, justify="left" if not heading else "right")
        for name, sold in found.items():
            table.add_row(
                name,
                f"{sold.per_second:.1f}",
                f"{sold.share_placed:.1%}",
                f"{sold.percentile(50):.0f}",
                f"{sold.percentile(99):.0f}",
                str(sold.rejected or ""),
                ", ".join(f"{count} times {status}" for status, count in sold.failures.items()),
            )
        self.console.print(table)


PARTS: dict[str, Callable[[Run], None]] = {
    "hot": Run.hot,
    "hot-official": Run.hot_official,
    "peers": Run.peers,
    "open": Run.open,
    "far": Run.far,
    "layer": Run.layer,
    "layer-official": Run.layer_official,
    "processes": Run.processes,
    "kill": Run.kill,
    "warm": Run.warm,
    "events": Run.events,
    "cold": Run.cold,
    "usage": Run.usage,
    "cost": Run.cost,
}


def started(which: str) -> AbstractContextManager[str]:
    """A new emulator of this kind; its address."""
    return emulator({**os.environ, "EMULATOR": which, "FIRESTORE_EMULATOR_HOST": ""})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shop")
    parser.add_argument("part", nargs="*", metavar="part", help=", ".join(PARTS))
    wanted = parser.parse_args().part or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    console = Console()
    if (reason := official.missing()) is not None:
        wanted = [part for part in wanted if not part.endswith("official")]
        console.print(
            f"Without the official emulator its parts are skipped. {reason}", style="yellow"
        )
    if (reason := postgres.missing()) is not None and {"peers", "open"} & {*wanted}:
        wanted = [part for part in wanted if part not in ("peers", "open")]
        console.print(f"Without PostgreSQL peers and open are skipped. {reason}", style="yellow")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as logs:
        run = Run(console, Path(logs))
        _measure(run, wanted, console)
    console.print(_table(run))
    page.store(run.ratios, run.raw, origin("benchmarks.shop", sys.argv[1:]))
    if run.failures:
        console.print(f"Orders of our design failed: {run.failures}", style="red")
    if run.failures or failed(run.ratios):
        sys.exit(1)


def _measure(run: Run, parts: list[str], console: Console) -> None:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        for part in parts:
            task = progress.add_task(f"{part}: {PARTS[part].__doc__}")
            PARTS[part](run)
            progress.remove_task(task)


def _table(run: Run) -> Table:
    table = Table(title="The shop")
    for heading in ("", "measured", "required", ""):
        table.add_column(heading, justify="right" if heading else "left")
    missed = failed(run.ratios)
    for line in LINES:
        if line.key in run.ratios:
            found = run.ratios[line.key]
            if isinstance(found, str):
                table.add_row(line.title, found, "", "")
                continue
            verdict = "missed" if line in missed else "holds"
            table.add_row(line.title, f"{found:.3g}", line.required, verdict)
    return table


if __name__ == "__main__":
    main()
