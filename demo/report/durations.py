"""Times as a reader expects them: 12 ms, 2.31 s, 40 s."""

from __future__ import annotations

from demo.recording import GIVE_UP_SECONDS


def duration(seconds: float) -> str:
    """Three digits at most, in milliseconds or seconds."""
    for limit, unit, digits in ((0.9995, 1000, 0), (9.995, 1, 2), (99.95, 1, 1)):
        if seconds < limit:
            return f"{seconds * unit:.{digits}f} {'ms' if unit > 1 else 's'}"
    return f"{seconds:,.0f} s"


def latency(seconds: float) -> str:
    """A latency. From the limit on, at which buyers give up, only a lower bound is known."""
    return duration(seconds) if seconds < GIVE_UP_SECONDS else f"≥ {GIVE_UP_SECONDS:.0f} s"
