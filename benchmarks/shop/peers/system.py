"""Processes of the two shops on PostgreSQL."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import stack
from local.processes import Process

from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.shop.peers.postgres import Postgres

FRAMEWORKS = ("flask", "fastapi")
THREADS = 32
"""Of gunicorn: one for each buyer, as many as our functions have."""


@dataclass(frozen=True, slots=True)
class PeerShop:
    """The same methods as ``local.shop.Shop``, as far as the sales need them."""

    orders: Sequence[str]
    server: Postgres

    def offer(self, product_id: str, stock: int) -> None:
        self.server.execute(
            "INSERT INTO products (product_id, name, price, available)"  # noqa: S608 - our own names
            f" VALUES ('{product_id}', 'Laptop', 999.99, {stock})"
        )

    def units(self, product_id: str) -> tuple[int, int]:
        (found,) = self.server.execute(
            f"SELECT available, reserved FROM products WHERE product_id = '{product_id}'"  # noqa: S608
        )
        available, reserved = found.split("|")
        return int(available), int(reserved)


def _command(framework: str, function: str, port: int) -> tuple[str, ...]:
    module = f"benchmarks.shop.peers.{framework}_{function}:app"
    if framework == "flask":
        bind = ("--bind", f"{stack.HOST}:{port}", "--workers", "1", "--threads", str(THREADS))
        return (sys.executable, "-m", "gunicorn", *bind, module)
    return (
        *(sys.executable, "-m", "uvicorn", "--host", stack.HOST, "--port", str(port)),
        *("--no-access-log", "--log-level", "warning", module),
    )


@contextmanager
def running(framework: str, server: Postgres, packages: str, logs: Path) -> Iterator[PeerShop]:
    """Both functions of a shop, one process each. ``packages``: the folder of the libraries."""
    ports = {"inventory": free_port(), "order": free_port()}
    environment = {
        "DATABASE": server.dsn,
        "INVENTORY_URL": f"http://{stack.HOST}:{ports['inventory']}",
        "PYTHONPATH": os.pathsep.join((packages, str(stack.ROOT), os.environ["PYTHONPATH"])),
    }
    processes = [
        Process(
            f"{framework} {name}",
            _command(framework, name, port),
            environment,
            logs / f"{framework}-{name}.log",
        )
        for name, port in ports.items()
    ]
    with ExitStack() as ends:
        for process in processes:
            ends.callback(process.stop)
        stack.start(processes, [*ports.values()])
        yield PeerShop([f"{stack.HOST}:{ports['order']}"], server)
