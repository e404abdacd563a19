"""SVG elements for the pictures, written as text, so that the report needs no script."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLE = Path(__file__).with_name("picture.css").read_text()
"""Style of every picture, light and dark. A picture in its own file contains it."""

TEXT = 12.0
"""Font size in pixels: a picture is drawn for the width at which it is displayed."""
LETTER = 7.3
"""Upper bound of a letter's width in pixels: fonts differ."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps a measured value to a coordinate."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class LogScale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return Scale(math.log(self.low), math.log(self.high), self.start, self.end)(
            math.log(max(value, self.low))
        )


@dataclass(slots=True)
class Drawing:
    width: float
    parts: list[str] = field(default_factory=list)
    height: float = 0.0

    def rect(self, kind: str, x: float, y: float, width: float, height: float) -> None:
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}"'
            f' width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"/>'
        )

    def line(self, kind: str, points: Iterable[Point]) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{path}"/>')

    def area(self, kind: str, top: Sequence[Point], bottom: Sequence[Point]) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*top, *reversed(bottom)))
        self.parts.append(f'<polygon class="{kind}" points="{path}"/>')

    def dot(self, kind: str, x: float, y: float, radius: float = 3.5, title: str = "") -> None:
        self.parts.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{_tooltip(title)}'
            "</circle>"
        )

    def wedge(self, kind: str, x: float, y: float, title: str = "") -> None:
        """A small triangle that points down to the point."""
        self.parts.append(
            f'<path class="{kind}" d="M{x:.1f} {y:.1f}l-4 -7h8z">{_tooltip(title)}</path>'
        )

    def text(
        self, x: float, y: float, words: str, kind: str = "ink", anchor: str = "start"
    ) -> None:
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def render(self, title: str, description: str, *, alone: bool, kind: str = "") -> str:
        """``alone`` includes style and background, for a file of its own."""
        inside = f"<style>{STYLE}</style>" if alone else ""
        if alone:
            inside += f'<rect class="back" width="{self.width:.0f}" height="{self.height:.0f}"/>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="picture {kind}" role="img"'
            f' viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
            f' width="{self.width:.0f}" height="{self.height:.0f}"'
            f' aria-label="{escape(title)}: {escape(description)}">'
            f"{inside}{''.join(self.parts)}</svg>"
        )


def _tooltip(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


def ticks(high: float, count: int) -> list[float]:
    """Round numbers from 0 to ``high`` or above, in about ``count`` steps."""
    rough = max(high, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(high / step - 1e-9) + 1)]


def steps(changes: Sequence[Point], since: float, until: float) -> list[Point]:
    """The corners of a step line: each value holds until the next change."""
    corners: list[Point] = []
    before = [(since, value) for at, value in changes if at <= since][-1:]
    for at, value in (*before, *(each for each in changes if each[0] > since)):
        if corners:
            corners.append((at, corners[-1][1]))
        corners.append((at, value))
    if corners:
        corners.append((until, corners[-1][1]))
    return corners
