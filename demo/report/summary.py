"""The figures that the report lists, in tables of a few columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costs import prices

from demo.recording import CONFLICT, FUNCTIONS, GIVE_UP_SECONDS, Platform
from demo.report import figures
from demo.report.durations import duration, latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.recording import DocumentUsage, OrderResult, Recording
    from demo.report.cold_start import ColdStart
    from demo.report.figures import Outcomes, Percentiles


@dataclass(frozen=True, slots=True)
class Highlight:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: Sequence[str]
    """None of them: the row is a heading of those below it."""
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a name and its values."""

    title: str
    columns: Sequence[str]
    """Heads of the values; none for a table with one value that needs no head."""
    rows: Sequence[Row]
    note: str = ""
    """What the values include and exclude, for the report's section on its method."""


def highlights(recording: Recording, found: ColdStart | None) -> list[Highlight]:
    outcomes, product = figures.Outcomes.of(recording.answers), figures.hot_product(recording)
    shown = []
    if found is not None:
        shown.append(Highlight("cold start: first order, from zero pods", duration(found.seconds)))
    shown.append(Highlight("orders confirmed", f"{outcomes.confirmed:,}"))
    sold = f"of {recording.opening:,} units of the hot product sold"
    shown.append(Highlight(sold, f"{product.sold:,}"))
    if recording.where is Platform.KNATIVE:
        shown.append(Highlight("peak pods, both functions", f"{_peak_pods(recording)}"))
    if recording.deliveries is not None:
        shown.append(Highlight("events delivered", f"{len(recording.deliveries):,}"))
    checks = recording.checks
    audit = checks.audit.get("findings", "unknown") if checks else "not audited"
    shown.append(Highlight("broken invariants (audit)", f"{audit}"))
    return shown


def _peak_pods(recording: Recording) -> int:
    started = [
        pod
        for pod in recording.pods.values()
        if pod.created >= recording.woken and pod.service in FUNCTIONS
    ]
    return max((each.starting + each.ready for each in figures.pod_counts(started)), default=0)


def tables(recording: Recording) -> list[Table]:
    outcomes = figures.Outcomes.of(recording.answers)
    shown = [_orders(recording, outcomes), _hot_product(recording), _latency(recording)]
    if recording.where is Platform.KNATIVE:
        shown.append(_pods(recording, outcomes.confirmed))
    if recording.deliveries is not None:
        shown.append(_events(figures.Events.of(recording.deliveries), outcomes))
    shown.append(_firestore(recording, outcomes))
    return [each for each in shown if each.rows]


def _orders(recording: Recording, outcomes: Outcomes) -> Table:
    rows = [
        Row("Sent", [f"{len(recording.answers):,}"]),
        Row("Confirmed", [f"{outcomes.confirmed:,}"], "201"),
        Row("Refused", [f"{outcomes.refused:,}"], "409: not enough in stock"),
        Row("Failed", [f"{outcomes.failed:,}"], f"other, or none in {GIVE_UP_SECONDS:.0f} s"),
    ]
    return Table("Orders", [], rows)


COLUMNS = ("Count", "p50", "p99", "Max.")
LATENCY_NOTE = (
    "from the moment at which a buyer arrives until the response. A failed order counts as"
    f" confirmed after at least {GIVE_UP_SECONDS:.0f} s. The generator's delay counts from the same"
    " moment until the order was sent. It is part of the latency."
)


def _latency(recording: Recording) -> Table:
    rows = []
    for phase in recording.phases:
        arrived = figures.finished(figures.arrived_in(recording, phase))
        if len(arrived) > 1:
            refused = [each for each in arrived if each.status == CONFLICT]
            others = [each for each in arrived if each.status != CONFLICT]
            rows.append(Row(phase.name, []))
            rows += [*_waited("confirmed", others), *_waited("refused", refused)]
    delay = figures.load_delay(recording)
    if delay is not None:
        rows.append(Row("generator delay", _percentiles(delay)))
    return Table("Latency", COLUMNS, rows, LATENCY_NOTE)


def _waited(outcome: str, answers: Sequence[OrderResult]) -> list[Row]:
    found = figures.latency(answers)
    return [Row(outcome, _percentiles(found))] if found is not None else []


def _percentiles(of: Percentiles) -> list[str]:
    return [f"{of.count:,}", latency(of.p50), latency(of.p99), latency(of.longest)]


