"""The report of a run, in Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costs import prices
from costs.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.verify_firestore.parts import Result

_LONGEST_REASON = 2000


@dataclass(slots=True)
class Report:
    target: str
    emulated: bool
    origin: Mapping[str, str]
    """Commit, date, machine and command."""
    results: list[Result] = field(default_factory=list)
    stopped: str | None = None
    """Why the run ended before its last part."""
    deleted: int = 0
    left: str | None = None
    """Why documents are left, with the command that deletes them."""
    used: Usage = field(default_factory=Usage)
    """Of all parts, and of the deletion."""

    @property
    def passed(self) -> bool:
        return not (self.stopped or self.left or any(each.failed for each in self.results))

    @property
    def verdict(self) -> str:
        """One line."""
        parts = "; ".join(f"{each.name}: {each}" for each in self.results)
        reasons = "".join(f"; {each}" for each in (self.stopped, self.left) if each)
        return f"{'PASSED' if self.passed else 'FAILED'} on {self.target}: {parts}{reasons}"

    def markdown(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# The shop on Firestore"
        yield ""
        yield f"**{self.verdict}**"
        yield ""
        if self.emulated:
            yield "This run used an emulator. It says nothing about the real service."
            yield ""
        yield "`{command}`, commit {commit}, {date}; {machine}.".format(**self.origin)
        yield ""
        yield from self._usage()
        for result in self.results:
            yield from _failures(result)
            yield from _FIGURES.get(result.name, _nothing)(result)

    def _usage(self) -> Iterator[str]:
        yield "| Part | Cases | Seconds | Reads | Writes | Deletes | Round trips | $ |"
        yield "|---|---|--:|--:|--:|--:|--:|--:|"
        in_parts = Usage()
        for each in self.results:
            in_parts += each.used
            yield f"| {each.name} | {each} | {each.seconds:.0f} | {_cells(each.used)} |"
        yield f"| the rest, deletion included | | | {_cells(self.used - in_parts)} |"
        yield f"| **together** | | | {_cells(self.used)} |"
        yield ""
        yield (
            f"{self.deleted:,} documents were deleted at the end. The prices are {prices.SOURCE} of"
            f" {prices.AS_OF} for the {prices.EDITION} in {prices.REGION}, before any free quota."
            " A call without a response counts as carried out. Index entries that aggregations"
            " read are estimated."
        )
        yield ""


def _cells(used: Usage) -> str:
    counts = (used.reads, used.writes, used.deletes, used.round_trips)
    return " | ".join([*(f"{count:,}" for count in counts), f"{used.dollars:.4f}"])


def _failures(result: Result) -> Iterator[str]:
    if not result.failures:
        return
    yield f"## {result.name}: failed"
    yield ""
    for name, reason in result.failures.items():
        yield f"- `{name}`"
        yield ""
        yield "  ```"
        yield from (f"  {line}" for line in reason[:_LONGEST_REASON].strip().splitlines())
        yield "  ```"
    yield ""


def _connection(result: Result) -> Iterator[str]:
    if not result.figures:
        return
    yield "Calls one after another, directly, all for one document:"
    yield ""
    yield "| | p50 ms | longest ms |"
    yield "|---|--:|--:|"
    for kind, taken in result.figures.items():
        yield f"| {kind} | {taken['p50_ms']} | {taken['longest_ms']} |"
    yield ""


def _bench(result: Result) -> Iterator[str]:
    if not result.figures:
        return
    placed = sum(sold["placed"] + sold["placed_before"] for sold in result.figures.values())
    yield (
        "The sales use the forwarder, which adds its own time to each call. One process of each"
        " function; 32 buyers:"
    )
    yield ""
    yield "| | orders | orders/s | p50 ms | p99 ms | 409 | other failures |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, sold in result.figures.items():
        cells = (
            *(f"{sold[key]}" for key in ("placed", "orders_per_second", "p50_ms", "p99_ms")),
            f"{sold['rejected']}",
            f"{sum(sold['failures'].values())}",
        )
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    if placed:
        yield (
            f"An order took {result.used.reads / placed:.2f} reads and"
            f" {result.used.writes / placed:.2f} writes, the catalogue included:"
            f" {result.used.dollars / placed * 1_000_000:.2f} dollars for a million orders."
        )
        yield ""


def _nothing(_: Result) -> Iterator[str]:
    yield from ()


_FIGURES = {"connection": _connection, "bench": _bench}
