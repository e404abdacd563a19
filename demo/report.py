"""The report of a run: one HTML file that needs nothing else, the picture for slides, the data.

``python -m demo.report FOLDER`` makes it again from the data of a run.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from demo import agreement, cold_start, summary
from demo.recording import Recording, Where
from demo.timeline import timeline
from demo.waterfall import waterfall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from demo.cold_start import FromZero
    from demo.summary import Figure

STYLE = "".join(
    Path(__file__).with_name(name).read_text() for name in ("picture.css", "report.css")
)
WIDE, NARROW, SLIDE = 990, 330, 1280
"""Pixels. A picture is drawn twice, since text that is scaled down is no text."""

agrees = agreement.agrees


def write(recording: Recording, folder: Path) -> list[Path]:
    """The report, the pictures and the data; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.json"
    recording.save(data)
    made = {"report.html": page(recording)}
    made["timeline.svg"] = timeline(recording, SLIDE, alone=True)
    found = cold_start.from_zero(recording)
    if found is not None:
        made["from-zero.svg"] = waterfall(found, SLIDE, alone=True)
    for name, content in made.items():
        (folder / name).write_text(content)
    return [*(folder / name for name in made), data]


def page(recording: Recording) -> str:
    found = cold_start.from_zero(recording)
    sections = [
        _head(recording, found),
        _section("What happened, second by second", _timeline(recording)),
        _section("One order from zero", _from_zero(found)) if found else "",
        _section("Figures", _table(map(_row, summary.all_figures(recording)))),
        _section("Counted twice", _agreement(recording)),
        _section("How to read this", _notes(recording, found)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(recording))}</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _title(recording: Recording) -> str:
    if recording.where is Where.KNATIVE:
        return "From zero to a sale and back to zero"
    return "A sale on a fixed number of processes"


def _head(recording: Recording, found: FromZero | None) -> str:
    when = datetime.fromtimestamp(recording.began_at, UTC)
    told = f"{recording.address}, {when:%Y-%m-%d %H:%M} UTC. {recording.machine.capitalize()}."
    if recording.ended_early:
        told += f" Not all of it was shown: {recording.ended_early}."
    tiles = "".join(
        f"<div><dt>{escape(each.name)}</dt><dd>{escape(each.value)}</dd></div>"
        for each in summary.highlights(recording, found)
    )
    return (
        f"<header><h1>{escape(_title(recording))}</h1>"
        f'<p class="soft">{escape(told)}</p><dl class="tiles">{tiles}</dl></header>'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _twice(draw: Callable[[float, str], str]) -> str:
    return f'<figure class="card">{draw(WIDE, "wide")}{draw(NARROW, "narrow")}</figure>'


def _timeline(recording: Recording) -> str:
    def draw(width: float, kind: str) -> str:
        return timeline(recording, width, alone=False, kind=kind)

    phases = "".join(
        f"<li>{escape(each.name)}: {recording.end_of(each) - each.began:.1f} s</li>"
        for each in recording.phases
    )
    return f"{_twice(draw)}<ol>{phases}</ol>"


def _from_zero(found: FromZero) -> str:
    def draw(width: float, kind: str) -> str:
        return waterfall(found, width, alone=False, kind=kind)

    waited = " and ".join(
        f"{found.waited[name]:.0f} ms for {name.capitalize() if name == 'firestore' else name}"
        for name in ("inventory", "firestore")
        if name in found.waited
    )
    told = (
        f"{f'In the request itself order waited {waited}. ' if waited else ''}"
        "order wakes inventory as soon as its own process begins, so the two starts overlap; and"
        " each opens its connection to Firestore as it finishes importing. The parts of order"
        " follow one another and add up to the whole; inventory's end where its answer left."
    )
    table = _table(map(_row, summary.from_zero(found)))
    details = f"<details><summary>As a table</summary>{table}</details>"
    return f"{_twice(draw)}<p>{escape(told)}</p>{details}"


def _row(figure: Figure) -> str:
    told = f'<br><span class="soft">{escape(figure.told)}</span>' if figure.told else ""
    name, value = escape(figure.name), escape(figure.value)
    return f'<tr><th scope="row">{name}{told}</th><td class="n">{value}</td></tr>'


def _table(rows: Iterable[str], head: str = "") -> str:
    return f'<div class="card"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _agreement(recording: Recording) -> str:
    found = agreement.compare(recording)
    if not found:
        return '<p class="card warn">There was no second count: the run ended early.</p>'
    head = (
        '<thead><tr><th scope="col">What</th><th scope="col" class="n">Seen</th>'
        '<th scope="col" class="n">Counted</th><th scope="col">agree</th></tr></thead>'
    )
    told = (
        "Seen: by the load generator and the watch of pods, while it happened. Counted:"
        " afterwards, by another way to the same thing."
    )
    return f"<p>{told}</p>{_table(map(_compared, found), head)}"


def _compared(each: agreement.Compared) -> str:
    source = f'<span class="soft">{escape(each.source)}</span>'
    agree = '<span class="good">yes</span>' if each.agree else '<span class="bad">no</span>'
    return (
        f'<tr><th scope="row">{escape(each.what)}<br>{source}</th>'
        f'<td class="n">{escape(each.ours)}</td><td class="n">{escape(each.theirs)}</td>'
        f"<td>{agree}</td></tr>"
    )


LOAD = (
    "Every order was sent at the moment it was due, whatever was still under way, and what its"
    " buyer waited counts from that moment. Each has an Idempotency-Key of its own and buys one"
    " unit."
)
ON_KNATIVE = (
    "Pods are as the API server's watch told them, when it did. When a process began its kernel"
    " knows, and the process says so in its log; so the parts of a start are told by two clocks,"
    " this machine's and the node's."
)
ON_PROCESSES = (
    "There was no cluster: one process of order and one of inventory, as `make run` starts them,"
    " which nothing wakes, scales or ends. So there is no time from zero here, no pod and no"
    " pod-second, and nothing of what the autoscaler would do."
)


def _notes(recording: Recording, found: FromZero | None) -> str:
    came = (
        f"At most {recording.buyers} buyers came in a second (a Poisson process, seed"
        f" {recording.seed}); the sale was {recording.seconds:g} s long; in its second half"
        f" {recording.mix:.0%} still wanted the hot product."
    )
    notes = [came, LOAD, ON_KNATIVE if recording.where is Where.KNATIVE else ON_PROCESSES]
    if found is not None and found.disagreement > 0:
        notes.append(
            f"A moment seemed to lie {found.disagreement * 1000:.0f} ms before the one before it,"
            " and was moved: that far the two clocks are from agreeing."
        )
    for sweep in recording.sweeps:
        moment = sweep - recording.woken
        notes.append(f"reconcile ran by itself at {moment:.0f} s: it may have woken inventory.")
    errors = {each.error for each in recording.answers if each.error}
    if errors:
        notes.append(f"Orders without an answer: {'; '.join(sorted(errors))}")
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>"


if __name__ == "__main__":
    given = Path(sys.argv[1])
    write(Recording.load(given / "data.json"), given)
