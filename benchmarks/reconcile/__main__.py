"""`python -m benchmarks.reconcile` measures how many held reservations a sweep confirms per second.

It writes confirmed orders and their held reservations into the embedded emulator. Then it runs the
reconcile command with one process of inventory and prints its report. With ``--buyers``, clients
place orders through one process of order at the same time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from local import shop as local_shop
from local import stack
from local.processes import direct_session

from benchmarks.emulator import process
from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Change, Documents
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings
from order_function.domain import Attempt, Line, Order, PricedLine
from order_function.order_documents import to_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions_common.firestore.documents import Path as DocumentPath

PROJECT = "bench-reconcile"
PRODUCT = "P001"
BATCH = 400
"""Documents in one request while the backlog is written."""
LONGEST_RUN = 1800
WARM_UP = 5.0
"""Seconds of orders before the sweep, for comparison."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.reconcile", description=__doc__)
    parser.add_argument("--held", type=int, default=20_000, help="reservations to confirm")
    parser.add_argument("--buyers", type=int, default=0, help="clients that order at the same time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs, process.started("embedded") as emulator:
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.address  # for this process's own client
        measure(emulator, Path(logs), arguments.held, arguments.buyers)
        show({"emulator_megabytes": round(emulator.megabytes())})


def measure(emulator: process.Emulator, logs: Path, held: int, buyers: int) -> None:
    address = emulator.address
    with local_shop.running(address, PROJECT, logs) as shop:
        shop.offer(PRODUCT, 1_000_000)
        began = time.monotonic()
        write_backlog(address, held)
        show({"held": held, "seconds_to_write": round(time.monotonic() - began, 1)})
        with Buyers(shop.orders[0], buyers) as ordering:
            time.sleep(WARM_UP if buyers else 0)
            before, alone = time.monotonic(), ordering.placed
            pids = {"emulator": emulator.pid, "inventory": shop.inventories[0].children()[0]}
            spent = {name: -processor_seconds(pid) for name, pid in pids.items()}
            report = sweep(address, shop.catalogue, logs)
            seconds = time.monotonic() - before
            spent["reconcile"] = of_children()
            for name, pid in pids.items():
                spent[name] += processor_seconds(pid)
            meanwhile = ordering.placed - alone
    figures = {
        "seconds": round(seconds, 1),
        "confirmed_per_second": round(report["confirmed"] / seconds),
        "processor_ms_each": {
            name: round(each * 1000 / report["confirmed"], 2) for name, each in spent.items()
        },
        "orders_per_second_before": round(alone / WARM_UP) if buyers else None,
        "orders_per_second_meanwhile": round(meanwhile / seconds) if buyers else None,
        "orders_failed": ordering.failed if buyers else None,
    }
    show({"report": report, **figures})


def write_backlog(address: str, held: int) -> None:
    """Write the backlog: confirmed orders, each with its held reservation."""
    connection = FirestoreConnection(FirestoreSettings(PROJECT, "(default)", address))
    documents = Documents(connection)
    changes: list[Change] = []
    for _ in range(held):
        changes += [Change(path, fields, None) for path, fields in order_and_reservation()]
        if len(changes) >= BATCH:
            write(documents, changes)
            changes = []
    if changes:
        write(documents, changes)
    connection.close()


def write(documents: Documents, changes: list[Change]) -> None:
    errors = documents.write_each([*map(documents.encode_write, changes)], Deadline.after(60))
    if any(errors):
        raise RuntimeError(f"writing the backlog failed: {errors}")


def order_and_reservation() -> Iterator[tuple[DocumentPath, dict[str, Any]]]:
    attempt = Attempt.begin("C123", [Line(PRODUCT, 1)], None)
    items = (PricedLine(PRODUCT, 1, 99_999, "Laptop"),)
    order = Order.new_reserved(attempt, items, "USD", datetime.now(UTC))
    document = to_document(order)
    yield ("orders", order.order_id), document
    reservation = {
        "status": "held",
        "currency": "USD",
        "nonce": "0" * 16,
        "lines": document["items"],
        "product_ids": [PRODUCT],
    }
    yield ("reservations", attempt.reservation_id), reservation


def sweep(address: str, inventory: str, logs: Path) -> dict[str, Any]:
    """Run the command; the last line of its log."""
    settings = local_shop.settings(address, PROJECT, inventory) | {"RECONCILE_AFTER_SECONDS": "0"}
    command = stack.command("reconcile", settings, logs / "reconcile.log")
    command.start()
    command.wait(LONGEST_RUN)
    log_text = command.log.read_text()
    report: dict[str, Any] = json.loads(log_text.splitlines()[-1])
    if not report["confirmed"]:
        raise RuntimeError(f"nothing was confirmed: {log_text}")
    return report


def processor_seconds(pid: int) -> float:
    """User and system time of a process (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def of_children() -> float:
    """User and system time of ended children: the command is the first of them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)  # noqa: T201


class Buyers:
    """Clients that order one unit after the other."""

    def __init__(self, order: str, count: int) -> None:
        self._url = f"http://{order}/orders"
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._buy) for _ in range(count)]
        self.placed = self.failed = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _buy(self) -> None:
        body = {"customer_id": "C1", "product_id": PRODUCT, "quantity": 1}
        with direct_session() as session:
            while not self._closed.is_set():
                placed = session.post(self._url, json=body, timeout=local_shop.TIMEOUT).ok
                self.placed += placed
                self.failed += not placed


if __name__ == "__main__":
    main()
