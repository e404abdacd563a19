"""python -m benchmarks.servers: measures HTTP servers under the same app, and keeps the figures.

All servers and all parts take about half an hour; ``--page`` writes the table of the last run into
docs/performance.md and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import shop as local_shop
from local.origin import origin
from local.processes import LocalError
from local.stack import ROOT
from rich.console import Console

from benchmarks import results
from benchmarks.hostile.beside import Plan
from benchmarks.hostile.kinds import KINDS
from benchmarks.packages import installed
from benchmarks.servers import measure, page
from benchmarks.servers.candidates import CANDIDATES, REQUIREMENTS, Candidate
from firestore_emulator.launcher import emulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.servers.measure import Figures, Stage

PAGE = ROOT / "docs/performance.md"
PRODUCTS = [f"P-{n}" for n in range(50)]
CONNECTIONS = (32, 200, 1000)
PLAN = Plan(settle=1.0, beside=2.0, alone=1.0, rounds=1)
QUICK = Plan(settle=0.3, beside=0.5, alone=0.3, rounds=1)


def parts(*, quick: bool, kinds: list[str]) -> dict[str, Callable[[Candidate, Stage], Figures]]:
    """The measurements of each server, by name."""
    seconds, times, plan = (1.0, 1, QUICK) if quick else (6.0, 5, PLAN)
    return {
        "start": lambda candidate, stage: measure.start(candidate, stage, times),
        "load": lambda candidate, stage: measure.load(candidate, stage, CONNECTIONS, seconds),
        "hostile": lambda candidate, stage: measure.hostile(candidate, stage, plan, kinds),
        "stop": measure.stop,
        "ulimit": measure.few_descriptors,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers")
    names, all_parts = [each.name for each in CANDIDATES], [*parts(quick=True, kinds=[]), "idle"]
    parser.add_argument("--server", action="append", choices=names, help="default: all")
    parser.add_argument("--part", action="append", choices=all_parts, help="default: all")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="of hostile clients")
    parser.add_argument("--quick", action="store_true", help="short windows: only to try it out")
    parser.add_argument("--results", type=Path, default=results.PATH, help="where figures go")
    parser.add_argument("--page", action="store_true", help="write the page from the figures")
    chosen = parser.parse_args()
    if not chosen.page:
        candidates = [each for each in CANDIDATES if each.name in (chosen.server or names)]
        found = _measure(candidates, chosen, chosen.part or all_parts)
        results.merge(
            {"servers": {**origin("benchmarks.servers", sys.argv[1:]), "figures": found}},
            chosen.results,
        )
    servers = json.loads(chosen.results.read_text())["servers"]
    table = page.markdown(servers)
    if chosen.page:
        PAGE.write_text(page.inserted(PAGE.read_text(), table))
    sys.stdout.write(table)


def _measure(
    candidates: list[Candidate], chosen: argparse.Namespace, wanted: list[str]
) -> dict[str, Any]:
    _allow_descriptors()
    console, found = Console(stderr=True), {each.name: dict[str, Any]() for each in candidates}
    environment = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    with (
        tempfile.TemporaryDirectory(prefix="servers-") as logs,
        installed(REQUIREMENTS) as packages,
        emulator(environment) as address,
        local_shop.running(address, "bench-servers", Path(logs)) as shop,
    ):
        for product in PRODUCTS:
            shop.offer(product, measure.PLENTY)
        settings = local_shop.settings(address, "bench-servers", shop.catalogue)
        settings["PYTHONPATH"] = packages
        stage = measure.Stage(shop, settings, Path(logs), PRODUCTS)
        kinds = chosen.kind or list(KINDS)
        for name, part in parts(quick=chosen.quick, kinds=kinds).items():
            for candidate in candidates if name in wanted else []:
                console.print(f"{name}: {candidate.name}")
                try:
                    found[candidate.name] |= part(candidate, stage)
                except LocalError as error:
                    console.print(f"{candidate.name}: {error}", style="red", markup=False)
        if "idle" in wanted:
            seconds = 1.0 if chosen.quick else measure.IDLE_SECONDS
            for name, figures in measure.idle(candidates, stage, seconds).items():
                found[name] |= figures
    return found


def _allow_descriptors() -> None:
    """As many as the system allows; the servers inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
