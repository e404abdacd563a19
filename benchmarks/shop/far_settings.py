"""`python -m benchmarks.shop.far_settings` tries settings on a far database, for operating.md.

The emulator has the latency of part ``far``, and so many commits a second of a document. All buyers
order one product. Each line has other threads of order, or another limit of inventory's queue.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from local.origin import origin
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.shop.sales import far_sale


class Case(NamedTuple):
    commits: int
    """A second, of the product's document."""
    buyers: int
    concurrency: int
    """Threads of order."""
    max_waiting: int
    """Operations in the queue of inventory."""


CASES = (
    *(Case(5, 200, threads, 250) for threads in (32, 64, 128, 256, 512)),
    *(Case(1, 200, threads, 250) for threads in (64, 128, 256)),
    *(Case(1, 400, 512, waiting) for waiting in (100, 250, 500)),
)


def main() -> None:
    columns = (*Case._fields, "orders/s", "p50 ms", "p99 ms", "failures")
    table = Table(*columns, title="Settings on a far database")
    figures = []
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="far-settings-") as logs:
            sold = far_sale(
                Path(logs),
                case.commits,
                buyers=case.buyers,
                concurrency=str(case.concurrency),
                inventory_settings={"MAX_WAITING": str(case.max_waiting)},
            )
        found = sold.figures()
        figures.append(case._asdict() | found)
        cells = (found["orders_per_second"], found["p50_ms"], found["p99_ms"], found["failures"])
        table.add_row(*map(str, (*case, *cells)))
    Console().print(table)
    results.merge(
        {
            "far_settings": {
                **origin("benchmarks.shop.far_settings", sys.argv[1:]),
                "figures": figures,
            }
        }
    )


if __name__ == "__main__":
    main()
