"""The data of one run: every figure and picture of the report comes from it.

Times are seconds since the run began, on this machine's monotonic clock. ``Recording.at`` converts
a wall-clock time, such as that of a log line.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

CREATED, CONFLICT = 201, 409
DECIDED = (CREATED, CONFLICT)
"""Statuses of a response with a result: an order, or a refusal."""
GIVE_UP_SECONDS = 40.0
"""A buyer waits no longer: more than the platform gives a request (timeoutSeconds, 30)."""
CUT_SHORT = "cut short"
"""Error of an order that was in flight when the run was ended by hand."""
FUNCTIONS = ("order", "inventory")
EVENT_RECEIVER = "event-receiver"
"""Services, as `Pod.service` names them."""


class Platform(StrEnum):
    KNATIVE = "knative"
    PROCESSES = "processes"
    """A fixed number of processes on one machine."""


@dataclass(slots=True)
class OrderResult:
    """One buyer's order and its outcome."""

    due: float
    """When the buyer arrived. Latency counts from here, even if the request was sent later."""
    product_id: str
    customer_id: str
    sent: float
    ended: float
    status: int | None = None
    """None: no response arrived, so the outcome is unknown."""
    order_id: str | None = None
    cold: bool = False
    """It was the first request of its order process."""
    pod: str | None = None
    error: str | None = None

    @property
    def latency(self) -> float:
        """Seconds that the buyer waited.

        A buyer whose order failed counts as one who waited until the limit. Else a shop that
        fails fast would look faster than one that works.
        """
        waited = self.ended - self.due
        return waited if self.status in DECIDED else max(waited, GIVE_UP_SECONDS)


@dataclass(slots=True)
class ProcessStart:
    """A process's log of its own start: see `startup_timing.py` in functions_common."""

    process: float
    running: float
    """When Python began to run our code."""
    loaded: float
    firestore: tuple[float, float] | None = None
    """Begin and end of the first Firestore call, which runs in the background."""


@dataclass(slots=True)
class HandledRequest:
    """A request as the function's log line describes it."""

    began: float
    ended: float
    ms: dict[str, float]


@dataclass(slots=True)
class Pod:
    """When the API server's watch reported each state of the pod."""

    name: str
    service: str
    created: float
    scheduled: float | None = None
    ready: float | None = None
    ending: float | None = None
    gone: float | None = None
    start: ProcessStart | None = None
    first: HandledRequest | None = None
    """Its first request, health checks excluded."""


@dataclass(frozen=True, slots=True)
class DesiredPods:
    """The number of pods that the autoscaler requests, from this time on."""

    at: float
    service: str
    pods: int


@dataclass(frozen=True, slots=True)
class StockReading:
    at: float
    available: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of an event at the receiver."""

    at: float
    event_id: str
    repeated: bool
    """The receiver had seen this event before."""
    delay: float
    """Seconds from the change that the event is about, by the function's clock, until ``at``."""


@dataclass(slots=True)
class Phase:
    name: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class DocumentUsage:
    """Documents that Firestore charges for."""

    reads: int
    writes: int

    def since(self, before: DocumentUsage) -> DocumentUsage:
        return DocumentUsage(self.reads - before.reads, self.writes - before.writes)


@dataclass(slots=True)
class Checks:
    """The counts of the second source."""

    stored: list[str] = field(default_factory=list)
    """Ids of the confirmed orders of this run's customers, as order lists them."""
    stock: StockReading | None = None
    pods: list[str] | None = None
    """Names from the scheduler's events; None if there are no pods."""
    audit: dict[str, object] = field(default_factory=dict)
    """The last log line of the audit."""


@dataclass(slots=True)
class Recording:
    where: Platform
    address: str
    machine: str
    """The hardware that runs the shop."""
    hot: str
    opening: int
    """Opening stock of the hot product."""
    buyers: int
    seconds: float
    mix: float
    seed: int
    began_at: float = field(default_factory=time.time)
    """Wall clock, seconds since 1970."""
    origin: float = field(default_factory=time.monotonic)
    phases: list[Phase] = field(default_factory=list)
    answers: list[OrderResult] = field(default_factory=list)
    pods: dict[str, Pod] = field(default_factory=dict)
    asked: list[DesiredPods] = field(default_factory=list)
    stock: list[StockReading] = field(default_factory=list)
    deliveries: list[Delivery] | None = None
    """Arrivals of events; None if the shop has no receiver of events that the demo knows."""
    sweeps: list[float] = field(default_factory=list)
    """When the scheduled `reconcile` ran: it may start a pod of inventory."""
    spent: DocumentUsage | None = None
    """Usage of the run, the demo's own stock readings included; None if it was not counted."""
    checks: Checks | None = None
    ended_early: str | None = None
    """Why the run ended early; None if it did not."""

    def now(self) -> float:
        return time.monotonic() - self.origin

    @property
    def woken(self) -> float:
        """When the first buyer arrived; no function had a pod before."""
        return min((answer.due for answer in self.answers), default=self.ended)

    @property
    def ended(self) -> float:
        """The last time at which anything was recorded."""
        known = [phase.ended if phase.ended is not None else phase.began for phase in self.phases]
        arrived = (each.at for each in self.deliveries or ())
        return max([*known, *(answer.ended for answer in self.answers), *arrived, 1.0])

    @property
    def services(self) -> tuple[str, ...]:
        """The services whose pods are recorded."""
        return FUNCTIONS if self.deliveries is None else (*FUNCTIONS, EVENT_RECEIVER)

    def end_of(self, phase: Phase) -> float:
        """The end of the phase; that of the run if the phase was cut short."""
        return self.ended if phase.ended is None else phase.ended

    def at(self, wall: str) -> float:
        """The time of a log line, in seconds since the run began."""
        return datetime.fromisoformat(wall).timestamp() - self.began_at

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode(self) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Recording:
        return msgspec.json.decode(path.read_bytes(), type=cls)
