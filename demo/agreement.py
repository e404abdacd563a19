"""What was counted twice, side by side: by who did it, and by somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo import figures
from demo.recording import Where

if TYPE_CHECKING:
    from demo.recording import Checks, Recording


@dataclass(frozen=True, slots=True)
class Compared:
    what: str
    ours: str
    theirs: str
    source: str
    agree: bool


UNDECIDED = (None, 500, 502, 503, 504)
"""Statuses, or no response, after which an order may have been placed."""


def compare(recording: Recording) -> list[Compared]:
    """Nothing where there was no second count."""
    checks = recording.checks
    if checks is None:
        return []
    found = [_orders(recording, checks), *_stock(recording, checks)]
    if recording.where is Where.KNATIVE:
        found += [*_pods(recording, checks), _answering(recording)]
    findings = checks.audit.get("findings")
    found.append(
        Compared("Broken invariants", "0", str(findings), "audit of the database", findings == 0)
    )
    return found


def agrees(recording: Recording) -> bool:
    found = compare(recording)
    return bool(found) and all(each.agree for each in found)


def _orders(recording: Recording, checks: Checks) -> Compared:
    """Every 201 is in the store, and what else is there had an answer that did not arrive."""
    told = {each.order_id for each in recording.answers if each.order_id}
    stored = set(checks.stored)
    unanswered = sum(1 for each in recording.answers if each.status in UNDECIDED)
    fine = told <= stored and len(stored) - len(told) <= unanswered
    return Compared(
        "Confirmed orders", f"{len(told)}", f"{len(stored)}", "GET /orders, every page", fine
    )


def _stock(recording: Recording, checks: Checks) -> list[Compared]:
    if checks.stock is None:
        return []
    shelf = figures.shelf(recording)
    sold, left = checks.stock.reserved, checks.stock.available
    return [
        Compared(
            "Sold of the hot product",
            f"{shelf.sold}",
            f"{sold}",
            "reserved, by inventory",
            shelf.sold == sold,
        ),
        Compared(
            "Left of the hot product",
            f"{recording.opening - shelf.sold}",
            f"{left}",
            "available, by inventory",
            left == recording.opening - shelf.sold,
        ),
    ]


def _pods(recording: Recording, checks: Checks) -> list[Compared]:
    if checks.pods is None:
        return []
    watched = sorted(
        pod.name
        for pod in recording.pods.values()
        if pod.scheduled is not None and pod.scheduled > recording.woken
    )
    return [
        Compared(
            "Pods",
            f"{len(watched)}",
            f"{len(checks.pods)}",
            "the scheduler's events",
            watched == checks.pods,
        )
    ]


def _answering(recording: Recording) -> Compared:
    """Each pod that has answered names itself in the answer."""
    named = {each.pod for each in recording.answers if each.pod}
    watched = {pod.name for pod in recording.pods.values() if pod.service == "order"}
    return Compared(
        "Pods of order that answered",
        f"{len(watched & named)}",
        f"{len(named)}",
        "X-Pod of the answers",
        named <= watched,
    )
