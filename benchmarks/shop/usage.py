"""Processor time of an order, and memory, of each process of our shop."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import tree
from benchmarks.shop import system
from benchmarks.shop.sales import BUYERS, SECONDS, WARM_UP_SECONDS, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTIONS = ("order", "inventory")
PROCESSES = (*FUNCTIONS, "emulator")
REST_SECONDS = 2.0
"""From the readiness of the shop until its memory is measured."""


def of_an_order(address: str, logs: Path) -> dict[str, float]:
    """Milliseconds of processor time for an order of one product, and megabytes at rest."""
    with system.running(address, "bench-usage", logs) as shop:
        time.sleep(REST_SECONDS)
        memory = _by_process(tree.megabytes)
        crowd = Watched(shop, ["P-hot"])
        crowd.sell(BUYERS, WARM_UP_SECONDS)
        before = _by_process(tree.processor_seconds)
        sold = crowd.sell(BUYERS, 2 * SECONDS)
        after = _by_process(tree.processor_seconds)
        crowd.check()
    found = {
        f"{name}_processor_ms": 1000 * (after[name] - before[name]) / sold.placed
        for name in PROCESSES
    }
    return found | {f"{name}_megabytes": memory[name] for name in FUNCTIONS}


def _by_process(measure: Callable[[int], float]) -> dict[str, float]:
    """The measure of each process of the shop. All of them are children of this process."""
    _, *others = tree.members(os.getpid())
    names = {pid: name for pid in others if (name := _name(pid)) is not None}
    if sorted(names.values()) != sorted(PROCESSES):
        raise LookupError(f"the processes of the shop are not {PROCESSES}, but {names}")
    return {name: measure(pid) for pid, name in names.items()}


def _name(pid: int) -> str | None:
    """order, inventory or emulator; None for a child of one of them, or another process."""
    folder = Path(f"/proc/{pid}")
    command = (folder / "cmdline").read_bytes()
    if b"firestore_emulator" in command:
        return "emulator"
    if b"functions/serve.py" not in command:
        return None
    variables = (folder / "environ").read_bytes().decode().split("\0")
    return dict(each.partition("=")[::2] for each in variables)["FUNCTION"]
