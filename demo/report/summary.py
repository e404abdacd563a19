"""The figures that the report lists, each with its name, value and explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.recording import Platform
from demo.report import figures

if TYPE_CHECKING:
    from demo.recording import DocumentUsage, Recording
    from demo.report.cold_start import ColdStart
    from demo.report.figures import Outcomes


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: str
    explanation: str = ""


def highlights(recording: Recording, found: ColdStart | None) -> list[Figure]:
    outcomes, product = figures.Outcomes.of(recording.answers), figures.hot_product(recording)
    shown = []
    if found is not None:
        shown.append(Figure("cold start: first order, from zero pods", f"{found.seconds:.2f} s"))
    shown.append(Figure("orders confirmed", f"{outcomes.confirmed:,}"))
    sold = f"of {recording.opening:,} units of the hot product sold"
    shown.append(Figure(sold, f"{product.sold:,}"))
    if recording.where is Platform.KNATIVE:
        shown.append(Figure("peak pods, both functions", f"{_peak_pods(recording)}"))
    checks = recording.checks
    audit = checks.audit.get("findings", "unknown") if checks else "not audited"
    shown.append(Figure("broken invariants (audit)", f"{audit}"))
    return shown


def _peak_pods(recording: Recording) -> int:
    started = [pod for pod in recording.pods.values() if pod.created >= recording.woken]
    return max((each.starting + each.ready for each in figures.pod_counts(started)), default=0)


def all_figures(recording: Recording) -> list[Figure]:
    outcomes = figures.Outcomes.of(recording.answers)
    shown = [*_orders(recording), *_latency(recording), *_hot_product(recording)]
    if recording.where is Platform.KNATIVE:
        shown += _pods(recording, outcomes.confirmed)
    return [*shown, *_firestore(recording, outcomes)]


def _firestore(recording: Recording, outcomes: Outcomes) -> list[Figure]:
    found = []
    if (spent := recording.spent) is not None:
        count = f"{spent.reads:,} reads, {spent.writes:,} writes"
        explanation = f"{count}, including the demo's {len(recording.stock)} stock readings"
        found.append(_dollars("Firestore, counted", spent, outcomes, explanation))
    explanation = "if no two orders shared a commit; the later reconcile included"
    bound = figures.firestore_upper_bound(outcomes)
    found.append(_dollars("Firestore, upper bound", bound, outcomes, explanation))
    return [each for each in found if each is not None]


def _dollars(
    name: str, spent: DocumentUsage, outcomes: Outcomes, explanation: str
) -> Figure | None:
    dollars = figures.per_thousand(figures.firestore_dollars(spent), outcomes.confirmed)
    if dollars is None:
        return None
    return Figure(f"{name}, per 1,000 confirmed orders", f"${dollars:.4f}", explanation)


def _orders(recording: Recording) -> list[Figure]:
    outcomes = figures.Outcomes.of(recording.answers)
    sent = len(recording.answers)
    return [
        Figure("Orders sent", f"{sent:,}", "one per buyer, at random times (open load)"),
        Figure("Orders confirmed", f"{outcomes.confirmed:,}", "201"),
        Figure("Refused", f"{outcomes.refused:,}", "409: not enough in stock"),
        Figure("Failed", f"{outcomes.failed:,}", "any other response, or none within 40 s"),
    ]


def _latency(recording: Recording) -> list[Figure]:
    found = []
    for phase in recording.phases:
        waits = [
            each.latency
            for each in recording.answers
            if phase.began <= each.due < recording.end_of(phase) and each.status is not None
        ]
        if len(waits) > 1:
            p50, p99 = (figures.percentile(waits, share) for share in (0.5, 0.99))
            value = f"{milliseconds(p50)}, {milliseconds(p99)}"
            explanation = f"{len(waits):,} responses, maximum {milliseconds(max(waits))}"
            found.append(Figure(f"Latency p50, p99: {phase.name}", value, explanation))
    explanation = "from a request's due time until it was sent; part of its latency"
    delay = milliseconds(figures.load_delay(recording))
    found.append(Figure("Load generator delay p99", delay, explanation))
    return found


def _hot_product(recording: Recording) -> list[Figure]:
    product = figures.hot_product(recording)
    readings = f"in {len(recording.stock)} readings"
    shown = [
        Figure("Hot product: opening stock", f"{recording.opening:,}"),
        Figure("Hot product: sold", f"{product.sold:,}"),
        Figure("Hot product: lowest stock", f"{product.lowest}", readings),
        Figure("Hot product: refused while in stock", f"{product.refused_early}"),
    ]
    if product.sold_out is not None:
        sold_out = f"{product.sold_out - recording.woken:.1f} s"
        shown.append(Figure("Hot product: sold out after", sold_out, "since the first order"))
    return shown


def _pods(recording: Recording, confirmed: int) -> list[Figure]:
    found, total = [], 0.0
    started = [pod for pod in recording.pods.values() if pod.created >= recording.woken]
    for service in ("order", "inventory"):
        ours = [pod for pod in started if pod.service == service]
        median = figures.percentile((p.ready - p.created for p in ours if p.ready is not None), 0.5)
        explanation = "" if median is None else f"time to ready, p50: {median:.1f} s"
        seconds = figures.pod_seconds(ours, recording.woken, recording.ended)
        total += seconds
        found += [
            Figure(f"Pods of {service} started", f"{len(ours)}", explanation),
            Figure(f"Pod-seconds of {service}", f"{seconds:,.0f}", "from scheduled until gone"),
        ]
    cold = sum(1 for each in recording.answers if each.cold)
    found.append(
        Figure("Orders delayed by a cold start", f"{cold}", "the first request of a process")
    )
    each = figures.per_thousand(total, confirmed)
    if each is not None:
        explanation = "scale-down included, so a longer sale costs less per order"
        found.append(Figure("Pod-seconds per 1,000 confirmed orders", f"{each:,.0f}", explanation))
    return found


def cold_start_parts(found: ColdStart) -> list[Figure]:
    lanes = [lane for lane in (found.order, found.inventory) if lane is not None]
    return [
        *(
            Figure(f"{lane.service}: {part.name}", milliseconds(part.seconds))
            for lane in lanes
            for part in (*lane.parts, *lane.background)
        ),
        Figure("total", milliseconds(found.seconds), "the buyer's latency"),
    ]


def milliseconds(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds * 1000:,.0f} ms"
