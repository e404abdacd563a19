"""W3C trace context (https://www.w3.org/TR/trace-context/): links the spans of one request.

A request continues the trace that its ``traceparent`` header names, or begins a new one. Each hop,
and each call within a hop, has a span id of its own. ``tracestate`` is neither read nor forwarded:
a call can carry the orders of several clients, so no client may control its headers.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Self

_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace_id>(?!0{32})[0-9a-f]{32})"
    r"-(?P<parent_id>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_SAMPLED = 1
"""The only flag that is read and sent."""


@dataclass(frozen=True, slots=True)
class Trace:
    trace_id: str
    span_id: str
    parent_id: str | None
    """The span that contains this one. None if the trace begins here."""
    sampled: bool
    """The spans of this trace are exported."""

    @classmethod
    def begin(cls, traceparent: str | None = None, *, sampled: bool = False) -> Self:
        """Continue the caller's trace in a new span. Without a valid header, begin a new trace.

        ``sampled`` applies to a trace that begins here.
        """
        match = _TRACEPARENT.fullmatch(traceparent or "")
        if match is None or (match["version"] == "00" and match["more"]):
            return cls(_fresh(16), _fresh(8), None, sampled)
        return cls(
            match["trace_id"],
            _fresh(8),
            match["parent_id"],
            bool(int(match["flags"], 16) & _SAMPLED),
        )

    def child(self) -> Trace:
        """A span within this one."""
        return Trace(self.trace_id, _fresh(8), self.span_id, self.sampled)

    def headers(self) -> dict[str, str]:
        """Headers for a call within this span."""
        return {"traceparent": f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"}


def _fresh(size: int) -> str:
    """A random id of ``size`` bytes in hex, never 0. It is not a secret."""
    return f"{random.getrandbits(8 * size) or 1:0{2 * size}x}"
