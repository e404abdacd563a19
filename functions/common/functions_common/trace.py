"""W3C trace context (https://www.w3.org/TR/trace-context/): what links a request's parts.

Every request belongs to a trace, its caller's or a new one. Each hop, and each call within one, has
a span id of its own, so that whoever collects them can draw who called whom.
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
"""The only flag that is known here; the others are not passed on."""

_KEY = r"[a-z0-9][a-z0-9_*/@-]{0,255}"
_VALUE = r"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
_MEMBER = re.compile(rf"[ \t]*(?:({_KEY})={_VALUE})?[ \t]*")
_MOST_MEMBERS = 32


@dataclass(frozen=True, slots=True)
class Trace:
    trace_id: str
    span_id: str
    parent_id: str | None
    """The span that this one is part of; None where the trace begins here."""
    sampled: bool
    """Whether whoever began the trace keeps it."""
    state: str
    """What others have added for themselves (``tracestate``): passed on as it came."""

    @classmethod
    def begin(
        cls, traceparent: str | None = None, tracestate: str | None = None, *, sampled: bool = False
    ) -> Self:
        """Continue the caller's trace in a span of our own; start one where there is none to use.

        ``sampled`` is for one that starts here.
        """
        match = _TRACEPARENT.fullmatch(traceparent or "")
        if match is None or (match["version"] == "00" and match["more"]):
            return cls(_fresh(16), _fresh(8), None, sampled, "")
        return cls(
            match["trace_id"],
            _fresh(8),
            match["parent_id"],
            bool(int(match["flags"], 16) & _SAMPLED),
            _usable(tracestate or ""),
        )

    def child(self) -> Trace:
        """A span within this one."""
        return Trace(self.trace_id, _fresh(8), self.span_id, self.sampled, self.state)

    def headers(self) -> dict[str, str]:
        """For a call that this span makes."""
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"}
        if self.state:
            headers["tracestate"] = self.state
        return headers


def _fresh(size: int) -> str:
    """An id of so many bytes. It is unlike any other, and nobody's secret; 0 stands for none."""
    return f"{random.getrandbits(8 * size) or 1:0{2 * size}x}"


def _usable(tracestate: str) -> str:
    """As it came, or nothing: a list that is malformed is passed on to nobody."""
    members = tracestate.split(",")
    matches = [_MEMBER.fullmatch(each) for each in members]
    keys = [match[1] for match in matches if match is not None and match[1]]
    fine = all(matches) and len(keys) == len(set(keys)) <= _MOST_MEMBERS
    return tracestate if fine and keys else ""