def _hot_product(recording: Recording) -> Table:
    product = figures.hot_product(recording)
    readings = f"in {len(recording.stock)} readings"
    rows = [
        Row("Opening stock", [f"{recording.opening:,}"]),
        Row("Sold", [f"{product.sold:,}"]),
        Row("Lowest stock", [f"{product.lowest}"], readings),
        Row("Refused while in stock", [f"{product.refused_early}"]),
    ]
    if product.sold_out is not None:
        sold_out = duration(product.sold_out - recording.woken)
        rows.append(Row("Sold out after", [sold_out], "since the first order"))
    return Table("Hot product", [], rows)


PODS_NOTE = (
    "ready is the p50 of the time from creation to ready. Pod-seconds count from the assignment of"
    " a pod to a node until its end. They include the scale-down, so a longer sale costs less for"
    " each order. They exclude the emulator, the jobs of reconcile and audit, the demo's own pods"
    " and Knative's."
)


def _pods(recording: Recording, confirmed: int) -> Table:
    rows, total = [], 0.0
    started = [pod for pod in recording.pods.values() if pod.created >= recording.woken]
    for service in recording.services:
        ours = [pod for pod in started if pod.service == service]
        median = figures.percentile((p.ready - p.created for p in ours if p.ready is not None), 0.5)
        seconds = figures.pod_seconds(ours, recording.woken, recording.ended)
        total += seconds
        ready = "none" if median is None else duration(median)
        rows.append(Row(service, [f"{len(ours)}", ready, f"{seconds:,.0f}"]))
    each = figures.per_thousand(total, confirmed)
    if each is not None:
        rows.append(Row("Per 1,000 confirmed orders", ["", "", f"{each:,.0f}"]))
    cold = sum(1 for each in recording.answers if each.cold)
    rows.append(Row("Orders delayed by a cold start", [f"{cold}", "", ""]))
    return Table("Pods", ["Started", "Ready", "Pod-seconds"], rows, PODS_NOTE)


EVENTS_NOTE = (
    "every change of an order is delivered at least once. The delay counts from the change, by the"
    " function's clock, until the receiver had its event for the first time. reconcile delivers"
    " later what a process did not."
)


def _events(found: figures.Events, outcomes: Outcomes) -> Table:
    changes = 2 * outcomes.confirmed + outcomes.refused
    explanation = f"of {changes:,}: 2 a confirmed order, 1 a refused one"
    rows = [
        Row("Deliveries", [f"{found.deliveries:,}"]),
        Row("Different events", [f"{found.different:,}"], explanation),
        Row("Delivered again", [f"{found.repeated:,}"]),
    ]
    if found.delay is not None:
        rows += [
            Row("Delay, p50", [duration(found.delay.p50)]),
            Row("Delay, p99", [duration(found.delay.p99)]),
        ]
    return Table("Events", [], rows, EVENTS_NOTE)


def _firestore(recording: Recording, outcomes: Outcomes) -> Table:
    used = {
        "Counted": recording.spent,
        "Upper bound": figures.firestore_upper_bound(
            outcomes, events=recording.deliveries is not None
        ),
    }
    rows = [
        Row(name, [f"{usage.reads:,}", f"{usage.writes:,}", dollars])
        for name, usage in used.items()
        if usage is not None and (dollars := _dollars(usage, outcomes)) is not None
    ]
    note = (
        "dollars per 1,000 confirmed orders, at the list prices of"
        f" {prices.REGION} ({prices.EDITION}, {prices.AS_OF}) without the free quota. The emulator"
        f" counted, {len(recording.stock)} stock readings of the demo included. The upper bound"
        " holds if no two orders share a commit. It includes the later reconcile."
    )
    return Table("Firestore", ["Reads", "Writes", "Dollars"], rows, note)


def _dollars(spent: DocumentUsage, outcomes: Outcomes) -> str | None:
    dollars = figures.per_thousand(figures.firestore_dollars(spent), outcomes.confirmed)
    return None if dollars is None else f"${dollars:.4f}"


def cold_start_parts(found: ColdStart) -> list[Row]:
    lanes = [lane for lane in (found.order, found.inventory) if lane is not None]
    return [
        *(
            Row(f"{lane.service}: {part.name}", [milliseconds(part.seconds)])
            for lane in lanes
            for part in (*lane.parts, *lane.background)
        ),
        Row("total", [milliseconds(found.seconds)], "the buyer's latency"),
    ]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
