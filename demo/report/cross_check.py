"""Compares the demo's own counts with those of a second source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.recording import Platform
from demo.report import figures

if TYPE_CHECKING:
    from demo.recording import Checks, Recording


@dataclass(frozen=True, slots=True)
class Comparison:
    what: str
    recorded: str
    recounted: str
    source: str
    agree: bool


FINDINGS = "Broken invariants"
UNDECIDED = (None, 500, 502, 503, 504)
"""Outcomes after which an order may have been placed; None is a missing response."""


def compare(recording: Recording) -> list[Comparison]:
    """One comparison for each figure; none if there was no recount."""
    checks = recording.checks
    if checks is None:
        return []
    found = [_orders(recording, checks), *_stock(recording, checks)]
    if recording.where is Platform.KNATIVE:
        found += [*_pods(recording, checks), _responding(recording)]
    findings = checks.audit.get("findings")
    found.append(Comparison(FINDINGS, "0", str(findings), "audit of the database", findings == 0))
    return found


def agrees(recording: Recording) -> bool:
    found = compare(recording)
    return bool(found) and all(each.agree for each in found)


def _orders(recording: Recording, checks: Checks) -> Comparison:
    """Every 201 is in the database; each further order there had an unknown outcome."""
    created = {each.order_id for each in recording.answers if each.order_id}
    stored = set(checks.stored)
    unknown = sum(1 for each in recording.answers if each.status in UNDECIDED)
    agree = created <= stored and len(stored) - len(created) <= unknown
    return Comparison(
        "Confirmed orders",
        f"{len(created):,}",
        f"{len(stored):,}",
        "GET /orders, every page",
        agree,
    )


def _stock(recording: Recording, checks: Checks) -> list[Comparison]:
    if checks.stock is None:
        return []
    shelf = figures.hot_product(recording)
    sold, left = checks.stock.reserved, checks.stock.available
    return [
        Comparison(
            "Sold of the hot product",
            f"{shelf.sold:,}",
            f"{sold:,}",
            "reserved stock of inventory",
            shelf.sold == sold,
        ),
        Comparison(
            "Left of the hot product",
            f"{recording.opening - shelf.sold:,}",
            f"{left:,}",
            "available stock of inventory",
            left == recording.opening - shelf.sold,
        ),
    ]


def _pods(recording: Recording, checks: Checks) -> list[Comparison]:
    if checks.pods is None:
        return []
    watched = sorted(
        pod.name
        for pod in recording.pods.values()
        if pod.scheduled is not None and pod.scheduled > recording.woken
    )
    return [
        Comparison(
            "Pods",
            f"{len(watched)}",
            f"{len(checks.pods)}",
            "scheduler events",
            watched == checks.pods,
        )
    ]


def _responding(recording: Recording) -> Comparison:
    """Every pod that responded is one that the watch reported."""
    named = {each.pod for each in recording.answers if each.pod}
    watched = {pod.name for pod in recording.pods.values() if pod.service == "order"}
    return Comparison(
        "Pods of order that responded",
        f"{len(watched & named)}",
        f"{len(named)}",
        "X-Pod header of the responses",
        named <= watched,
    )
