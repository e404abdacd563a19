"""The result of a run in one line, and a warning if this machine could not serve the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.recording import DECIDED, Platform
from demo.report import cross_check, figures
from demo.report.durations import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.recording import Recording

SLOW_SECONDS = 1.0
"""A shop that serves its load has a p50 far below this, and so has the load generator."""
FAILED_SHARE = 0.01
BUSY_SECONDS = 10
"""The highest throughput is that of so many seconds in succession."""
HEADROOM = 0.6
"""Share of the highest throughput that the machine can serve with short latencies."""


def verdict(recording: Recording) -> str:
    """What was sold, and whether the counts and the audit confirm it."""
    return ", ".join(_parts(recording))


def _parts(recording: Recording) -> Iterator[str]:
    outcomes = figures.Outcomes.of(recording.answers)
    sold = figures.hot_product(recording).sold
    if recording.ended_early:
        yield f"Incomplete ({recording.ended_early})"
    yield f"{outcomes.confirmed:,} confirmed"
    if outcomes.failed:
        yield f"{outcomes.failed:,} failed"
    yield f"{sold:,} of {recording.opening:,} sold"
    yield f"{oversold(recording):,} oversold"
    yield from _checks(recording)


def _checks(recording: Recording) -> Iterator[str]:
    if recording.checks is None:
        yield "not audited"
        yield "not counted again"
        return
    findings = recording.checks.audit.get("findings")
    yield "audit clean" if findings == 0 else f"audit: {findings} findings"
    different = [
        f"{each.what} {each.recorded}, then {each.recounted}"
        for each in cross_check.compare(recording)
        if not each.agree and each.what != cross_check.FINDINGS
    ]
    yield f"the counts differ: {'; '.join(different)}" if different else "both counts agree"


def oversold(recording: Recording) -> int:
    """Units of the hot product that were sold and did not exist, by either count."""
    sold = [figures.hot_product(recording).sold]
    if recording.checks is not None and recording.checks.stock is not None:
        sold.append(recording.checks.stock.reserved)
    return max(0, max(sold) - recording.opening)


def warning(recording: Recording) -> str | None:
    """Why the latencies of this run say little; None if the machine could serve the load."""
    reasons = list(_overload(recording))
    if not reasons:
        return None
    late = figures.load_delay(recording)
    ours = recording.where is Platform.PROCESSES or (late and late.p99 >= SLOW_SECONDS)
    return (
        f"{'This machine' if ours else 'The cluster'} could not serve the load:"
        f" {', and '.join(reasons)}. Try --buyers {suggested_buyers(recording)}."
    )


def _overload(recording: Recording) -> Iterator[str]:
    delay = figures.load_delay(recording)
    if delay is not None and delay.p99 >= SLOW_SECONDS:
        yield f"the load generator sent 1% of the orders {duration(delay.p99)} late or later"
    for phase in recording.phases:
        waited = figures.latency(figures.arrived_in(recording, phase))
        if waited is not None and waited.count > 1 and waited.p50 >= SLOW_SECONDS:
            yield f"half of the buyers waited {duration(waited.p50)} or longer ({phase.name})"
    finished = figures.finished(recording.answers)
    failed = figures.Outcomes.of(finished).failed
    if failed and failed / len(finished) >= FAILED_SHARE:
        yield f"{failed / len(finished):.0%} of the orders failed"


def suggested_buyers(recording: Recording) -> int:
    """A peak load that this machine can serve: below its highest throughput in this run."""
    ended = sorted(each.ended for each in recording.answers if each.status in DECIDED)
    most = first = 0
    for last, at in enumerate(ended):
        while at - ended[first] >= BUSY_SECONDS:
            first += 1
        most = max(most, last - first + 1)
    served = HEADROOM * most / BUSY_SECONDS
    return _rounded(min(served, recording.buyers / 2))


def _rounded(buyers: float) -> int:
    """Rounded down to a multiple of ten, or of one below ten; at least one."""
    return max(1, int(buyers // 10 * 10) or int(buyers))
