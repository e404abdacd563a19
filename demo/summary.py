"""What the report lists: names, values, and what each of them counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo import figures
from demo.recording import Where

if TYPE_CHECKING:
    from demo.cold_start import FromZero
    from demo.figures import Outcomes
    from demo.recording import Recording, Spent


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: str
    told: str = ""


def highlights(recording: Recording, found: FromZero | None) -> list[Figure]:
    outcomes, shelf = figures.Outcomes.of(recording.answers), figures.shelf(recording)
    shown = []
    if found is not None:
        shown.append(Figure("from zero to the first order's answer", f"{found.seconds:.2f} s"))
    shown.append(Figure("orders confirmed", f"{outcomes.confirmed:,}"))
    sold = f"{shelf.sold:,} of {recording.opening:,}"
    shown.append(Figure("sold of the hot product", sold))
    if recording.where is Where.KNATIVE:
        shown.append(Figure("pods at the most, of both functions", f"{_most_pods(recording)}"))
    checks = recording.checks
    audit = checks.audit.get("findings", "unknown") if checks else "not audited"
    shown.append(Figure("broken invariants, by the audit", f"{audit}"))
    return shown


def _most_pods(recording: Recording) -> int:
    woken = [pod for pod in recording.pods.values() if pod.created >= recording.woken]
    return max((each.starting + each.ready for each in figures.pod_counts(woken)), default=0)


def all_figures(recording: Recording) -> list[Figure]:
    outcomes = figures.Outcomes.of(recording.answers)
    shown = [*_orders(recording), *_waiting(recording), *_hot_product(recording)]
    if recording.where is Where.KNATIVE:
        shown += _pods(recording, outcomes.confirmed)
    return [*shown, *_firestore(recording, outcomes)]


def _firestore(recording: Recording, outcomes: Outcomes) -> list[Figure]:
    found = []
    if (spent := recording.spent) is not None:
        count = f"{spent.reads:,} reads, {spent.writes:,} writes"
        told = f"{count}, the demo's {len(recording.stock)} looks at the stock among them"
        found.append(_dollars("Firestore, as the emulator counted", spent, outcomes, told))
    told = "if no two orders shared a commit; with reconcile, which comes later"
    found.append(_dollars("Firestore, at the most", figures.at_most(outcomes), outcomes, told))
    return [each for each in found if each is not None]


def _dollars(name: str, spent: Spent, outcomes: Outcomes, told: str) -> Figure | None:
    dollars = figures.per_thousand(figures.firestore_dollars(spent), outcomes.confirmed)
    if dollars is None:
        return None
    return Figure(f"{name}, for 1,000 confirmed orders", f"${dollars:.4f}", told)


def _orders(recording: Recording) -> list[Figure]:
    outcomes = figures.Outcomes.of(recording.answers)
    came = len(recording.answers)
    return [
        Figure("Buyers who came", f"{came:,}", "at random, none waiting for another"),
        Figure("Orders confirmed", f"{outcomes.confirmed:,}", "201"),
        Figure("Refused", f"{outcomes.refused:,}", "409: not enough in stock"),
        Figure("Failed", f"{outcomes.failed:,}", "any other answer, or none within 40 s"),
    ]


def _waiting(recording: Recording) -> list[Figure]:
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
            told = f"{len(waits):,} answers, the longest {milliseconds(max(waits))}"
            found.append(Figure(f"Waiting, p50 and p99: {phase.name}", value, told))
    late = figures.percentile((each.sent - each.due for each in recording.answers), 0.99)
    told = "from when a request was due until it was sent; it counts as waiting"
    found.append(Figure("The load generator's own delay, p99", milliseconds(late), told))
    return found


def _hot_product(recording: Recording) -> list[Figure]:
    shelf = figures.shelf(recording)
    looks = f"in {len(recording.stock)} looks"
    shown = [
        Figure("Hot product: units at the start", f"{recording.opening:,}"),
        Figure("Hot product: sold", f"{shelf.sold:,}"),
        Figure("Hot product: the lowest stock seen", f"{shelf.lowest}", looks),
        Figure("Hot product: refused while there was stock", f"{shelf.refused_early}"),
    ]
    if shelf.sold_out is not None:
        moment = f"{shelf.sold_out - recording.woken:.1f} s"
        shown.append(Figure("Hot product: sold out", moment, "after the first order came"))
    return shown


def _pods(recording: Recording, confirmed: int) -> list[Figure]:
    found, total = [], 0.0
    woken = [pod for pod in recording.pods.values() if pod.created >= recording.woken]
    for service in ("order", "inventory"):
        ours = [pod for pod in woken if pod.service == service]
        median = figures.percentile((p.ready - p.created for p in ours if p.ready is not None), 0.5)
        told = "" if median is None else f"half of them ready within {median:.1f} s"
        seconds = figures.pod_seconds(ours, recording.woken, recording.ended)
        total += seconds
        found += [
            Figure(f"Pods of {service} that were started", f"{len(ours)}", told),
            Figure(f"Pod-seconds of {service}", f"{seconds:,.0f}", "from scheduled until gone"),
        ]
    cold = sum(1 for each in recording.answers if each.cold)
    found.append(Figure("Orders that met a cold start", f"{cold}", "the first of their process"))
    each = figures.per_thousand(total, confirmed)
    if each is not None:
        told = "the wait for zero included, so a longer sale costs less an order"
        found.append(Figure("Pod-seconds for 1,000 confirmed orders", f"{each:,.0f}", told))
    return found


def from_zero(found: FromZero) -> list[Figure]:
    lanes = [lane for lane in (found.order, found.inventory) if lane is not None]
    return [
        *(
            Figure(f"{lane.service}: {part.name}", milliseconds(part.seconds))
            for lane in lanes
            for part in (*lane.parts, *lane.beside)
        ),
        Figure("in all", milliseconds(found.seconds), "what the buyer waited"),
    ]


def milliseconds(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds * 1000:,.0f} ms"
