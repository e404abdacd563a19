"""The requirements of our emulator, relative to the official one in the same run."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Line(NamedTuple):
    figure: str
    title: str
    required: str
    holds: Callable[[float, float], bool]  # arguments: ours, the official one's


CONTENDED = 100


def _latency(figure: str, title: str, times: float) -> Line:
    return Line(figure, title, f"at most {times} times", lambda ours, its: ours <= times * its)


LINES = [
    Line(
        "contended_commits_per_second",
        "8 clients, one document, transactions: commits/s",
        f"at least {CONTENDED} times",
        lambda ours, its: ours >= CONTENDED * its,
    ),
    Line(
        "contended_optimistic_commits_per_second",
        "the same with preconditions, no locks: commits/s",
        "",
        lambda _ours, _its: True,
    ),
    _latency("get_ms", "get, p50 ms", 1.1),
    _latency("set_ms", "set, p50 ms", 1.0),
    _latency("query_ms", "query, 10 of 100 documents, p50 ms", 1.0),
    _latency("transaction_ms", "transaction, alone, p50 ms", 1.0),
    Line("seconds_to_ready", "start to ready, s", "less", lambda ours, its: ours < its),
    Line("megabytes_when_ready", "resident when ready, MB", "less", lambda ours, its: ours < its),
    Line("megabytes_afterwards", "resident afterwards, MB", "less", lambda ours, its: ours < its),
]


def failed(ours: Mapping[str, float], its: Mapping[str, float]) -> list[Line]:
    return [line for line in LINES if not line.holds(ours[line.figure], its[line.figure])]
