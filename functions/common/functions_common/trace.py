"""W3C trace context: every request belongs to a trace, its caller's or a new one."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Trace:
    trace_id: str
    span_id: str
    """Of the work done here; what this process calls has it as its parent."""
    flags: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def begin(traceparent: str | None) -> Trace:
    """Continue the caller's trace in a span of our own; start one where there is none to use."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match and int(match[1], 16) and int(match[2], 16):
        trace = Trace(match[1], secrets.token_hex(8), match[3])
    else:
        trace = Trace(secrets.token_hex(16), secrets.token_hex(8), "00")
    _current.set(trace)
    return trace


def end() -> None:
    """What this thread logs next belongs to no request."""
    _current.set(None)


def current() -> Trace | None:
    return _current.get()
