"""Normal clients measured alone and beside hostile ones, by turns."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from benchmarks.hostile.crowd import Crowd
from benchmarks.hostile.customers import Customers, Window
from benchmarks.hostile.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.hostile.customers import Caller

SOCKETS = 200
RECOVERY_SECONDS = 10.0


class Target(NamedTuple):
    """A server under attack."""

    address: str
    """``host:port``"""
    line: str
    """Method and path of an operation that has a body."""


class Plan(NamedTuple):
    """How long each part takes, in seconds."""

    settle: float
    """Between the opening of the hostile sockets and the measurement beside them."""
    beside: float
    alone: float
    """Before and after each kind."""
    rounds: int
    """The most. A kind that misses the bar is measured again."""
    pooled: bool = True
    """Whether all rounds of a kind count together; otherwise the last one counts alone."""


@dataclass(frozen=True, slots=True)
class Row:
    kind: str
    alone: Window
    beside: Window
    opened: int
    """Hostile sockets opened, those opened again included."""

    @property
    def throughput(self) -> float:
        """Beside, over alone."""
        return self.beside.per_second / max(self.alone.per_second, 0.01)

    @property
    def slowdown(self) -> float:
        """p99 beside, over p99 alone."""
        return self.beside.p99_ms / self.alone.p99_ms

    def __add__(self, other: Row) -> Row:
        alone, beside = self.alone + other.alone, self.beside + other.beside
        return Row(self.kind, alone, beside, self.opened + other.opened)


class Bar(NamedTuple):
    """The least that normal clients must keep beside hostile ones."""

    throughput: float
    slowdown: float
    failed: float
    """The most requests that may fail."""

    def missed(self, row: Row) -> list[str]:
        """What is wrong with the row; empty if it passes."""
        found = []
        if row.throughput < self.throughput:
            found.append(f"throughput {row.throughput:.2f} < {self.throughput:g}")
        if row.slowdown > self.slowdown:
            found.append(f"p99 {row.slowdown:.1f} times > {self.slowdown:g}")
        if row.beside.failed > self.failed:
            found.append(f"{row.beside.failed} requests failed")
        return found


FULL = Bar(throughput=0.8, slowdown=2.0, failed=0)
LENIENT = Bar(throughput=0.4, slowdown=float("inf"), failed=float("inf"))


def measure(
    targets: Sequence[Target],
    callers: Sequence[Caller],
    plan: Plan,
    bar: Bar,
    kinds: Iterable[str] = KINDS,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Measure the callers beside each hostile kind, held against all targets together."""
    found: dict[str, Row] = {}
    with ExitStack() as ends:
        crowds = [ends.enter_context(Crowd(SOCKETS, t.line, t.address)) for t in targets]
        customers = ends.enter_context(Customers(callers))
        customers.start()
        customers.window(2 * plan.alone)  # warms up
        for _ in range(plan.rounds):
            for row in _round(crowds, customers, plan, kinds):
                progress(row.kind)
                former = found.get(row.kind) if plan.pooled else None
                found[row.kind] = former + row if former else row
            kinds = [row.kind for row in found.values() if bar.missed(row)]
    return list(found.values())


def _round(
    crowds: Sequence[Crowd], customers: Customers, plan: Plan, kinds: Iterable[str]
) -> Iterator[Row]:
    before = customers.window(plan.alone)
    for kind in kinds:
        for crowd in crowds:
            crowd.hold(kind)
        time.sleep(plan.settle)
        beside = customers.window(plan.beside)
        opened = sum(crowd.release() for crowd in crowds)
        _recover(customers)
        after = customers.window(plan.alone)
        yield Row(kind, before + after, beside, opened)
        before = after


def _recover(customers: Customers) -> None:
    """Wait until requests succeed again and none is left from before."""
    until = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < until:
        window = customers.window(0.1)
        if window.per_second and max(window.waiting, default=0.0) < 1:
            return


def table(title: str, rows: Iterable[Row], bar: Bar) -> Table:
    """One line for each kind, with a verdict."""
    made = Table(title=title)
    for heading in ("hostile clients", *("req/s", "p99 ms") * 2, "kept", "p99 ratio", "opened", ""):
        made.add_column(heading, justify="left" if heading in ("hostile clients", "") else "right")
    for row in rows:
        made.add_row(
            row.kind,
            *(f"{value:.0f}" for value in (row.alone.per_second, row.alone.p99_ms)),
            *(f"{value:.0f}" for value in (row.beside.per_second, row.beside.p99_ms)),
            f"{row.throughput:.2f}",
            f"{row.slowdown:.1f}",
            str(row.opened),
            "; ".join(bar.missed(row)) or "holds",
        )
    return made


def verdict(rows: Sequence[Row], bar: Bar) -> str:
    """One line for all rows."""
    missed = [row.kind for row in rows if bar.missed(row)]
    if not missed:
        return f"All {len(rows)} kinds hold."
    return f"{len(missed)} of {len(rows)} kinds miss the bar: {', '.join(missed)}."
