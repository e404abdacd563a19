"""The time of one order from zero, taken apart.

The moments come from three clocks' worth of witnesses: this process (the order, and what the API
server's watch told it), and the functions' logs on their node. Moments that are missing make two
parts into one; a moment that seems to lie before the one before it is moved up to it, and by how
much is told, since it says how far the clocks disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.recording import Answer, Pod, Recording


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
    """What one function went through, without a gap."""

    service: str
    parts: list[Part]
    beside: list[Part]
    """What went on meanwhile, in the background."""
    disagreement: float
    """Seconds that the worst moment had to be moved by."""


@dataclass(frozen=True, slots=True)
class FromZero:
    began: float
    ended: float
    order: Lane
    inventory: Lane | None
    waited: dict[str, float]
    """Milliseconds that order waited for each part within the request, as its log tells."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def disagreement(self) -> float:
        return max(lane.disagreement for lane in (self.order, self.inventory) if lane)


KNATIVE = "Knative asks for a pod"
SCHEDULING = "scheduling"
CONTAINER = "container start"
PROCESS = "process start"
IMPORTS = "imports"
ROUTE = "ready, and reached"
REQUEST = "the request itself"
BACK = "the way back"
FIRST_CALL = "first Firestore call"


def from_zero(recording: Recording) -> FromZero | None:
    """Of the first order; None where it woke nobody, or nobody told."""
    answer = min(recording.answers, key=lambda each: each.due, default=None)
    if answer is None or not answer.cold:
        return None
    order = _first_pod(recording, "order", answer)
    if order is None:
        return None
    inventory = _first_pod(recording, "inventory", answer)
    return FromZero(
        answer.due,
        answer.ended,
        _lane(order, answer, answer.ended),
        _lane(inventory, answer, None) if inventory else None,
        order.first.ms if order.first else {},
    )


def _first_pod(recording: Recording, service: str, answer: Answer) -> Pod | None:
    """The one that the order woke, not one that was there before or came after."""
    woken = [
        pod
        for pod in recording.pods.values()
        if pod.service == service and answer.due <= pod.created <= answer.ended
    ]
    if service == "order":
        woken = [pod for pod in woken if pod.name == answer.pod]
    return min(woken, key=lambda pod: pod.created, default=None)


def _lane(pod: Pod, answer: Answer, ended: float | None) -> Lane:
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
    disagreement, last = 0.0, answer.due
    for name, told in ends:
        if told is not None:
            disagreement = max(disagreement, last - told)
            moment = min(max(told, last), answer.ended)
            parts.append(Part(name, last, moment))
            last = moment
    beside = [Part(FIRST_CALL, *start.firestore)] if start and start.firestore else []
    return Lane(pod.service, parts, beside, disagreement)
