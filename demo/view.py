"""What is going on, live, in a terminal; a line every few seconds where there is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo import figures
from demo.figures import Outcomes
from demo.recording import CREATED, Where

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from demo.load import Load
    from demo.recording import Recording

REFRESH_SECONDS = 0.5
LINE_SECONDS = 5.0
RECENT = 5.0
"""Seconds that the live rates and percentiles are of."""
BAR = 40


@dataclass(frozen=True, slots=True)
class Pods:
    asked: int
    starting: int
    ready: int
    ending: int


@dataclass(frozen=True, slots=True)
class Now:
    """The state of things, as both ways of showing it need it."""

    phase: str
    seconds: float
    """Since the phase began."""
    pods: dict[str, Pods]
    in_flight: int
    rate: float
    """Confirmed orders a second, lately."""
    p50: float | None
    p99: float | None
    outcomes: Outcomes
    cold: int
    stock: int | None

    @classmethod
    def of(cls, recording: Recording, in_flight: int) -> Now:
        now = recording.now()
        phase = recording.phases[-1] if recording.phases else None
        answers = recording.answers
        recent = [each for each in answers[-5000:] if each.ended > now - RECENT]
        latencies = [each.latency for each in recent if each.status is not None]
        return cls(
            phase=phase.name if phase else "getting ready",
            seconds=now - phase.began if phase else now,
            pods={name: _pods(recording, name) for name in ("order", "inventory")},
            in_flight=in_flight,
            rate=sum(1 for each in recent if each.status == CREATED) / RECENT,
            p50=figures.percentile(latencies, 0.5),
            p99=figures.percentile(latencies, 0.99),
            outcomes=Outcomes.of(answers),
            cold=sum(1 for each in answers if each.cold),
            stock=recording.stock[-1].available if recording.stock else None,
        )


def _pods(recording: Recording, service: str) -> Pods:
    here = [pod for pod in recording.pods.values() if pod.service == service and pod.gone is None]
    ending = sum(1 for pod in here if pod.ending is not None)
    ready = sum(1 for pod in here if pod.ready is not None and pod.ending is None)
    asked = next((each.pods for each in reversed(recording.asked) if each.service == service), 0)
    return Pods(asked, len(here) - ending - ready, ready, ending)


class View:
    def __init__(self, console: Console, recording: Recording) -> None:
        self._console = console
        self._recording = recording

    async def run(self, load: Load) -> None:
        """Until cancelled."""
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
        return picture(Now.of(self._recording, load.in_flight), self._recording)

    async def _lines(self, load: Load) -> None:
        while True:
            now = Now.of(self._recording, load.in_flight)
            self._console.print(line(now, self._recording.where), soft_wrap=True, highlight=False)
            await asyncio.sleep(LINE_SECONDS)


def line(now: Now, where: Where) -> str:
    pods = "".join(f" {name} {each.ready}/{each.asked}" for name, each in now.pods.items())
    return (
        f"{now.phase} {now.seconds:.0f} s:{pods if where is Where.KNATIVE else ''}"
        f" in flight {now.in_flight}"
        f" orders/s {now.rate:.0f} p50 {_ms(now.p50)} p99 {_ms(now.p99)}"
        f" refused {now.outcomes.refused} failed {now.outcomes.failed} cold {now.cold}"
        f" stock {'-' if now.stock is None else now.stock}"
    )


def picture(now: Now, recording: Recording) -> RenderableType:
    parts: list[RenderableType] = []
    if recording.where is Where.KNATIVE:
        parts.append(_table_of_pods(now))
    else:
        parts.append(Text("One process of each function; their number is fixed.", style="dim"))
    parts += [Text(), _table_of_figures(now), Text(), _shelf(now, recording)]
    title = f"[b]{now.phase}[/b] · {now.seconds:.0f} s"
    return Panel(Group(*parts), title=title, subtitle=recording.address, padding=(1, 2), width=78)


def _table_of_pods(now: Now) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("pods", "asked for", "starting", "ready", ""):
        table.add_column(name, justify="right" if name not in ("pods", "") else "left")
    for name, pods in now.pods.items():
        squares = Text.assemble(
            ("■" * pods.ready, "green"), ("■" * pods.starting, "yellow"), ("□" * pods.ending, "dim")
        )
        table.add_row(name, str(pods.asked), str(pods.starting), str(pods.ready), squares)
    return table


def _table_of_figures(now: Now) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_row(
        f"in flight [b]{now.in_flight}[/b]",
        f"orders/s [b]{now.rate:.0f}[/b]",
        f"p50 [b]{_ms(now.p50)}[/b]",
        f"p99 [b]{_ms(now.p99)}[/b]",
    )
    failed = f"failed {now.outcomes.failed}"
    table.add_row(
        f"confirmed [b]{now.outcomes.confirmed}[/b]",
        f"refused [b]{now.outcomes.refused}[/b]",
        f"[b red]{failed}[/b red]" if now.outcomes.failed else failed,
        f"cold starts met [b]{now.cold}[/b]",
    )
    return table


def _shelf(now: Now, recording: Recording) -> Text:
    if now.stock is None:
        return Text(f"hot product: {recording.opening} to sell", style="dim")
    full = round(BAR * now.stock / recording.opening)
    return Text.assemble(
        "hot product ",
        ("█" * full, "cyan"),
        ("░" * (BAR - full), "dim"),
        f" {now.stock} left" if now.stock else " sold out",
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
