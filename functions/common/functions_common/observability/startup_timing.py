"""Logs how long a start took, in one line when the process can serve.

The time before the process began (scheduling, sandbox, image) is known only to the cluster. The
line has the start time of the process, as the kernel recorded it. With this time, the line and the
cluster's events form one timeline.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from functions_common.observability import logs
from functions_common.observability.activity import NS_PER_MS

_STARTTIME = 19
"""Index of ``starttime`` after the command's name, which can contain spaces; see proc(5)."""


def process_age() -> float | None:
    """Seconds since the kernel started this process, to 10 ms. None if there is no /proc."""
    try:
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123 - pathlib is not free
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    ticks = int(fields[_STARTTIME])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


class StartupTimer:
    """Create it as early as possible. ``log_started`` logs the parts of the start."""

    def __init__(self) -> None:
        age = process_age()
        now = time.monotonic_ns()
        self._began = now if age is None else now - int(age * 1e9)
        self._running = now

    def log_started(self, function: str, revision: str | None) -> None:
        """Log the milliseconds until Python ran our code, and those of the imports."""
        now = time.monotonic_ns()
        spent = {
            "total": now - self._began,
            "process": self._running - self._began,
            "imports": now - self._running,
        }
        ms = {name: round(each / NS_PER_MS, 1) for name, each in spent.items()}
        began = datetime.fromtimestamp(time.time() - ms["total"] / 1000, UTC)
        logs.event(
            "Started",
            function=function,
            revision=revision,
            process_started_at=began.isoformat(),
            ms=ms,
        )
