"""Memory, descriptors and threads of processes at two moments, and whether they stayed flat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import tree
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable


class Resources(NamedTuple):
    megabytes: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Resources:
        return cls(tree.megabytes(pid), tree.descriptors(pid), tree.threads(pid))


class Growth(NamedTuple):
    """The most that a process may grow between the two moments, however long it served."""

    megabytes: float
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Row:
    process: str
    start: Resources
    end: Resources
    allowed: Growth

    @property
    def excess(self) -> list[str]:
        """Each resource that grew more than it may."""
        return [
            f"{name} grew by {after - before:.0f}, at most {most:.0f} are allowed"
            for name, before, after, most in zip(
                Resources._fields, self.start, self.end, self.allowed, strict=True
            )
            if after - before > most
        ]


def table(rows: Iterable[Row]) -> Table:
    """One line for each process: each resource at the start and at the end."""
    made = Table(title="Resources at the start and at the end")
    made.add_column("process")
    for heading in ("MB", "descriptors", "threads"):
        made.add_column(heading, justify="right")
    made.add_column("")
    for row in rows:
        made.add_row(
            row.process,
            *(
                f"{before:.0f} → {after:.0f}"
                for before, after in zip(row.start, row.end, strict=True)
            ),
            "; ".join(row.excess) or "flat",
        )
    return made


def verdict(rows: Iterable[Row]) -> str:
    """One line for all processes."""
    grown = [f"{row.process}: {', '.join(row.excess)}" for row in rows if row.excess]
    return "; ".join(grown) or "Memory, descriptors and threads of all processes are flat."
