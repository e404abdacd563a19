from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import pytest

from functions_common.observability import startup_timing
from functions_common.observability.startup_timing import StartupTimer


def test_parts_of_a_start_sum_to_the_total(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_timing, "process_age", lambda: 0.25)
    with caplog.at_level(logging.INFO, logger="functions"):
        start = StartupTimer()
        time.sleep(0.03)
        start.log_started("order", "order-00001")
    (line,) = caplog.records
    fields = line.__dict__["fields"]
    assert (fields["function"], fields["revision"]) == ("order", "order-00001")
    ms = fields["ms"]
    assert ms["total"] == pytest.approx(ms["process"] + ms["imports"], abs=0.2)
    assert 250 <= ms["process"] < 500
    assert 30 <= ms["imports"] < 260
    began = datetime.fromisoformat(fields["process_started_at"])
    assert (datetime.now(UTC) - began).total_seconds() == pytest.approx(
        ms["total"] / 1000, abs=0.05
    )


def test_start_is_measured_from_python_when_there_is_no_proc(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_timing, "process_age", lambda: None)
    with caplog.at_level(logging.INFO, logger="functions"):
        StartupTimer().log_started("order", None)
    (line,) = caplog.records
    assert line.__dict__["fields"]["ms"]["process"] == 0
