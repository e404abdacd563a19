"""The cold start of the first order, divided into parts.

The times come from two clocks: this machine's (the order, the watch of pods) and that of the node
(the functions' logs). A missing time merges two parts. A time that lies before its predecessor is
moved up to it; the largest such move is reported as the clock skew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.recording import OrderResult, Pod, Recording


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Lane:
    """The start of one function's pod, in consecutive parts without a gap."""

    service: str
    parts: list[Part]
    background: list[Part]
    """Parts that run at the same time, in the background."""
    clock_skew: float
    """Seconds of the largest move of a time."""


@dataclass(frozen=True, slots=True)
class ColdStart:
    began: float
    ended: float
    order: Lane
    inventory: Lane | None
    server_milliseconds: dict[str, float]
    """Milliseconds that order spent in each dependency during the request, from its log."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def clock_skew(self) -> float:
        return max(lane.clock_skew for lane in (self.order, self.inventory) if lane)


KNATIVE = "Knative requests a pod"
SCHEDULING = "scheduling"
CONTAINER = "container start"
PROCESS = "process start"
IMPORTS = "imports"
ROUTE = "readiness and routing"
REQUEST = "request"
BACK = "response"
FIRST_CALL = "first Firestore call"


def of_first_order(recording: Recording) -> ColdStart | None:
    """The first order's cold start; None if it started no pod, or the pod was not recorded."""
    result = min(recording.answers, key=lambda each: each.due, default=None)
    if result is None or not result.cold:
        return None
    order = _first_pod(recording, "order", result)
    if order is None:
        return None
    inventory = _first_pod(recording, "inventory", result)
    return ColdStart(
        result.due,
        result.ended,
        _lane(order, result, result.ended),
        _lane(inventory, result, None) if inventory else None,
        order.first.ms if order.first else {},
    )


def _first_pod(recording: Recording, service: str, result: OrderResult) -> Pod | None:
    """The first pod created between the order's arrival and its response."""
    started = [
        pod
        for pod in recording.pods.values()
        if pod.service == service and result.due <= pod.created <= result.ended
    ]
    if service == "order":
        started = [pod for pod in started if pod.name == result.pod]
    return min(started, key=lambda pod: pod.created, default=None)


def _lane(pod: Pod, result: OrderResult, ended: float | None) -> Lane:
    start, first = pod.start, pod.first
    ends = [
        (KNATIVE, pod.created),
        (SCHEDULING, pod.scheduled),
        (CONTAINER, start.process if start else None),
        (PROCESS, start.running if start else None),
        (IMPORTS, start.loaded if start else None),
        (ROUTE, first.began if first else None),
        (REQUEST, first.ended if first else None),
        (BACK, ended),
    ]
    parts: list[Part] = []
    clock_skew, last = 0.0, result.due
    for name, reported in ends:
        if reported is not None:
            clock_skew = max(clock_skew, last - reported)
            end = min(max(reported, last), result.ended)
            parts.append(Part(name, last, end))
            last = end
    background = [Part(FIRST_CALL, *start.firestore)] if start and start.firestore else []
    return Lane(pod.service, parts, background, clock_skew)
