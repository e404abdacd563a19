"""The report of a run: one self-contained HTML file, its pictures as SVG files, and the data.

``python -m demo.report FOLDER`` writes the report again from the data of a run.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from demo.recording import Platform, Recording
from demo.report import cold_start, cross_check, summary, verdict
from demo.report.durations import duration
from demo.report.timeline import timeline
from demo.report.waterfall import waterfall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from demo.report.cold_start import ColdStart
    from demo.report.summary import Row, Table

STYLE = "".join(
    Path(__file__).with_name(name).read_text() for name in ("picture.css", "report.css")
)
WIDE, NARROW, SLIDE = 990, 330, 1280
"""Widths in pixels. The report has each picture twice, because scaled text is too small to read."""

agrees = cross_check.agrees


def write(recording: Recording, folder: Path) -> list[Path]:
    """Write the report, the pictures and the data; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.json"
    recording.save(data)
    made = {"report.html": page(recording)}
    made["timeline.svg"] = timeline(recording, SLIDE, alone=True)
    found = cold_start.of_first_order(recording)
    if found is not None:
        made["from-zero.svg"] = waterfall(found, SLIDE, alone=True)
    for name, content in made.items():
        (folder / name).write_text(content)
    return [*(folder / name for name in made), data]


def page(recording: Recording) -> str:
    found = cold_start.of_first_order(recording)
    sections = [
        _head(recording, found),
        _section("Timeline", _timeline(recording)),
        _section("Cold start of the first order", _cold_start(found)) if found else "",
        _section("Figures", _figures(recording)),
        _section("Cross-check", _cross_check(recording)),
        _section("Method", _notes(recording, found)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(recording))}</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _title(recording: Recording) -> str:
    if recording.where is Platform.KNATIVE:
        return "A sale on Knative: from zero pods and back to zero"
    return "A sale on local processes"


