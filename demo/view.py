"""The live view of a run: a panel in a terminal, or else a line every few seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.recording import CREATED, Platform
from demo.report import figures
from demo.report.figures import Outcomes

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from demo.load import Load
    from demo.recording import Phase, Recording

REFRESH_SECONDS = 0.5
LINE_SECONDS = 5.0
RECENT = 5.0
"""Window of the live throughput and percentiles, in seconds."""
BAR = 40


@dataclass(frozen=True, slots=True)
class Pods:
    desired: int
    starting: int
    ready: int
    ending: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures that the panel and the line show."""

    phase: str
    seconds: float
    """Time since the phase, or the pause after it, began."""
    pods: dict[str, Pods]
    in_flight: int
    rate: float
    """Throughput: confirmed orders per second."""
    p50: float | None
    p99: float | None
    outcomes: Outcomes
    cold: int
    stock: int | None
    events: int | None
    """Deliveries of events; None if there is no receiver."""

    @classmethod
    def of(cls, recording: Recording, in_flight: int) -> Snapshot:
        now = recording.now()
        phase = recording.phases[-1] if recording.phases else None
        answers = recording.answers
        recent = [each for each in answers[-5000:] if each.ended > now - RECENT]
        waited = figures.latency(recent)
        return cls(
            phase=_phase_name(phase),
            seconds=now - (phase.ended or phase.began) if phase else now,
            pods={name: _pods(recording, name) for name in recording.services},
            in_flight=in_flight,
            rate=sum(1 for each in recent if each.status == CREATED) / RECENT,
            p50=waited.p50 if waited else None,
            p99=waited.p99 if waited else None,
            outcomes=Outcomes.of(answers),
            cold=sum(1 for each in answers if each.cold),
            stock=recording.stock[-1].available if recording.stock else None,
            events=None if recording.deliveries is None else len(recording.deliveries),
        )


def _phase_name(phase: Phase | None) -> str:
    if phase is None:
        return "preparing"
    return phase.name if phase.ended is None else f"pause after {phase.name}"


def _pods(recording: Recording, service: str) -> Pods:
    here = [pod for pod in recording.pods.values() if pod.service == service and pod.gone is None]
    ending = sum(1 for pod in here if pod.ending is not None)
    ready = sum(1 for pod in here if pod.ready is not None and pod.ending is None)
    desired = next((each.pods for each in reversed(recording.asked) if each.service == service), 0)
    return Pods(desired, len(here) - ending - ready, ready, ending)


class View:
    def __init__(self, console: Console, recording: Recording) -> None:
        self._console = console
        self._recording = recording

    async def run(self, load: Load) -> None:
        """Show the run until cancelled."""
        if self._console.is_terminal:
            await self._live(load)
        else:
            await self._lines(load)

    async def _live(self, load: Load) -> None:
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                live.update(self._picture(load), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)

    def _picture(self, load: Load) -> RenderableType:
        return picture(Snapshot.of(self._recording, load.in_flight), self._recording)

    async def _lines(self, load: Load) -> None:
        while True:
            shown = Snapshot.of(self._recording, load.in_flight)
            self._console.print(line(shown, self._recording.where), soft_wrap=True, highlight=False)
            await asyncio.sleep(LINE_SECONDS)


def line(shown: Snapshot, where: Platform) -> str:
    pods = "".join(f" {name} {each.ready}/{each.desired}" for name, each in shown.pods.items())
    return (
        f"{shown.phase} {shown.seconds:.0f} s:{pods if where is Platform.KNATIVE else ''}"
        f" in flight {shown.in_flight}"
        f" orders/s {shown.rate:.0f} p50 {_ms(shown.p50)} p99 {_ms(shown.p99)}"
        f" refused {shown.outcomes.refused} failed {shown.outcomes.failed} cold {shown.cold}"
        f" stock {'-' if shown.stock is None else shown.stock}"
        f"{'' if shown.events is None else f' events {shown.events}'}"
    )


def picture(shown: Snapshot, recording: Recording) -> RenderableType:
    parts: list[RenderableType] = []
    if recording.where is Platform.KNATIVE:
        parts.append(_table_of_pods(shown))
    else:
        parts.append(Text("Local processes: one of order, one of inventory.", style="dim"))
    parts += [Text(), _table_of_figures(shown), Text(), _stock_bar(shown, recording)]
    title = f"[b]{shown.phase}[/b] · {shown.seconds:.0f} s"
    return Panel(Group(*parts), title=title, subtitle=recording.address, padding=(1, 2), width=78)


def _table_of_pods(shown: Snapshot) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("pods", "desired", "starting", "ready", ""):
        table.add_column(name, justify="right" if name not in ("pods", "") else "left")
    for name, pods in shown.pods.items():
        squares = Text.assemble(
            ("■" * pods.ready, "green"), ("■" * pods.starting, "yellow"), ("□" * pods.ending, "dim")
        )
        table.add_row(name, str(pods.desired), str(pods.starting), str(pods.ready), squares)
    return table


def _table_of_figures(shown: Snapshot) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_row(
        f"in flight [b]{shown.in_flight}[/b]",
        f"orders/s [b]{shown.rate:.0f}[/b]",
        f"p50 [b]{_ms(shown.p50)}[/b]",
        f"p99 [b]{_ms(shown.p99)}[/b]",
    )
    failed = f"failed {shown.outcomes.failed}"
    table.add_row(
        f"confirmed [b]{shown.outcomes.confirmed}[/b]",
        f"refused [b]{shown.outcomes.refused}[/b]",
        f"[b red]{failed}[/b red]" if shown.outcomes.failed else failed,
        f"cold starts [b]{shown.cold}[/b]",
    )
    if shown.events is not None:
        table.add_row(f"events delivered [b]{shown.events}[/b]")
    return table


def _stock_bar(shown: Snapshot, recording: Recording) -> Text:
    if shown.stock is None:
        return Text(f"hot product: {recording.opening} in stock", style="dim")
    full = round(BAR * shown.stock / recording.opening)
    return Text.assemble(
        "hot product ",
        ("█" * full, "cyan"),
        ("░" * (BAR - full), "dim"),
        f" {shown.stock} in stock" if shown.stock else " sold out",
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
