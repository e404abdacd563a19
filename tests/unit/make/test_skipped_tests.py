"""The summary of tests that were skipped without Google's emulator."""

from __future__ import annotations

import pytest
from support.emulator.missing import skipped_without_official

from firestore_emulator.launcher.official import OfficialNotFoundError


def skipped(nodeid: str, reason: str) -> pytest.TestReport:
    place = ("tests/x.py", 1, f"Skipped: {reason}")
    return pytest.TestReport(nodeid, ("", 0, ""), {}, "skipped", place, "setup")


def test_summary_counts_the_tests_that_need_the_official_emulator() -> None:
    reason = str(OfficialNotFoundError(["a folder"]))
    reports = [
        *(skipped(f"tests/b.py::test[{n}]", reason) for n in range(12)),
        skipped("tests/a.py::test", reason),
        skipped("tests/a.py::other", "there is no browser"),
    ]
    assert skipped_without_official(reports) == [
        "13 tests were skipped, because Google's Firestore emulator is not installed:",
        "     1 in tests/a.py",
        "    12 in tests/b.py",
    ]


def test_summary_is_empty_when_nothing_was_skipped_for_the_emulator() -> None:
    assert skipped_without_official([skipped("tests/a.py::test", "there is no browser")]) == []
