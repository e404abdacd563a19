"""Measures the request that a thread works on, and the parts of its time.

One record has three readers: the request's log line, its ``Server-Timing`` header, and
OpenTelemetry if it is enabled. Calls outside a request are not recorded.
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

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A call or a wait within a request. Times are nanoseconds on the monotonic clock."""

    name: PartName
    trace: Trace
    """Its own span: a child of the request's span. A batch is the root of a trace of its own."""
    began: int
    ended: int
    failed: bool
    links: Sequence[Trace] = ()
    """For a batch: the spans of the requests in it."""


@dataclass(slots=True)
class Activity:
    """The work under one span: usually a request, or one run of a command."""

    trace: Trace
    began: int = field(default_factory=time.monotonic_ns)
    """Nanoseconds on the monotonic clock."""
    is_request: bool = False
    """If so, ``began`` is the time at which the first byte of the request arrived."""
    cold: bool = False
    """The first request of this process. Health checks do not count."""
    before: Activity | None = None
    """The activity that continues after this one."""
    parts: list[Part] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    """Ids for the log line. No secrets, and no text that people wrote."""

    def milliseconds(self) -> dict[str, float]:
        """The total until now, and the sum of each kind of part.

        Batches are left out, because the part that waits for a batch includes its time.
        """
        spent: dict[str, int] = {"total": time.monotonic_ns() - self.began}
        for part in self.parts:
            if part.name == "batch":
                continue
            spent[part.name] = spent.get(part.name, 0) + part.ended - part.began
        return {name: round(each / NS_PER_MS, 1) for name, each in spent.items()}


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request whose response is ready to be sent."""

    activity: Activity
    method: str
    path: str
    """Without personal values, and cut to a length."""
    route: str | None
    """The pattern that the path matches, ``/orders/<order_id>``. None if it matches no route."""
    status: int
    milliseconds: dict[str, float]
    cold: bool
    """The first request of this process. Health checks do not count."""


_current: ContextVar[Activity | None] = ContextVar("activity", default=None)


def current() -> Activity | None:
    return _current.get()


def of_request() -> Activity:
    """The record of the current request, which ``RequestLog.begin`` has begun."""
    found = _current.get()
    assert found is not None  # noqa: S101 - see above
    return found


def begin(trace: Trace, first_byte_ns: int | None = None) -> Activity:
    """Record the work of this thread from now on, until ``end``.

    ``first_byte_ns``: for a request, when its first byte arrived (monotonic clock).
    """
    activity = Activity(trace, before=_current.get())
    if first_byte_ns is not None:
        activity.began, activity.is_request = first_byte_ns, True
    _current.set(activity)
    return activity


def end(ended: Activity | None) -> None:
    """End the activity, and continue the one before it. None: there was none."""
    _current.set(ended.before if ended else None)


@contextmanager
def recording(trace: Trace) -> Iterator[Activity]:
    """Record the work of the block, then continue the activity before it."""
    begun = begin(trace)
    try:
        yield begun
    finally:
        end(begun)


def request_deadline(seconds: float) -> Deadline:
    """The deadline of the current request, counted from its first byte.

    Outside a request it is counted from now.
    """
    activity = _current.get()
    if activity is None or not activity.is_request:
        return Deadline.after(seconds)
    return Deadline(activity.began / 1e9 + seconds)


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
    """Time one call for several requests, under a trace of its own with links to their spans.

    It continues none of their traces, so that no client controls the headers of the call.
    """
    trace = Trace.begin(sampled=any(each.sampled for each in requests))
    began, failed = time.monotonic_ns(), True
    try:
        yield trace
        failed = False
    finally:
        if (activity := _current.get()) is not None:
            ended, links = time.monotonic_ns(), tuple(requests)
            activity.parts.append(Part("batch", trace, began, ended, failed, links))
