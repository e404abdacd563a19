"""All that a run has seen, as it was seen: what every figure and picture is made from.

Times are seconds since the run began, on this machine's monotonic clock; what others tell by the
wall clock is brought over by ``Recording.at``.
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

    from demo.plan import Plan
    from demo.stage import Stage

CREATED, CONFLICT = 201, 409


class Where(StrEnum):
    KNATIVE = "knative"
    PROCESSES = "processes"
    """A fixed number of them, on one machine."""


@dataclass(slots=True)
class Answer:
    """What became of one buyer's order."""

    due: float
    """When the buyer came. Waiting counts from here, whenever the request could be sent."""
    product_id: str
    customer_id: str
    sent: float
    ended: float
    status: int | None = None
    """None: no answer, so nobody knows what became of the order."""
    order_id: str | None = None
    cold: bool = False
    """It was the first one of its process of order."""
    pod: str | None = None
    error: str | None = None

    @property
    def latency(self) -> float:
        return self.ended - self.due


@dataclass(slots=True)
class Start:
    """What a process has logged of its own start: see `startup_timing.py` in functions_common."""

    process: float
    running: float
    """When Python began to run our code."""
    loaded: float
    firestore: tuple[float, float] | None = None
    """The first call, from when to when. In the background, while the rest goes on."""


@dataclass(slots=True)
class Handled:
    """A request as the function's own log line tells it."""

    began: float
    ended: float
    ms: dict[str, float]


@dataclass(slots=True)
class Pod:
    """When this was seen of it, told by the API server's watch."""

    name: str
    service: str
    created: float
    scheduled: float | None = None
    ready: float | None = None
    ending: float | None = None
    gone: float | None = None
    start: Start | None = None
    first: Handled | None = None
    """Its first request, health checks aside."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How many pods the autoscaler wants, from this moment on."""

    at: float
    service: str
    pods: int


@dataclass(frozen=True, slots=True)
class Stock:
    at: float
    available: int
    reserved: int


@dataclass(slots=True)
class Phase:
    name: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What Firestore would charge for, in documents."""

    reads: int
    writes: int

    def since(self, before: Spent) -> Spent:
        return Spent(self.reads - before.reads, self.writes - before.writes)


@dataclass(slots=True)
class Checks:
    """The same things counted a second time, by somebody else."""

    stored: list[str] = field(default_factory=list)
    """Ids of the confirmed orders of this run's customers, as order lists them."""
    stock: Stock | None = None
    pods: list[str] | None = None
    """Names, from the scheduler's events; None where there are none."""
    audit: dict[str, object] = field(default_factory=dict)
    """The last line of the audit."""


@dataclass(slots=True)
class Recording:
    where: Where
    address: str
    machine: str
    """What all of it runs on."""
    hot: str
    opening: int
    """Units of the hot product that there were to sell."""
    buyers: int
    seconds: float
    mix: float
    seed: int
    began_at: float = field(default_factory=time.time)
    """Wall clock, seconds since 1970."""
    origin: float = field(default_factory=time.monotonic)
    phases: list[Phase] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    pods: dict[str, Pod] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stock: list[Stock] = field(default_factory=list)
    sweeps: list[float] = field(default_factory=list)
    """When `reconcile` ran of its own accord: it may wake inventory."""
    spent: Spent | None = None
    """By the run, its own looks at the stock included; None where nobody counts."""
    checks: Checks | None = None
    ended_early: str | None = None
    """Why, where it was."""

    @classmethod
    def begin(cls, stage: Stage, plan: Plan) -> Recording:
        return cls(
            stage.where,
            stage.address,
            stage.machine,
            plan.hot,
            plan.opening,
            buyers=plan.buyers,
            seconds=plan.seconds,
            mix=plan.mix,
            seed=plan.seed,
        )

    def now(self) -> float:
        return time.monotonic() - self.origin

    @property
    def woken(self) -> float:
        """When the first buyer came: until then all was asleep."""
        return min((answer.due for answer in self.answers), default=self.ended)

    @property
    def ended(self) -> float:
        """The last moment that anything is known of."""
        known = [phase.ended if phase.ended is not None else phase.began for phase in self.phases]
        return max([*known, *(answer.ended for answer in self.answers), 1.0])

    def end_of(self, phase: Phase) -> float:
        """Of one that was not cut short, its own."""
        return self.ended if phase.ended is None else phase.ended

    def at(self, wall: str) -> float:
        """A time that a log line tells, in ours."""
        return datetime.fromisoformat(wall).timestamp() - self.began_at

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode(self) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Recording:
        return msgspec.json.decode(path.read_bytes(), type=cls)
