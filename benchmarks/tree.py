"""What a process and its descendants use: processor time, memory, descriptors and threads."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name; see proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def members(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has just ended
            for child in (task / "children").read_text().split():
                yield from members(int(child))


def processor_seconds(pid: int) -> float:
    """User and system time of all of them until now."""
    fields = (_stat(each) for each in members(pid))
    return sum(int(stat[11]) + int(stat[12]) for stat in fields) / _TICKS


def megabytes(pid: int) -> float:
    """Resident memory of all of them; pages that they share count more than once."""
    return sum(int(_stat(each)[21]) for each in members(pid)) * _PAGE / 1e6


def descriptors(pid: int) -> int:
    """Open files and sockets of all of them."""
    return sum(_entries(Path(f"/proc/{each}/fd")) for each in members(pid))


def threads(pid: int) -> int:
    return sum(_entries(Path(f"/proc/{each}/task")) for each in members(pid))


def _entries(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())
