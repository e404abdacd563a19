"""Time from the start of a process to its first response."""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING

from local import stack
from local.processes import Process, responds
from local.shop import settings

from benchmarks.shop.system import HERE
from firestore_emulator.launcher import free_port

if TYPE_CHECKING:
    from pathlib import Path

STARTS = 9


def seconds_to_first_response(address: str, logs: Path) -> dict[str, float]:
    """Medians of alternating starts: order as in its image, and a hello world as in its guide."""
    taken: dict[str, list[float]] = {"order": [], "hello": []}
    for number in range(STARTS + 1):
        for name, seconds in taken.items():
            one = _start(name, address, logs)
            if number > 0:  # the first start fills the file cache
                seconds.append(one)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _start(name: str, address: str, logs: Path) -> float:
    port = free_port()
    environment = settings(address, "bench-cold")
    if name == "order":
        process = stack.function("order", port, environment, logs)
    else:
        command = [sys.executable, "-m", "functions_framework", "--target=hello"]
        command += [f"--source={HERE / 'floor/hello.py'}", f"--port={port}"]
        process = Process("hello", command, environment, logs / "hello.log")
    ready = responds(f"http://{stack.HOST}:{port}/health")
    began = time.monotonic()
    process.start()
    try:
        process.wait_until(ready, lambda: None)
        return time.monotonic() - began
    finally:
        process.stop()
