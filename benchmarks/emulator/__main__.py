"""`python -m benchmarks.emulator` measures, prints a table and writes results.json.

The exit code is 1 if a requirement does not hold. Without the official emulator, only ours is
measured.
"""

import os
import platform
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import official, results
from benchmarks.emulator.measure import Figures, measure
from benchmarks.emulator.requirements import LINES, failed

OURS, OFFICIAL = "embedded", "official"


def main() -> None:
    console = Console()
    console.print("Measuring takes some minutes.")
    measured = measure(_found(console), console.print)
    console.print(_table(measured))
    results.merge({"emulator": {**_machine(), **measured}})
    if OFFICIAL in measured and failed(measured[OURS], measured[OFFICIAL]):
        sys.exit(1)


def _found(console: Console) -> list[str]:
    if (reason := official.missing()) is not None:
        console.print(reason, style="yellow")
        return [OURS]
    return [OURS, OFFICIAL]


def _machine() -> dict[str, str | int | None]:
    return {"cpus": os.cpu_count(), "python": platform.python_version()}


def _table(measured: dict[str, Figures]) -> Table:
    table = Table(title="Firestore emulators, medians")
    table.add_column("")
    for which in (*measured, "ours / official", "required", ""):
        table.add_column(which, justify="right")
    missed = failed(measured[OURS], measured[OFFICIAL]) if OFFICIAL in measured else []
    for line in LINES:
        values = [of_one[line.figure] for of_one in measured.values()]
        shown = [f"{value:.3g}" for value in values]
        if OFFICIAL in measured:
            verdict = "" if not line.required else "missed" if line in missed else "holds"
            shown += [_ratio(*values), line.required, verdict]
        table.add_row(line.title, *shown)
    return table


def _ratio(ours: float, its: float) -> str:
    return f"{ours / its:.3g}" if its else "∞"


if __name__ == "__main__":
    main()
