"""The request that this thread works on, and how its time is spent.

One record with three readers: the request's log line, its ``Server-Timing`` header, and
OpenTelemetry if it is enabled. Calls that belong to no request are not recorded.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from functions_common.observability.trace import Trace
from functions_common.runtime.deadlines import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PartName = Literal["firestore", "inventory", "queue", "batch"]

NANOSECONDS_A_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A call that the request waited for."""

    name: PartName
    trace: Trace
    """Its own span: a child of the request's, or for a batch the root of a trace of its own."""
    began: int
    ended: int
    """Both on the monotonic clock, in nanoseconds."""
    failed: bool
    links: Sequence[Trace] = ()
    """For a batch: the spans of the requests that it carries."""


@dataclass(slots=True)
class Activity:
    trace: Trace
    began: int = field(default_factory=time.monotonic_ns)
    is_request: bool = False
    """``began`` is when its first byte arrived."""
    parts: list[Part] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    """Ids for the log line: no secrets, and no text that people wrote."""

    def milliseconds(self) -> dict[str, float]:
        """The total until now, and the sum of each kind of part.

        A batch is left out, because the part that waits for it includes its time.
        """
        spent: dict[str, int] = {"total": time.monotonic_ns() - self.began}
        for part in self.parts:
            if part.name == "batch":
                continue
            spent[part.name] = spent.get(part.name, 0) + part.ended - part.began
        return {name: round(each / NANOSECONDS_A_MILLISECOND, 1) for name, each in spent.items()}


_current: ContextVar[Activity | None] = ContextVar("activity", default=None)


def current() -> Activity | None:
    return _current.get()


def begin(trace: Trace, first_byte: int | None = None) -> Activity:
    """Record what this thread does from now on.

    ``first_byte`` is when the request began to arrive (monotonic, in nanoseconds), if it is one.
    """
    activity = Activity(trace)
    if first_byte is not None:
        activity.began, activity.is_request = first_byte, True
    _current.set(activity)
    return activity


def deadline(seconds: float) -> Deadline:
    """That many seconds after the request under way began to arrive; from now if there is none."""
    activity = _current.get()
    if activity is None or not activity.is_request:
        return Deadline.after(seconds)
    return Deadline(activity.began / 1e9 + seconds)


def resume(activity: Activity | None) -> None:
    """Continue an earlier activity of this thread; None: record nothing."""
    _current.set(activity)


@contextmanager
def during(trace: Trace) -> Iterator[Activity]:
    before = _current.get()
    try:
        yield begin(trace)
    finally:
        resume(before)


def note(**ids: object) -> None:
    """Add ids to the log line of the request, whether it fails or not."""
    if (activity := _current.get()) is not None:
        activity.notes.update(ids)


@contextmanager
def part(name: PartName) -> Iterator[Trace | None]:
    """Time the block. Yields its span, for the headers of a call; None outside a request."""
    activity = _current.get()
    if activity is None:
        yield None
        return
    trace, began, failed = activity.trace.child(), time.monotonic_ns(), True
    try:
        yield trace
        failed = False
    finally:
        activity.parts.append(Part(name, trace, began, time.monotonic_ns(), failed))


@contextmanager
def batch(requests: Sequence[Trace]) -> Iterator[Trace]:
    """Time one call made for several requests, under a trace of its own with links to theirs.

    It continues the trace of none of them, so that no client controls the headers of the call.
    """
    trace, began, failed = Trace.begin(sampled=any(each.sampled for each in requests)), _now(), True
    try:
        yield trace
        failed = False
    finally:
        if (activity := _current.get()) is not None:
            activity.parts.append(Part("batch", trace, began, _now(), failed, tuple(requests)))


def _now() -> int:
    return time.monotonic_ns()
