"""Memory, descriptors and threads of processes at two moments, and whether they stayed flat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import tree
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


FLAT = "Memory, descriptors and threads of all processes are flat."


class Resources(NamedTuple):
    """The resources of a process, or the most that they may grow."""

    megabytes: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Resources:
        return cls(tree.megabytes(pid), tree.descriptors(pid), tree.threads(pid))


@dataclass(frozen=True, slots=True)
class Row:
    process: str
    start: Resources
    end: Resources
    allowed: Resources

    @property
    def excess(self) -> list[str]:
        """Each resource that grew more than it may."""
        return [
            f"{after - before:.0f} {name} more, {most:.0f} are allowed"
            for name, before, after, most in zip(
                Resources._fields, self.start, self.end, self.allowed, strict=True
            )
            if after - before > most
        ]


def table_of_start(start: Mapping[str, Resources]) -> Table:
    made = _table("Resources at the start")
    for process, resources in start.items():
        made.add_row(process, *(f"{value:.0f}" for value in resources))
    return made


def table(rows: Iterable[Row]) -> Table:
    """Each resource of each process, at the start and at the end."""
    made = _table("Resources at the start → at the end")
    made.add_column("")
    for row in rows:
        values = zip(row.start, row.end, strict=True)
        cells = (f"{before:.0f} → {after:.0f}" for before, after in values)
        made.add_row(row.process, *cells, "; ".join(row.excess) or "flat")
    return made


def verdict(rows: Iterable[Row]) -> str:
    """One line for all processes."""
    grown = [f"{row.process} has {', '.join(row.excess)}" for row in rows if row.excess]
    return "; ".join(grown) or FLAT


def _table(title: str) -> Table:
    made = Table(title=title, title_justify="left")
    made.add_column("process")
    for heading in ("MB", "descriptors", "threads"):
        made.add_column(heading, justify="right")
    return made
