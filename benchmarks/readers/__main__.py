"""`python -m benchmarks.readers` measures customers beside readers of long lists.

For each kind of list and number of readers: orders a second and p99 of 8 customers, alone and
beside the readers, and the responses that the readers got. A reader sends the next request as soon
as it has the response to the last one; after a 503 it waits as long as ``Retry-After`` says.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.shop import system
from benchmarks.shop.buyers import Sales, sell
from firestore_emulator.launcher import emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.shop import Shop

BUYERS, READERS = 8, (12, 24, 32)
PLENTY, PRODUCTS = 1_000_000, 220
PREPARE_SECONDS = 6.0
TIMEOUT = 60
UNAVAILABLE = 503


@dataclass(slots=True)
class Reads:
    latencies: dict[str, list[float]] = field(default_factory=dict)
    """Seconds, by status."""
    details: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        parts = []
        for status, found in sorted(self.latencies.items()):
            found.sort()
            p99 = found[min(len(found) - 1, int(0.99 * len(found)))]
            parts.append(
                f"{len(found)} x {status} (p50 {found[len(found) // 2]:.2f} s, p99 {p99:.2f} s)"
            )
        return ", ".join(parts)


class Reader(threading.Thread):
    def __init__(self, address: str, path: str, reads: Reads, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._address, self._path, self._reads, self._ended = address, path, reads, ended

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
        while not self._ended.is_set():
            began, pause = time.monotonic(), 0.0
            try:
                connection.request("GET", self._path)
                response = connection.getresponse()
                body, status = response.read(), str(response.status)
                if response.status == UNAVAILABLE:
                    self._reads.details[body.decode().partition('"detail":"')[2][:60]] += 1
                    pause = float(response.headers["Retry-After"])
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status = type(error).__name__
            self._reads.latencies.setdefault(status, []).append(time.monotonic() - began)
            self._ended.wait(pause)
        connection.close()


@contextmanager
def reading(address: str, path: str, readers: int) -> Iterator[Reads]:
    reads, ended = Reads(), threading.Event()
    threads = [Reader(address, path, reads, ended) for _ in range(readers)]
    for thread in threads:
        thread.start()
    try:
        yield reads
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def show(name: str, sales: Sales, alone: Sales, reads: Reads) -> None:
    share = sales.per_second / alone.per_second
    alone_p99, p99 = alone.percentile(99), sales.percentile(99)
    first = f"{name}: {sales.per_second:.0f} orders/s, {alone.per_second:.0f} alone: {share:.2f}"
    second = f"  p99 {p99:.0f} ms, {alone_p99:.0f} alone; failures {dict(sales.failures)}"
    details = (f"  {n} x {each}" for each, n in reads.details.items())
    lines = [first, second, f"  {reads.line()}", *details]
    print(*lines, sep="\n", flush=True)  # noqa: T201 - the output of the command


def list_of_one(measured: Shop) -> None:
    """Place orders of one customer, a few more than a page: the emulator scans all of them.

    Firestore reads a page from an index, independent of their number.
    """
    connection = http.client.HTTPConnection(measured.orders[0], timeout=TIMEOUT)
    for _ in range(PRODUCTS):
        body = json.dumps({"customer_id": "C200", "product_id": "P000", "quantity": 1})
        connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--readers", type=int, nargs="+", default=READERS)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as logs,
        emulator({**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}) as address,
        system.running(address, "bench-readers", Path(logs)) as measured,
    ):
        for n in range(PRODUCTS):
            measured.offer(f"P{n:03}", PLENTY)
        customers = (measured.orders, [f"P{n:03}" for n in range(BUYERS)], BUYERS)
        sell(*customers, PREPARE_SECONDS)
        list_of_one(measured)
        inventory = measured.catalogue.removeprefix("http://")
        lists = {
            "orders": (measured.orders[0], "/orders?customer_id=C200&limit=200"),
            "products": (measured.orders[0], "/products?limit=200"),
            "products of inventory": (inventory, "/products?limit=200"),
        }
        for name, (where, path) in lists.items():
            for readers in chosen.readers:
                alone = sell(*customers, chosen.seconds)
                with reading(where, path, readers) as reads:
                    sales = sell(*customers, chosen.seconds)
                show(f"{readers} readers of {name}", sales, alone, reads)


if __name__ == "__main__":
    main()
