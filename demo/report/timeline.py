"""The picture of a run: load, pods, latency and stock over one time axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.recording import Platform
from demo.report import figures
from demo.report.svg import LETTER, Drawing, LogScale, Scale, steps, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.recording import Recording

BEFORE = 4.0
"""Seconds shown before the first order."""
INTERVAL = 1.0
LEFT, RIGHT, HEAD, TITLE, GAP, FOOT = 46.0, 24.0, 30.0, 24.0, 14.0, 34.0
PANEL = 104.0
FASTEST, SLOWEST = 0.004, 40.0
"""Ends of the latency axis in seconds. A request that was sent late may exceed it."""
LINES = ("come", "ask")
"""Kinds with a line in the legend."""
WEDGE, DOT = "main wedge", "bad dot"
"""Kinds that the legend shows as they are drawn."""


@dataclass(slots=True)
class _Frame:
    drawing: Drawing
    recording: Recording
    began: float
    ended: float
    x: Scale
    y: float
    """Top of the next panel."""

    def panel(self, title: str, keys: Sequence[tuple[str, str]]) -> tuple[float, float]:
        """Draw the title and the legend; the top and bottom of the plot area."""
        drawing, x, y = self.drawing, LEFT, self.y + 13
        drawing.text(x, y, title, "strong")
        x += LETTER * 1.1 * len(title) + 8
        for kind, words in keys:
            needed = 14 + LETTER * len(words) + 12
            if x + needed > drawing.width:
                x, y = LEFT, y + 17
            if kind in LINES:
                drawing.line(kind, [(x, y - 4), (x + 10, y - 4)])
            elif kind == WEDGE:
                drawing.wedge(kind, x + 5, y - 1)
            elif kind == DOT:
                drawing.dot(kind, x + 5, y - 4)
            else:
                drawing.rect(kind, x, y - 9, 10, 10)
            drawing.text(x + 14, y, words, "soft")
            x += needed
        top = y + TITLE - 13
        self.y = top + PANEL + GAP
        return top, top + PANEL

    def grid(self, values: Sequence[tuple[float, str]]) -> None:
        for y, words in values:
            self.drawing.line("grid", [(LEFT, y), (self.drawing.width - RIGHT, y)])
            self.drawing.text(LEFT - 6, y + 4, words, "soft", "end")


def timeline(recording: Recording, width: float, *, alone: bool, kind: str = "") -> str:
    began = max(0.0, recording.woken - BEFORE)
    ended = recording.ended
    drawing = Drawing(width)
    x = Scale(began, ended, LEFT, width - RIGHT)
    frame = _Frame(drawing, recording, began, ended, x, HEAD)
    _load(frame)
    if recording.where is Platform.KNATIVE:
        for service in recording.services:
            _pods(frame, service)
    if recording.deliveries is not None:
        _deliveries(frame)
    _latency(frame)
    _stock(frame)
    _time(frame)
    drawing.height = frame.y + FOOT - GAP
    drawing.parts[:0] = _bands(frame)
    return drawing.render("Timeline of the run", _description(recording), alone=alone, kind=kind)


def _description(recording: Recording) -> str:
    outcomes = figures.Outcomes.of(recording.answers)
    return (
        f"{outcomes.confirmed} orders confirmed and {outcomes.refused} refused; stock of the hot"
        f" product from {recording.opening} to {figures.hot_product(recording).last}."
    )


def _bands(frame: _Frame) -> list[str]:
    """The phases as background bands, with name and number, or the number if space is short."""
    under = Drawing(frame.drawing.width)
    bottom = frame.y - GAP
    for number, phase in enumerate(frame.recording.phases, 1):
        left = frame.x(max(phase.began, frame.began))
        right = frame.x(frame.ended if phase.ended is None else phase.ended)
        if number % 2:
            under.rect("band", left, HEAD - 4, right - left, bottom - HEAD + 4)
        named = f"{number} {phase.name}"
        middle = (left + right) / 2
        fits = LETTER * len(named) < right - left
        if fits or right - left > LETTER:
            under.text(middle, HEAD - 12, named if fits else str(number), "soft", "middle")
    return under.parts


def _load(frame: _Frame) -> None:
    top, bottom = frame.panel(
        "Throughput, orders per second",
        [
            ("come", "arrivals"),
            ("good", "confirmed"),
            ("wait", "refused"),
            ("bad", "failed"),
        ],
    )
    shown = [
        each
        for each in figures.intervals(frame.recording.answers, frame.ended, INTERVAL)
        if each.began >= frame.began
    ]
    most = max((max(each.due, _all(each)) for each in shown), default=1) or 1
    scale = ticks(most / INTERVAL, 4)
    y = Scale(0, scale[-1], bottom, top)
    frame.grid([(y(value), f"{value:,g}") for value in scale])
    for each in shown:
        left, base = frame.x(each.began), 0.0
        size = frame.x(each.began + INTERVAL) - left
        outcomes = each.outcomes
        for kind, count in (
            ("good", outcomes.confirmed),
            ("wait", outcomes.refused),
            ("bad", outcomes.failed),
        ):
            if count:
                rate = count / INTERVAL
                frame.drawing.rect(kind, left, y(base + rate), size, y(base) - y(base + rate))
                base += rate
    came = [(frame.x(each.began), y(each.due / INTERVAL)) for each in shown]
    frame.drawing.line("come", steps(came, LEFT, frame.x(frame.ended)))


def _all(interval: figures.Interval) -> int:
    outcomes = interval.outcomes
    return outcomes.confirmed + outcomes.refused + outcomes.failed


def _pods(frame: _Frame, service: str) -> None:
    top, bottom = frame.panel(
        f"Pods of {service}",
        [("ask", "desired"), ("wait", "starting"), ("good", "ready"), (WEDGE, "cold start")],
    )
    pods = [pod for pod in frame.recording.pods.values() if pod.service == service]
    counts = [
        (0.0, 0, 0),
        *((each.at, each.starting, each.ready) for each in figures.pod_counts(pods)),
    ]
    asked = [(each.at, each.pods) for each in frame.recording.asked if each.service == service]
    most = max([*(a + b for _, a, b in counts), *(value for _, value in asked), 1])
    scale = [value for value in ticks(most, 4) if value == int(value)]
    y = Scale(0, max(scale[-1], most), bottom, top)
    frame.grid([(y(value), f"{value:.0f}") for value in scale])

    def line(values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(frame.x(at), y(value)) for at, value in steps(values, frame.began, frame.ended)]

    ready = line([(at, ready) for at, _, ready in counts])
    both = line([(at, starting + ready) for at, starting, ready in counts])
    floor = [(x, y(0)) for x, _ in ready]
    frame.drawing.area("good", ready, floor)
    frame.drawing.area("wait", both, ready)
    if asked:
        frame.drawing.line("ask", line(asked))
    for pod in pods:
        if pod.ready is not None and pod.created >= frame.began:
            title = f"{pod.name} ready after {pod.ready - pod.created:.1f} s"
            frame.drawing.wedge(WEDGE, frame.x(pod.ready), top, title)


def _deliveries(frame: _Frame) -> None:
    recording = frame.recording
    top, bottom = frame.panel(
        "Events delivered per second", [("other", "first delivery"), ("wait", "delivered again")]
    )
    counts: dict[int, list[int]] = {}
    for each in recording.deliveries or ():
        counts.setdefault(int(each.at // INTERVAL), [0, 0])[each.repeated] += 1
    scale = ticks(max(map(sum, counts.values()), default=1), 4)
    y = Scale(0, scale[-1], bottom, top)
    frame.grid([(y(value), f"{value:,g}") for value in scale])
    for second, (first, again) in sorted(counts.items()):
        left = frame.x(second * INTERVAL)
        size = frame.x((second + 1) * INTERVAL) - left
        frame.drawing.rect("other", left, y(first), size, y(0) - y(first))
        frame.drawing.rect("wait", left, y(first + again), size, y(first) - y(first + again))


def _latency(frame: _Frame) -> None:
    top, bottom = frame.panel(
        "Latency",
        [("main", "p50"), ("other", "p99"), (DOT, "cold start")],
    )
    y = LogScale(FASTEST, SLOWEST, bottom, top)
    frame.grid(
        [
            (y(value), words)
            for value, words in ((0.01, "10 ms"), (0.1, "0.1 s"), (1, "1 s"), (10, "10 s"))
        ]
    )
    shown = figures.intervals(frame.recording.answers, frame.ended, INTERVAL)
    for kind in ("other", "main"):
        line: list[tuple[float, float]] = []
        for each in shown:
            value = each.p50 if kind == "main" else each.p99
            if value is not None:
                line.append((frame.x(each.began + INTERVAL / 2), y(value)))
            elif line:  # no arrivals in the interval: a gap in the line
                frame.drawing.line(kind, line)
                line = []
        frame.drawing.line(kind, line)
    for answer in frame.recording.answers:
        if answer.cold:
            waited = answer.ended - answer.due
            title = f"cold start: {waited:.2f} s, {answer.pod}"
            frame.drawing.dot(DOT, frame.x(answer.due), y(waited), title=title)


def _stock(frame: _Frame) -> None:
    recording = frame.recording
    top, bottom = frame.panel("Stock of the hot product", [("main", "available units")])
    scale = ticks(recording.opening, 4)
    y = Scale(0, scale[-1], bottom, top)
    frame.grid([(y(value), f"{value:,g}") for value in scale])
    readings = [
        (frame.began, recording.opening),
        *((each.at, each.available) for each in recording.stock),
    ]
    corners = [(frame.x(at), y(units)) for at, units in steps(readings, frame.began, frame.ended)]
    frame.drawing.line("main", corners)
    sold_out = figures.hot_product(recording).sold_out
    if sold_out is not None:
        x = frame.x(sold_out)
        frame.drawing.line("stem", [(x, top), (x, bottom)])
        frame.drawing.dot("main", x, bottom)
        words = f"sold out: {recording.opening:,} units"
        right = x + 8 + LETTER * len(words) < frame.drawing.width
        frame.drawing.text(
            x + (8 if right else -8), top + 14, words, "ink", "start" if right else "end"
        )


def _time(frame: _Frame) -> None:
    """The time axis, in seconds since the first order."""
    bottom = frame.y - GAP
    zero = frame.recording.woken
    room = max(2, int((frame.drawing.width - LEFT) / 90))
    for value in ticks(frame.ended - zero, room):
        if zero + value <= frame.ended:
            frame.drawing.line(
                "grid", [(frame.x(zero + value), bottom), (frame.x(zero + value), bottom + 5)]
            )
            frame.drawing.text(frame.x(zero + value), bottom + 18, f"{value:g} s", "soft", "middle")
