"""`python -m benchmarks.staff_lists` measures the reads of a page of staff's lists of orders.

It writes many orders into the embedded emulator, with the indexes of the repository. Then it reads
the first two pages of 50 of each list through order's app. The emulator counts the
documents that Firestore would charge for. The numbers must not depend on the number of orders.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from costs.usage import Meter, Usage
from local import shop as local_shop
from local import stack

from benchmarks.staff_lists import orders
from firestore_emulator.launcher import emulator
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
from order_function.app import create_app
from order_function.inventory.client import InventoryClient
from order_function.service import Orders
from order_function.settings import Settings
from order_function.store import FirestoreOrderStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = "staff-lists"
LIMIT = 50
ORDERS = 100_000
DEADLINE_SECONDS = 300


class Page(NamedTuple):
    usage: Usage
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


def measure(count: int) -> dict[str, tuple[Page, Page]]:
    """The first two pages of each list, in a shop of so many orders."""
    environ = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    indexes = f"--require-indexes={stack.ROOT / 'firestore.indexes.json'}"
    with ExitStack() as ends:
        address = ends.enter_context(emulator(environ, options=[indexes]))
        ends.enter_context(_in_environment(address))
        connection = FirestoreConnection(FirestoreSettings(PROJECT, "(default)", address))
        ends.callback(connection.close)
        orders.write(connection, count)
        client, meter = _client(address, connection), Meter(address, PROJECT)
        return {name: _measure(client, query, meter) for name, query in lists(count).items()}


@contextmanager
def _in_environment(address: str) -> Iterator[None]:
    """For the client of this process."""
    before = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    os.environ["FIRESTORE_EMULATOR_HOST"] = address
    yield
    os.environ["FIRESTORE_EMULATOR_HOST"] = before


def _client(address: str, connection: FirestoreConnection) -> Any:  # noqa: ANN401 - untyped
    """Order's app in this process: the emulator takes longer for a list than a request may."""
    settings = Settings.load(local_shop.settings(address, PROJECT))
    inventory = InventoryClient(settings.inventory_service_url, settings.token, 1, "USD")
    app = create_app(settings, Orders(FirestoreOrderStore(connection), inventory, DEADLINE_SECONDS))
    return app.test_client()


def _measure(client: Any, query: Mapping[str, str], meter: Meter) -> tuple[Page, Page]:  # noqa: ANN401
    first, cursor = _page(client, query, meter)
    second, _ = _page(client, {**query, "cursor": cursor} if cursor else query, meter)
    return first, second


def _page(client: Any, query: Mapping[str, str], meter: Meter) -> tuple[Page, str | None]:  # noqa: ANN401
    """The page, and the cursor of the next one."""
    headers = {"Authorization": f"Bearer {local_shop.OPERATOR_TOKEN}"}
    before = meter.read()
    response = client.get("/orders", query_string={**query, "limit": LIMIT}, headers=headers)
    if response.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{query}: {response.status_code} {response.text}")
    body = response.json
    return Page(meter.read() - before, len(body["orders"])), body["next_cursor"]


def table(measured: Mapping[str, tuple[Page, Page]]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| List | Orders | Reads | Queries | Reads of page 2 |"
    yield "|---|--:|--:|--:|--:|"
    for name, (first, second) in measured.items():
        reads, queries = first.usage.reads, first.usage.round_trips
        yield f"| {name} | {first.entries} | {reads} | {queries} | {second.usage.reads} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.staff_lists", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="default: %(default)s")
    count = parser.parse_args().orders
    print("\n".join(table(measure(count))))  # noqa: T201


if __name__ == "__main__":
    main()
