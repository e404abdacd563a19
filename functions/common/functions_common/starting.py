"""Where the time of a start goes: one log line, once the process can answer.

What comes before the process (scheduling, the sandbox, the image) only the cluster knows. The
kernel knows when the process began, and that is where the two accounts join.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from functions_common import logs
from functions_common.activity import NANOSECONDS_A_MILLISECOND

_STARTTIME = 19
"""The field's place behind the command's name, which alone may hold spaces; see proc(5)."""


def process_age() -> float | None:
    """Seconds since the kernel started this process, to 10 ms; None where no /proc tells."""
    try:
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123 - pathlib is not free
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    ticks = int(fields[_STARTTIME])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


class Start:
    """Made in the server's master, and finished in the worker that it forks."""

    def __init__(self) -> None:
        age = process_age()
        now = time.monotonic_ns()
        self._began = now if age is None else now - int(age * 1e9)
        self._forked = now

    def forked(self) -> None:
        self._forked = time.monotonic_ns()

    def loaded(self, function: str, revision: str | None) -> None:
        now = time.monotonic_ns()
        spent = {
            "total": now - self._began,
            "process": self._forked - self._began,
            "imports": now - self._forked,
        }
        ms = {name: round(each / NANOSECONDS_A_MILLISECOND, 1) for name, each in spent.items()}
        began = datetime.fromtimestamp(time.time() - ms["total"] / 1000, UTC)
        logs.event(
            "Started",
            function=function,
            revision=revision,
            process_started_at=began.isoformat(),
            ms=ms,
        )
