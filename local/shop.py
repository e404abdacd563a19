"""A shop of real processes on free ports, for measurements and benchmarks."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firestore_emulator.launcher import free_port
from local import stack, tokens
from local.processes import Process, direct_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Factory = Callable[[str, int, dict[str, str], Path], Process]
    """Makes a process of a function from its name, port, settings and log folder."""

ORDER_TOKEN, OPERATOR_TOKEN = "token-of-the-order-function", "token-of-an-operator"
PAYMENT_TOKEN = "token-of-a-payment-service"  # noqa: S105 - of local processes
TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Shop:
    orders: Sequence[str]
    """Addresses, ``host:port``; each calls one of the inventories, in turn."""
    inventories: Sequence[Process]
    catalogue: str
    """URL of the first inventory."""

    def offer(self, product_id: str, stock: int) -> None:
        """Enter a product with its opening stock."""
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
        """Available and reserved stock."""
        with direct_session() as session:
            found = session.get(f"{self.catalogue}/products/{product_id}", timeout=TIMEOUT).json()
        return found["available_quantity"], found["reserved_quantity"]


def settings(address: str, project: str, inventory: str = "http://127.0.0.1:1") -> dict[str, str]:
    """Settings of a function on the emulator at this address. By default inventory is down."""
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "FIRESTORE_EMULATOR_HOST": address,
        "INVENTORY_SERVICE_URL": inventory,
        **tokens.variables(ORDER_TOKEN, OPERATOR_TOKEN, PAYMENT_TOKEN),
        "AUTH_MODE": "open",
    }


@contextmanager
def running(
    address: str,
    project: str,
    logs: Path,
    *,
    orders: int = 1,
    inventories: int = 1,
    factory: Factory = stack.function,
) -> Iterator[Shop]:
    """Processes of both functions, which end with the context."""
    inventory_ports = [free_port() for _ in range(inventories)]
    order_ports = [free_port() for _ in range(orders)]
    urls = [f"http://{stack.HOST}:{port}" for port in inventory_ports]
    stock = [
        factory("inventory", port, settings(address, project), logs) for port in inventory_ports
    ]
    public = [
        factory("order", port, settings(address, project, urls[n % inventories]), logs)
        for n, port in enumerate(order_ports)
    ]
    with ExitStack() as ends:
        for process in (*stock, *public):
            ends.callback(process.stop)
        stack.start(stock, inventory_ports)
        stack.start(public, order_ports)
        yield Shop([f"{stack.HOST}:{port}" for port in order_ports], stock, urls[0])


@contextmanager
def receiving(logs: Path) -> Iterator[str]:
    """A process that accepts events; its address."""
    port = free_port()
    process = stack.event_receiver(port, logs / f"receiver-{port}.log")
    stack.start([process], [port])
    try:
        yield f"http://{stack.HOST}:{port}"
    finally:
        process.stop()
