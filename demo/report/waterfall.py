"""The picture of the first order's cold start, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.report.cold_start import (
    BACK,
    CONTAINER,
    FIRST_CALL,
    IMPORTS,
    KNATIVE,
    PROCESS,
    REQUEST,
    ROUTE,
    SCHEDULING,
)
from demo.report.svg import Drawing, Scale, ticks

if TYPE_CHECKING:
    from demo.report.cold_start import ColdStart, Lane, Part

KINDS = {
    KNATIVE: "calm",
    SCHEDULING: "calm",
    CONTAINER: "wait",
    PROCESS: "main",
    IMPORTS: "main",
    ROUTE: "calm",
    REQUEST: "good",
    BACK: "calm",
    FIRST_CALL: "other",
}
ROW, BAR = 24.0, 12.0
NARROW = 600.0
RIGHT = 70.0


def waterfall(found: ColdStart, width: float, *, alone: bool, kind: str = "") -> str:
    drawing = Drawing(width)
    left = 10.0 if width < NARROW else 240.0
    x = Scale(found.began, found.ended, left, width - RIGHT)
    drawing.height = 8.0
    for lane in filter(None, (found.order, found.inventory)):
        _lane(drawing, lane, x)
    _axis(drawing, found, x)
    description = f"{found.seconds:.2f} s from the order to its response, from zero pods."
    return drawing.render("Cold start of the first order", description, alone=alone, kind=kind)


def _lane(drawing: Drawing, lane: Lane, x: Scale) -> None:
    drawing.text(10, drawing.height + 14, lane.service, "strong")
    drawing.height += 22
    for part in lane.parts:
        _row(drawing, part, part.name, x)
    for part in lane.background:
        _row(drawing, part, f"{part.name} (in background)", x)
    drawing.height += 8


def _row(drawing: Drawing, part: Part, name: str, x: Scale) -> None:
    y, left = drawing.height, x.start
    if drawing.width < NARROW:
        drawing.text(10, y + 12, name, "soft")
        y += 16
        drawing.height += 16
    else:
        drawing.text(left - 10, y + 12, name, "soft", "end")
    began, ended = x(part.began), x(part.ended)
    drawing.rect(KINDS[part.name], began, y + 2, max(ended - began, 1.5), BAR)
    words = f"{part.seconds * 1000:.0f} ms"
    drawing.text(ended + 6, y + 12, words, "ink")
    drawing.height += ROW - (4 if drawing.width < NARROW else 2)


def _axis(drawing: Drawing, found: ColdStart, x: Scale) -> None:
    y = drawing.height
    drawing.line("grid", [(x.start, y), (x.end, y)])
    for value in ticks(found.seconds, 4 if drawing.width < NARROW else 8):
        if value <= found.seconds:
            at = x(found.began + value)
            drawing.line("grid", [(at, y), (at, y + 5)])
            drawing.text(at, y + 18, f"{value:g} s", "soft", "middle")
    drawing.height += 26
