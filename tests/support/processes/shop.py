"""The functions as real processes on a real emulator, and a customer's requests to them."""

from __future__ import annotations

import json
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
from local import stack, tokens
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from firestore_emulator.launcher import free_port
from functions_common.firestore.client import FirestoreConnection
from functions_common.runtime.settings import FirestoreSettings
from support.in_process.apps import OPERATOR, ORDER, PAYMENT
from support.processes.releases import THIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.processes import Process

    from support.processes.releases import Release

T = TypeVar("T")
TIMEOUT = 30
COMMAND_SECONDS = 240
"""Seconds, for a command that reads the whole database."""


def patient() -> requests.Session:
    """Repeats a request after 503. The first calls of Google's emulator can exceed a deadline."""
    session = requests.Session()
    again = Retry(total=5, status_forcelist=[503], allowed_methods=None, raise_on_status=False)
    session.mount("http://", HTTPAdapter(max_retries=again))
    return session


class Shop:
    """Pairs of an order and an inventory process, all on one new database."""

    def __init__(self, emulator: str, logs: Path, pairs: int = 1, **settings: str) -> None:
        """The settings apply to both functions."""
        self.project = f"test-{uuid.uuid4().hex[:12]}"
        self.emulator = emulator
        self.orders: list[str] = []
        self.inventories: list[str] = []
        self._processes: dict[str, Process] = {}
        self._logs = logs
        self._pairs = pairs
        self._changes = settings

    def __enter__(self) -> Self:
        for _ in range(self._pairs):
            order, inventory = self._prepare_pair(THIS, THIS)
            self.inventories.append(inventory)
            self.orders.append(order)
        self.start(*self._processes)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.signal(signal.SIGTERM)  # all together: each waits for requests in flight
        for process in self._processes.values():
            process.stop()

    def _prepare_pair(self, order: Release, inventory: Release) -> tuple[str, str]:
        """The addresses of an order and an inventory process, which are not started."""
        stock = self._prepare("inventory", {}, inventory)
        return self._prepare("order", {"INVENTORY_SERVICE_URL": stock}, order), stock

    def _prepare(self, name: str, settings: dict[str, str], release: Release) -> str:
        port = free_port()
        url = f"http://{stack.HOST}:{port}"
        settings = self._settings | settings | release.settings
        self._processes[url] = self._process(name, port, settings, release.root)
        return url

    def _process(self, name: str, port: int, settings: dict[str, str], root: Path) -> Process:
        return stack.function(name, port, settings, self._logs, root)

    def roll_over(self, n: int, order: Release, inventory: Release) -> list[int]:
        """Replace the n-th pair by processes of these releases; the exit codes of the old pair.

        As in a cluster, the new processes get the requests before the old ones get a SIGTERM.
        """
        old = self.orders[n], self.inventories[n]
        new = self._prepare_pair(order, inventory)
        self.start(*new)
        self.orders[n], self.inventories[n] = new
        ended = []
        for url in old:  # order first: its last requests need inventory
            self.signal(url, signal.SIGTERM)
            ended.append(self.wait_until_ended(url))
            del self._processes[url]
        return ended

    @property
    def _settings(self) -> dict[str, str]:
        return {
            "GOOGLE_CLOUD_PROJECT": self.project,
            "FIRESTORE_EMULATOR_HOST": self.emulator,
            **tokens.variables(ORDER, OPERATOR, PAYMENT),
            "AUTH_MODE": "open",
            **self._changes,
        }

    def command(
        self, name: str, *arguments: str, n: int = 0, release: Release = THIS, **settings: str
    ) -> Process:
        """Reconcile, audit or upgrade with the settings of the n-th pair and its own log file."""
        environment = {**self._settings, "INVENTORY_SERVICE_URL": self.inventories[n], **settings}
        log = self._logs / f"{name}-{uuid.uuid4().hex[:8]}.log"
        environment |= release.settings
        return stack.command(name, environment, log, *arguments, root=release.root)

    def carry_out(self, name: str, *arguments: str, **settings: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the last log line of reconcile or audit."""
        process = self.command(name, *arguments, **settings)
        process.start()
        code = process.wait(COMMAND_SECONDS)
        return code, json.loads(process.log.read_text().splitlines()[-1])

    def start(self, *urls: str) -> None:
        ports = [int(url.rpartition(":")[2]) for url in urls]
        stack.start([self._processes[url] for url in urls], ports)

    def pid(self, url: str) -> int:
        return self._processes[url].pid

    def memory(self, url: str) -> float:
        """The resident memory of the serving process, in MB."""
        status = Path(f"/proc/{self.pid(url)}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def said(self, url: str) -> str:
        """The process's log lines."""
        return self._processes[url].log.read_text()

    def kill(self, url: str) -> None:
        self._processes[url].kill()

    def signal(self, url: str, number: signal.Signals) -> None:
        self._processes[url].signal(number)

    def wait_until_ended(self, url: str) -> int:
        """End the process with SIGTERM and return its exit code."""
        return self._processes[url].wait()

    def place(
        self,
        product_id: str,
        quantity: int = 1,
        *,
        n: int = 0,
        key: str | None = None,
        prefer: str | None = None,
        hold_seconds: int | None = None,
    ) -> requests.Response:
        """Place an order of customer C123 through the n-th order process."""
        headers = {"Idempotency-Key": key, "Prefer": prefer}
        hold = {} if hold_seconds is None else {"hold_seconds": hold_seconds}
        return requests.post(
            f"{self.orders[n % len(self.orders)]}/orders",
            json={"customer_id": "C123", "product_id": product_id, "quantity": quantity, **hold},
            headers={name: value for name, value in headers.items() if value is not None},
            timeout=TIMEOUT,
        )

    def cancel(self, order_id: str, *, n: int = 0) -> requests.Response:
        url = f"{self.orders[n % len(self.orders)]}/orders/{order_id}/cancel"
        return requests.post(url, timeout=TIMEOUT)

    def fulfil(self, order_id: str, *, n: int = 0) -> requests.Response:
        url = f"{self.orders[n % len(self.orders)]}/orders/{order_id}/fulfil"
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        return requests.post(url, headers=headers, timeout=TIMEOUT)

    def confirm(self, order_id: str, *, n: int = 0) -> requests.Response:
        """Confirm the payment of an order."""
        url = f"{self.orders[n % len(self.orders)]}/orders/{order_id}/confirm"
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        return requests.post(url, headers=headers, timeout=TIMEOUT)

    def move_part(self, order_id: str, verb: str, key: str, *, n: int = 0) -> requests.Response:
        """Cancel, fulfil or return one unit of the order's first line."""
        return requests.post(
            f"{self.orders[n % len(self.orders)]}/orders/{order_id}/{verb}",
            json={"items": [{"line_id": "1", "quantity": 1}]},
            headers={"Authorization": f"Bearer {OPERATOR}", "Idempotency-Key": key},
            timeout=TIMEOUT,
        )

    def show(self, path: str, n: int = 0) -> Any:
        """Order's response for the path."""
        answer = requests.get(f"{self.orders[n]}{path}", timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()

    def stock(self, product_id: str, n: int = 0) -> tuple[int, int]:
        """The available and reserved units in inventory's API."""
        with patient() as session:
            url = f"{self.inventories[n]}/products/{product_id}"
            product = session.get(url, timeout=TIMEOUT).json()
        return product["available_quantity"], product["reserved_quantity"]

    def offer(self, product_id: str, stock: int, price: float = 999.99) -> None:
        url = f"{self.inventories[0]}/products/{product_id}"
        body = {"name": "Laptop", "price": price}
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        with patient() as session:
            session.put(url, json=body, headers=headers, timeout=TIMEOUT).raise_for_status()
            session.post(
                f"{url}/adjustments",
                json={"delta": stock, "reason": "opening stock"},
                headers={**headers, "Idempotency-Key": "opening-stock"},
                timeout=TIMEOUT,
            ).raise_for_status()

    def patch(self, product_id: str, **fields: Any) -> None:
        """Change fields of a product."""
        with patient() as session:
            session.patch(
                f"{self.inventories[0]}/products/{product_id}",
                json=fields,
                headers={"Authorization": f"Bearer {OPERATOR}"},
                timeout=TIMEOUT,
            ).raise_for_status()

    def adjust(self, product_id: str, delta: int, key: str, *, n: int = 0) -> requests.Response:
        return requests.post(
            f"{self.inventories[n % len(self.inventories)]}/products/{product_id}/adjustments",
            json={"delta": delta, "reason": "delivery"},
            headers={"Authorization": f"Bearer {OPERATOR}", "Idempotency-Key": key},
            timeout=TIMEOUT,
        )

    def documents(self) -> dict[str, Any]:
        """All documents in the database, by path."""
        client = FirestoreConnection(
            FirestoreSettings(self.project, "(default)", self.emulator)
        ).client
        groups = ("orders", "products", "reservations", "adjustments")
        found = (document for group in groups for document in client.collection_group(group).get())
        documents = {document.reference.path: document.to_dict() for document in found}
        client.close()
        return documents


def at_once(call: Callable[[int], T], times: int) -> list[T]:
    """Make all calls concurrently, each in a thread of its own."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def count(answers: Iterable[requests.Response]) -> dict[int, int]:
    """The number of responses by status."""
    statuses: dict[int, int] = {}
    for answer in answers:
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    return statuses
