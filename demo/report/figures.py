"""Figures of a recording: outcomes, percentiles, pods, stock and Firestore usage."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costs.usage import Usage

from demo.recording import CONFLICT, CREATED, CUT_SHORT, DocumentUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from demo.recording import Delivery, OrderResult, Phase, Pod, Recording


def percentile(values: Iterable[float], share: float) -> float | None:
    """By nearest rank, so that the result is a measured value; None if there are no values."""
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of times in seconds. There is at least one."""

    count: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, times: Iterable[float]) -> Percentiles | None:
        """None if there are no times."""
        ranked = sorted(times)
        p50, p99 = percentile(ranked, 0.5), percentile(ranked, 0.99)
        if p50 is None or p99 is None:
            return None
        return cls(len(ranked), p50, p99, ranked[-1])


def load_delay(recording: Recording) -> Percentiles | None:
    """Seconds from each request's due time until it was sent."""
    return Percentiles.of(each.sent - each.due for each in recording.answers)


def finished(answers: Iterable[OrderResult]) -> list[OrderResult]:
    """The orders whose buyers waited to the end, with any outcome."""
    return [each for each in answers if each.error != CUT_SHORT]


def latency(answers: Iterable[OrderResult]) -> Percentiles | None:
    """Of the buyers who waited to the end; a failed order counts as at least the limit."""
    return Percentiles.of(each.latency for each in finished(answers))


def arrived_in(recording: Recording, phase: Phase) -> list[OrderResult]:
    """The orders of the buyers who arrived in the phase."""
    end = recording.end_of(phase)
    return [each for each in recording.answers if phase.began <= each.due < end]


@dataclass(frozen=True, slots=True)
class Outcomes:
    confirmed: int
    refused: int
    """409: not enough stock."""
    failed: int
    """Any other response, or none."""

    @classmethod
    def of(cls, answers: Iterable[OrderResult]) -> Outcomes:
        statuses = Counter(answer.status for answer in answers)
        confirmed, refused = statuses[CREATED], statuses[CONFLICT]
        return cls(confirmed, refused, statuses.total() - confirmed - refused)


@dataclass(frozen=True, slots=True)
class Interval:
    began: float
    due: int
    """Buyers who arrived in it."""
    outcomes: Outcomes
    """Outcomes of the responses that arrived in it."""
    p50: float | None
    p99: float | None
    """Latency in seconds of the buyers who arrived in it, whatever the outcome."""


def intervals(answers: Sequence[OrderResult], until: float, width: float) -> list[Interval]:
    arrived: dict[int, list[OrderResult]] = {}
    ended: dict[int, list[OrderResult]] = {}
    for answer in answers:
        arrived.setdefault(int(answer.due // width), []).append(answer)
        ended.setdefault(int(answer.ended // width), []).append(answer)
    found = []
    for number in range(math.ceil(until / width)):
        here = arrived.get(number, [])
        waited = latency(here)
        found.append(
            Interval(
                number * width,
                len(here),
                Outcomes.of(ended.get(number, [])),
                waited.p50 if waited else None,
                waited.p99 if waited else None,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class PodCount:
    """The counts from this time on."""

    at: float
    starting: int
    ready: int


def pod_counts(pods: Iterable[Pod]) -> list[PodCount]:
    """A pod starts when it is created, and is no longer ready once it terminates."""
    changes: list[tuple[float, int, int]] = []
    for pod in pods:
        left = pod.ending if pod.ending is not None else pod.gone
        changes.append((pod.created, 1, 0))
        if pod.ready is not None:
            changes.append((pod.ready, -1, 1))
        if left is not None:
            changes.append((left, -1, 0) if pod.ready is None else (left, 0, -1))
    counts: list[PodCount] = []
    starting = ready = 0
    for at, more_starting, more_ready in sorted(changes):
        starting, ready = starting + more_starting, ready + more_ready
        if counts and counts[-1].at == at:
            counts.pop()
        counts.append(PodCount(at, starting, ready))
    return counts


def pod_seconds(pods: Iterable[Pod], began: float, ended: float) -> float:
    """Seconds that pods were on a node, from scheduled until gone, between these times."""
    total = 0.0
    for pod in pods:
        if pod.scheduled is not None:
            gone = ended if pod.gone is None else pod.gone
            total += max(0.0, min(gone, ended) - max(pod.scheduled, began))
    return total


@dataclass(frozen=True, slots=True)
class HotProduct:
    """The hot product, by the stock readings and by the responses."""

    lowest: int | None
    last: int | None
    sold: int
    sold_out: float | None
    """When the response for the last unit arrived."""
    refused_early: int
    """409 responses that arrived before the last successful order was sent; 0 if all is well."""


def hot_product(recording: Recording) -> HotProduct:
    of_hot = [answer for answer in recording.answers if answer.product_id == recording.hot]
    sales = sorted(answer.ended for answer in of_hot if answer.status == CREATED)
    seen = [reading.available for reading in recording.stock]
    sold_out = sales[-1] if len(sales) == recording.opening else None
    first_refused = [answer.ended for answer in of_hot if answer.status == CONFLICT]
    # The last unit is taken before its response arrives. A 409 is early only if it arrived before
    # the last order that got a unit was sent.
    last_sent = max((a.sent for a in of_hot if a.status == CREATED), default=0.0)
    return HotProduct(
        lowest=min(seen, default=None),
        last=seen[-1] if seen else None,
        sold=len(sales),
        sold_out=sold_out,
        refused_early=sum(1 for ended in first_refused if ended < last_sent),
    )


@dataclass(frozen=True, slots=True)
class Events:
    """The deliveries of events at the receiver."""

    deliveries: int
    different: int
    """Events, each counted once."""
    repeated: int
    """Deliveries of an event that the receiver had seen before."""
    delay: Percentiles | None
    """Seconds from a change until the first delivery of its event."""

    @classmethod
    def of(cls, deliveries: Sequence[Delivery]) -> Events:
        first: dict[str, float] = {}
        for each in sorted(deliveries, key=lambda each: each.at):
            first.setdefault(each.event_id, each.delay)
        repeated = sum(1 for each in deliveries if each.repeated)
        return cls(len(deliveries), len(first), repeated, Percentiles.of(first.values()))


CONFIRMED = DocumentUsage(reads=2, writes=3)
REFUSED = DocumentUsage(reads=2, writes=1)
SWEPT = DocumentUsage(reads=3, writes=1)
SENT = DocumentUsage(reads=1, writes=1)
"""Upper bounds (docs/cost.md): an order of one product alone, one refused under a key, the
addition of `reconcile` to the first, and the record that the events of either were sent. An order
reads its reservation only if that existed before. Orders that share a commit share the product's
document, so a rush costs less."""


def firestore_dollars(spent: DocumentUsage) -> float:
    """At the list price of docs/cost.md."""
    return float(Usage(spent.reads, spent.writes).dollars)


def firestore_upper_bound(outcomes: Outcomes, *, events: bool = False) -> DocumentUsage:
    """Usage if no two orders shared a commit, the later sweep included.

    ``events``: the shop sends events.
    """
    stored = outcomes.confirmed + outcomes.refused
    times = (
        (SENT, stored if events else 0),
        (CONFIRMED, outcomes.confirmed),
        (REFUSED, outcomes.refused),
        (SWEPT, outcomes.confirmed),
    )
    return DocumentUsage(
        sum(each.reads * count for each, count in times),
        sum(each.writes * count for each, count in times),
    )


def per_thousand(amount: float, orders: int) -> float | None:
    return amount / orders * 1000 if orders else None
