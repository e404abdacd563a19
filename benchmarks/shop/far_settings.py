"""`python -m benchmarks.shop.far_settings` tries settings on a far database, for operating.md.

The emulator has the latency of part ``far``, and so many commits a second of a document. All buyers
order one product. Each line has other threads of order, another limit of inventory's queue, or
other numbers of processes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from local.origin import origin
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.shop import page
from benchmarks.shop.sales import far_sale


class Case(NamedTuple):
    commits: int
    """A second, of the product's document."""
    buyers: int
    concurrency: int
    """Threads of each process of order."""
    max_waiting: int = 250
    """Operations in the queue of each process of inventory."""
    orders: int = 1
    inventories: int = 1


CASES = (
    *(Case(5, 200, threads) for threads in (32, 64, 128, 256, 512)),
    *(Case(1, 200, threads) for threads in (64, 128, 256)),
    *(Case(1, 400, 512, waiting) for waiting in (100, 250, 500)),
    *(Case(rate, 200, 64, orders=4, inventories=pods) for rate in (5, 20) for pods in (1, 2, 4)),
)


def main() -> None:
    console = Console()
    columns = (*Case._fields, "orders/s", "p50 ms", "p99 ms", "failures")
    table = Table(*columns, title="Settings on a far database")
    figures = []
    for case in track(CASES, "Selling with each setting", console=console):
        with tempfile.TemporaryDirectory(prefix="far-settings-") as logs:
            sold = far_sale(
                Path(logs),
                case.commits,
                buyers=case.buyers,
                concurrency=str(case.concurrency),
                orders=case.orders,
                inventories=case.inventories,
                inventory_settings={"MAX_WAITING": str(case.max_waiting)},
            )
        found = sold.figures()
        figures.append(case._asdict() | found)
        cells = (found["orders_per_second"], found["p50_ms"], found["p99_ms"], found["failures"])
        table.add_row(*map(str, (*case, *cells)))
    console.print(table)
    page.store(
        {}, {page.FAR_SETTINGS: figures}, origin("benchmarks.shop.far_settings", sys.argv[1:])
    )
    console.print(
        f"{len(CASES)} settings, all without an oversold unit; written to {page.PAGE.name}"
    )


if __name__ == "__main__":
    main()
