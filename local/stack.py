"""Processes of the functions and their commands, for `make run`, the tests and the benchmarks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes import Process, responds

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"


def function(
    name: str, port: int, environment: dict[str, str], logs: Path, root: Path = ROOT
) -> Process:
    """Order or inventory, with the server and the settings of its image.

    ``root`` has the folder ``functions``: the repository, or another release of it.
    """
    server = [sys.executable, str(root / "functions/serve.py")]
    own = {"FUNCTION": name, "HOST": HOST, "PORT": str(port), "no_grpc_proxy": HOST}
    return Process(name, server, {**environment, **own}, logs / f"{name}-{port}.log")


def command(
    name: str, environment: dict[str, str], log: Path, *arguments: str, root: Path = ROOT
) -> Process:
    """Reconcile, audit or upgrade, as in order's image; ``root`` as for ``function``."""
    code = os.pathsep.join(str(root / "functions" / part) for part in ("common", "order"))
    program = [sys.executable, "-m", f"order_function.{name}", *arguments]
    own = {"PYTHONPATH": code, "no_grpc_proxy": HOST}
    return Process(name, program, {**environment, **own}, log)


def event_receiver(port: int, log: Path, *options: str) -> Process:
    """A process that accepts events."""
    program = [sys.executable, str(ROOT / "local/event_receiver.py"), str(port), *options]
    return Process("receiver", program, {}, log)


def start(
    processes: list[Process], ports: list[int], check: Callable[[], None] = lambda: None
) -> None:
    """Start functions together, and wait until all are ready; see ``Process.wait_until``."""
    for process in processes:
        process.start()
    for process, port in zip(processes, ports, strict=True):
        process.wait_until(responds(f"http://{HOST}:{port}/health"), check)
