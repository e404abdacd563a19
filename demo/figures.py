"""Figures of a recording. Each says what it counts, and counts nothing else."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costs import prices

from demo.recording import CONFLICT, CREATED, Spent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from demo.recording import Answer, Pod, Recording


def percentile(values: Iterable[float], share: float) -> float | None:
    """By nearest rank: a value that was measured, and none that was not; None of none."""
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


@dataclass(frozen=True, slots=True)
class Outcomes:
    confirmed: int
    refused: int
    """409: business."""
    failed: int
    """Any other answer, or none."""

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> Outcomes:
        statuses = Counter(answer.status for answer in answers)
        confirmed, refused = statuses[CREATED], statuses[CONFLICT]
        return cls(confirmed, refused, statuses.total() - confirmed - refused)


@dataclass(frozen=True, slots=True)
class Interval:
    began: float
    due: int
    """Buyers who came in it."""
    outcomes: Outcomes
    """Of the answers that came in it."""
    p50: float | None
    p99: float | None
    """Seconds that those waited who came in it."""


def intervals(answers: Sequence[Answer], until: float, width: float) -> list[Interval]:
    came: dict[int, list[Answer]] = {}
    left: dict[int, list[Answer]] = {}
    for answer in answers:
        came.setdefault(int(answer.due // width), []).append(answer)
        left.setdefault(int(answer.ended // width), []).append(answer)
    found = []
    for number in range(math.ceil(until / width)):
        here = came.get(number, [])
        latencies = [answer.latency for answer in here if answer.status is not None]
        found.append(
            Interval(
                number * width,
                len(here),
                Outcomes.of(left.get(number, [])),
                percentile(latencies, 0.5),
                percentile(latencies, 0.99),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class PodCount:
    """From this moment on."""

    at: float
    starting: int
    ready: int


def pod_counts(pods: Iterable[Pod]) -> list[PodCount]:
    """A pod starts when it is made, and is no longer ready once it is told to end."""
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
    """How long pods held a place on a node, within these times: from scheduled until gone."""
    total = 0.0
    for pod in pods:
        if pod.scheduled is not None:
            gone = ended if pod.gone is None else pod.gone
            total += max(0.0, min(gone, ended) - max(pod.scheduled, began))
    return total


@dataclass(frozen=True, slots=True)
class Shelf:
    """The hot product, told twice: by what was seen of its stock, and by the answers."""

    lowest: int | None
    last: int | None
    sold: int
    sold_out: float | None
    """When the last unit went, by the answers."""
    refused_early: int
    """Refusals that were told before the buyer of the last unit had asked: there shall be none."""


def shelf(recording: Recording) -> Shelf:
    of_hot = [answer for answer in recording.answers if answer.product_id == recording.hot]
    sales = sorted(answer.ended for answer in of_hot if answer.status == CREATED)
    seen = [look.available for look in recording.stock]
    sold_out = sales[-1] if len(sales) == recording.opening else None
    first_refused = [answer.ended for answer in of_hot if answer.status == CONFLICT]
    # The last unit is taken before its buyer is told, so only who was told before the first of
    # the buyers still under way at that time had asked would be refused early.
    last_asked = max((a.sent for a in of_hot if a.status == CREATED), default=0.0)
    return Shelf(
        lowest=min(seen, default=None),
        last=seen[-1] if seen else None,
        sold=len(sales),
        sold_out=sold_out,
        refused_early=sum(1 for ended in first_refused if ended < last_asked),
    )


CONFIRMED = Spent(reads=2, writes=3)
REFUSED = Spent(reads=2, writes=1)
SWEPT = Spent(reads=3, writes=1)
"""An order of one product by itself, at the most (it reads its reservation only after another was
there already), one refused under a key, and what `reconcile` adds to the first later
(docs/cost.md). Who shares a commit shares the product's document: a rush costs less."""


def firestore_dollars(spent: Spent) -> float:
    """At list price: docs/cost.md says which."""
    priced = spent.reads * prices.READS + spent.writes * prices.WRITES
    return float(priced / prices.PRICED)


def at_most(outcomes: Outcomes) -> Spent:
    """What the orders and refusals take when none of them shares anything, swept afterwards."""
    times = (
        (CONFIRMED, outcomes.confirmed),
        (REFUSED, outcomes.refused),
        (SWEPT, outcomes.confirmed),
    )
    return Spent(
        sum(each.reads * count for each, count in times),
        sum(each.writes * count for each, count in times),
    )


def per_thousand(amount: float, orders: int) -> float | None:
    return amount / orders * 1000 if orders else None
