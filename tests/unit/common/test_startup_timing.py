from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from functions_common.observability import startup_timing
from functions_common.observability.startup_timing import StartupTimer

CLOCK_STEP = timedelta(milliseconds=1)


def test_parts_of_a_start_sum_to_the_total(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_timing, "process_age", lambda: 0.25)
    clock = iter([1_000_000_000, 1_030_000_000])
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(clock))
    with caplog.at_level(logging.INFO, logger="functions"):
        start = StartupTimer()
        before = datetime.now(UTC)
        start.log_started("order", "order-00001")
        after = datetime.now(UTC)
    (line,) = caplog.records
    fields = line.__dict__["fields"]
    assert (fields["function"], fields["revision"]) == ("order", "order-00001")
    assert fields["ms"] == {"total": 280.0, "process": 250.0, "imports": 30.0}
    began = datetime.fromisoformat(fields["process_started_at"])
    logged = began + timedelta(milliseconds=280)
    assert before - CLOCK_STEP <= logged <= after + CLOCK_STEP


def test_start_is_measured_from_python_when_there_is_no_proc(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_timing, "process_age", lambda: None)
    with caplog.at_level(logging.INFO, logger="functions"):
        StartupTimer().log_started("order", None)
    (line,) = caplog.records
    assert line.__dict__["fields"]["ms"]["process"] == 0