def _head(recording: Recording, found: ColdStart | None) -> str:
    when = datetime.fromtimestamp(recording.began_at, UTC)
    summary_line = (
        f"{recording.address}, {when:%Y-%m-%d %H:%M} UTC. {recording.machine.capitalize()}."
    )
    tiles = "".join(
        f"<div><dt>{escape(each.name)}</dt><dd>{escape(each.value)}</dd></div>"
        for each in summary.highlights(recording, found)
    )
    warning = verdict.warning(recording)
    kind = "good" if agrees(recording) and not recording.ended_early else "bad"
    warned = f'<p class="card warn">{escape(warning)}</p>' if warning else ""
    return (
        f"<header><h1>{escape(_title(recording))}</h1>"
        f'<p class="soft">{escape(summary_line)}</p>'
        f'<p class="{kind}">{escape(verdict.verdict(recording))}.</p>{warned}'
        f'<dl class="tiles">{tiles}</dl></header>'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _twice(draw: Callable[[float, str], str]) -> str:
    return f'<figure class="card">{draw(WIDE, "wide")}{draw(NARROW, "narrow")}</figure>'


def _timeline(recording: Recording) -> str:
    def draw(width: float, kind: str) -> str:
        return timeline(recording, width, alone=False, kind=kind)

    phases = "".join(
        f"<li>{escape(each.name)}: {duration(recording.end_of(each) - each.began)}</li>"
        for each in recording.phases
    )
    return f"{_twice(draw)}<ol>{phases}</ol>"


def _cold_start(found: ColdStart) -> str:
    def draw(width: float, kind: str) -> str:
        return waterfall(found, width, alone=False, kind=kind)

    waited = " and ".join(
        f"{found.server_milliseconds[key]:.0f} ms for {name}"
        for key, name in (("inventory", "inventory"), ("firestore", "Firestore"))
        if key in found.server_milliseconds
    )
    text = (
        f"{f'During the request, order waited {waited}. ' if waited else ''}"
        "The two cold starts overlap: order calls inventory as soon as its own process begins."
        " Each function opens its Firestore connection at the end of its imports. The parts of"
        " order add up to the total; those of inventory end when its response leaves."
    )
    table = _card(map(_row, summary.cold_start_parts(found)))
    details = f"<details><summary>As a table</summary>{table}</details>"
    return f"{_twice(draw)}<p>{escape(text)}</p>{details}"


def _figures(recording: Recording) -> str:
    return f'<div class="tables">{"".join(map(_table, summary.tables(recording)))}</div>'


def _table(table: Table) -> str:
    columns = "".join(f'<th scope="col" class="n">{escape(each)}</th>' for each in table.columns)
    head = f"<thead><tr><td></td>{columns}</tr></thead>" if columns else ""
    kind = "wide-table" if columns else "pairs"
    card = _card(map(_row, table.rows), head, kind)
    return f"<div><h3>{escape(table.title)}</h3>{card}</div>"


def _row(row: Row) -> str:
    if not row.values:
        return f'<tr class="group"><th scope="rowgroup" colspan="9">{escape(row.name)}</th></tr>'
    explanation = f' <span class="soft">{escape(row.explanation)}</span>' if row.explanation else ""
    values = "".join(f'<td class="n">{escape(each)}</td>' for each in row.values)
    return f'<tr><th scope="row">{escape(row.name)}{explanation}</th>{values}</tr>'


def _card(rows: Iterable[str], head: str = "", kind: str = "") -> str:
    return f'<div class="card {kind}"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _cross_check(recording: Recording) -> str:
    found = cross_check.compare(recording)
    if not found:
        return '<p class="card warn">There is no cross-check, because the run ended early.</p>'
    head = (
        '<thead><tr><th scope="col">Figure</th><th scope="col" class="n">Run</th>'
        '<th scope="col" class="n">Recount</th><th scope="col">Equal</th></tr></thead>'
    )
    text = (
        "Run: counted by the load generator and the watch of pods, during the run. Recount:"
        " after the run, from the source beside each name."
    )
    return f"<p>{text}</p>{_card(map(_compared, found), head, 'check')}"


def _compared(each: cross_check.Comparison) -> str:
    source = f'<span class="soft">{escape(each.source)}</span>'
    agree = '<span class="good">yes</span>' if each.agree else '<span class="bad">no</span>'
    return (
        f'<tr><th scope="row">{escape(each.what)} {source}</th>'
        f'<td class="n">{escape(each.recorded)}</td><td class="n">{escape(each.recounted)}</td>'
        f"<td>{agree}</td></tr>"
    )


LOAD = (
    "The load is open: every order is sent at its due time, however many are in flight. Latency"
    " counts from the due time. Each order has an Idempotency-Key of its own and buys one unit."
)
ON_KNATIVE = (
    "Pod times are those of the API server's watch on this machine's clock. Process times are"
    " those of the function's log on the node's clock."
)
ON_PROCESSES = (
    "There was no cluster. `make run` started one process of order and one of inventory, and"
    " nothing scales them. So this report has no cold start from zero, no pods and no"
    " pod-seconds."
)


def _notes(recording: Recording, found: ColdStart | None) -> str:
    load = (
        f"Peak load: {recording.buyers} buyers per second (a Poisson process, seed"
        f" {recording.seed}). The sale takes {recording.seconds:g} s. In its second half"
        f" {recording.mix:.0%} of the buyers order the hot product."
    )
    notes = [load, LOAD, ON_KNATIVE if recording.where is Platform.KNATIVE else ON_PROCESSES]
    if found is not None and found.clock_skew > 0:
        notes.append(
            f"The two clocks differ by at least {found.clock_skew * 1000:.0f} ms: a part of the"
            " cold start seemed to end before it began, and was moved."
        )
    for sweep in recording.sweeps:
        seconds = sweep - recording.woken
        notes.append(f"The scheduled reconcile ran at {seconds:.0f} s; it may start inventory.")
    errors = {each.error for each in recording.answers if each.error}
    if errors:
        notes.append(f"Orders without a response: {'; '.join(sorted(errors))}")
    notes += [f"{table.title}: {table.note}" for table in summary.tables(recording) if table.note]
    items = "".join(f"<li>{_with_code(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>"


def _with_code(text: str) -> str:
    """HTML of a text that has commands in backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
