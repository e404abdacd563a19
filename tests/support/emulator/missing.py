"""Counts the tests that were skipped because Google's emulator is not installed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

REASON = "The official Firestore emulator was not found"
"""The beginning of the launcher's message, which is the reason of each of these skips."""


def skipped_without_official(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Lines for pytest's summary; none if no test was skipped for this reason."""
    skipped = Counter(
        report.nodeid.partition("::")[0]
        for report in reports
        if isinstance(report.longrepr, tuple) and REASON in report.longrepr[2]
    )
    if not skipped:
        return []
    total = sum(skipped.values())
    first = f"{total} tests were skipped, because Google's Firestore emulator is not installed:"
    return [first, *(f"  {number:4} in {module}" for module, number in sorted(skipped.items()))]
