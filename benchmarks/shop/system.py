"""Real processes to measure: an emulator, and as many functions as wanted, on this machine."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import stack, tokens
from local.processes import Process, direct_session

from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HERE = stack.ROOT / "benchmarks/shop"
ORDER_TOKEN, OPERATOR_TOKEN = "token-of-the-order-function", "token-of-an-operator"
TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Shop:
    orders: Sequence[str]
    """Addresses, ``host:port``; each speaks to one of the inventories, in turn."""
    inventories: Sequence[Process]
    catalogue: str

    def offer(self, product_id: str, stock: int) -> None:
        with direct_session() as session:
            session.headers["Authorization"] = f"Bearer {OPERATOR_TOKEN}"
            url = f"{self.catalogue}/products/{product_id}"
            named = session.put(url, json={"name": "Laptop", "price": 999.99}, timeout=TIMEOUT)
            named.raise_for_status()
            session.post(
                f"{url}/adjustments",
                json={"delta": stock, "reason": "opening stock"},
                headers={"Idempotency-Key": "opening-stock"},
                timeout=TIMEOUT,
            ).raise_for_status()

    def units(self, product_id: str) -> tuple[int, int]:
        """Available and reserved."""
        with direct_session() as session:
            found = session.get(f"{self.catalogue}/products/{product_id}", timeout=TIMEOUT).json()
        return found["available_quantity"], found["reserved_quantity"]


def source(function: str, main: Path, port: int, settings: dict[str, str], logs: Path) -> Process:
    """Another main.py, under the server and the settings of a function of ours."""
    own = {"FUNCTION": function, "HOST": stack.HOST, "PORT": str(port), "no_grpc_proxy": stack.HOST}
    command = [sys.executable, str(stack.ROOT / "functions/serve.py"), str(main)]
    log = logs / f"{main.parent.name}-{function}-{port}.log"
    return Process(f"{main.parent.name} {function}", command, {**settings, **own}, log)


def settings(address: str, project: str, inventory: str = "http://127.0.0.1:1") -> dict[str, str]:
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "FIRESTORE_EMULATOR_HOST": address,
        "INVENTORY_SERVICE_URL": inventory,
        **tokens.variables(ORDER_TOKEN, OPERATOR_TOKEN),
        "AUTH_MODE": "open",
    }


@contextmanager
def shop(
    address: str,
    project: str,
    logs: Path,
    *,
    design: str = "ours",
    orders: int = 1,
    inventories: int = 1,
) -> Iterator[Shop]:
    """``design`` is ours, usual or floor."""
    inventory_ports = [free_port() for _ in range(inventories)]
    order_ports = [free_port() for _ in range(orders)]
    urls = [f"http://{stack.HOST}:{port}" for port in inventory_ports]
    stock = [
        _function("inventory", design, port, settings(address, project), logs)
        for port in inventory_ports
    ]
    public = [
        _function("order", design, port, settings(address, project, urls[n % inventories]), logs)
        for n, port in enumerate(order_ports)
    ]
    with ExitStack() as ends:
        for process in (*stock, *public):
            ends.callback(process.stop)
        stack.start(stock, inventory_ports)
        stack.start(public, order_ports)
        yield Shop([f"{stack.HOST}:{port}" for port in order_ports], stock, urls[0])


def _function(
    name: str, design: str, port: int, environment: dict[str, str], logs: Path
) -> Process:
    if design == "ours":
        return stack.function(name, port, environment, logs)
    return source(name, HERE / design / f"{name}.py", port, environment, logs)
