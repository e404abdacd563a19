"""`python -m benchmarks.staff_lists` measures the reads of a page of staff's lists of orders.

It writes many orders into the embedded emulator, with the indexes of the repository. Then it reads
the first two pages of 50 of each list through one process of order. The emulator counts the
documents that Firestore would charge for. The numbers must not depend on the number of orders.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from costs.usage import Meter, Usage
from local import shop as local_shop
from local import stack
from local.processes import direct_session

from benchmarks.staff_lists import orders
from firestore_emulator.launcher import emulator, free_port
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = "staff-lists"
LIMIT = 50
RUNS = 3
ORDERS = 100_000
_SECONDS = 120


class Page(NamedTuple):
    usage: Usage
    milliseconds: float
    entries: int


def lists(count: int) -> Mapping[str, Mapping[str, str]]:
    """The query parameters of each list, by its name."""
    middle = (orders.FIRST.timestamp() + count / 2) if count else 0
    time_of_middle = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle))
    return {
        "all": {},
        "one status": {"status": "confirmed"},
        "two statuses": {"status": "confirmed,cancelled"},
        "rejected": {"status": "rejected"},
        "rejected and confirmed": {"status": "rejected,confirmed"},
        "every status": {
            "status": "pending,awaiting_payment,confirmed,changing,partially_fulfilled,"
            "cancelling,cancelled,rejected,fulfilling,fulfilled"
        },
        "before a time": {"created_to": time_of_middle},
        "from a time": {"created_from": time_of_middle},
        "a product": {"product_id": "P007"},
        "a product and a status": {"product_id": "P007", "status": "fulfilled"},
        "a customer": {"customer_id": "C7"},
        "a customer and a status": {"customer_id": "C7", "status": "fulfilled"},
        "ids that begin with ORD0": {"order_id": "ORD0"},
        "changes since a time": {"updated_since": "2000-01-01T00:00:00Z"},
    }


def measure(count: int, logs: Path) -> dict[str, tuple[Page, Page]]:
    """The first two pages of each list, in a shop of so many orders."""
    environ = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    indexes = f"--require-indexes={stack.ROOT / 'firestore.indexes.json'}"
    with ExitStack() as ends:
        address = ends.enter_context(emulator(environ, options=[indexes]))
        fill(address, count)
        port = free_port()
        order = stack.function("order", port, local_shop.settings(address, PROJECT), logs)
        ends.callback(order.stop)
        stack.start([order], [port])
        meter = Meter(address, PROJECT)
        url = f"http://{stack.HOST}:{port}/orders"
        return {name: _measure(url, query, meter) for name, query in lists(count).items()}


def fill(address: str, count: int) -> None:
    before = os.environ.get("FIRESTORE_EMULATOR_HOST")
    os.environ["FIRESTORE_EMULATOR_HOST"] = address  # for this process's own client
    connection = FirestoreConnection(FirestoreSettings(PROJECT, "(default)", address))
    orders.write(connection, count)
    connection.close()
    if before is not None:
        os.environ["FIRESTORE_EMULATOR_HOST"] = before


def _measure(url: str, query: Mapping[str, str], meter: Meter) -> tuple[Page, Page]:
    read(url, query)  # the first read opens the channel
    first = [_page(url, query, meter) for _ in range(RUNS)]
    cursor = first[0][1]["next_cursor"]
    following = {**query, "cursor": cursor} if cursor else query
    second = [_page(url, following, meter) for _ in range(RUNS)]
    return _median(first), _median(second)


def _page(url: str, query: Mapping[str, str], meter: Meter) -> tuple[Page, Any]:
    before, began = meter.read(), time.perf_counter()
    body = read(url, query)
    milliseconds = (time.perf_counter() - began) * 1000
    return Page(meter.read() - before, milliseconds, len(body["orders"])), body


def read(url: str, query: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": f"Bearer {local_shop.OPERATOR_TOKEN}"}
    with direct_session() as session:
        params = {**query, "limit": str(LIMIT)}
        response = session.get(url, params=params, headers=headers, timeout=_SECONDS)
        response.raise_for_status()
        return response.json()


def _median(pages: list[tuple[Page, Any]]) -> Page:
    milliseconds = statistics.median(page.milliseconds for page, _ in pages)
    return pages[0][0]._replace(milliseconds=milliseconds)


def table(measured: Mapping[str, tuple[Page, Page]]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| List | Orders | Reads | Queries | ms | Reads of page 2 | ms |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, (first, second) in measured.items():
        yield (
            f"| {name} | {first.entries} | {first.usage.reads} | {first.usage.round_trips}"
            f" | {first.milliseconds:.0f} | {second.usage.reads} | {second.milliseconds:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.staff_lists", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="default: %(default)s")
    count = parser.parse_args().orders
    with tempfile.TemporaryDirectory(prefix="staff-lists-") as logs:
        measured = measure(count, Path(logs))
    print("\n".join(table(measured)))  # noqa: T201


if __name__ == "__main__":
    main()
