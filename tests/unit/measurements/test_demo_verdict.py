"""The last line of `make demo`, and its warning."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from demo import __main__ as command
from demo.recording import CUT_SHORT, Platform, Recording
from demo.report import report
from demo.report.verdict import oversold, suggested_buyers, verdict, warning
from rich.console import Console
from support.recordings import answer, on_knative


def printed(recording: Recording, folder: Path) -> list[str]:
    console = Console(file=io.StringIO(), width=40)
    command.print_result(recording, report.write(recording, folder), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_verdict_is_one_line_and_the_last_one(tmp_path: Path) -> None:
    """However narrow the terminal is."""
    assert printed(on_knative(), tmp_path)[-1] == (
        "3 confirmed, 3 of 3 sold, 0 oversold, audit clean, both counts agree;"
        f" open {(tmp_path / 'report.html').as_uri()}"
    )


def test_warning_is_printed_before_the_verdict(tmp_path: Path) -> None:
    recording = on_knative()
    assert not any("could not serve" in line for line in printed(recording, tmp_path))
    recording.answers[0].sent += 1.5
    last = printed(recording, tmp_path)[-2:]
    assert last[0] == warning(recording)
    assert last[1].startswith("3 confirmed")


def test_verdict_names_failures_findings_and_counts_that_differ() -> None:
    recording = on_knative()
    assert recording.checks is not None
    recording.checks.stored.remove("ORD13.0")
    recording.checks.audit["findings"] = 2
    recording.answers.append(answer(16.0, 16.1, status=503))
    assert verdict(recording) == (
        "3 confirmed, 1 failed, 3 of 3 sold, 0 oversold, audit: 2 findings,"
        " the counts differ: Confirmed orders 3, then 2"
    )


def test_verdict_of_an_incomplete_run_claims_no_check() -> None:
    recording = on_knative()
    recording.ended_early, recording.checks = "ended by hand", None
    assert verdict(recording) == (
        "Incomplete (ended by hand), 3 confirmed, 3 of 3 sold, 0 oversold, not audited,"
        " not counted again"
    )


def test_oversold_units_are_found_by_either_count() -> None:
    recording = on_knative()
    assert recording.checks is not None
    assert recording.checks.stock is not None
    assert oversold(recording) == 0
    recording.answers.append(answer(15.5, 15.6))
    assert oversold(recording) == 1
    recording.opening = 1
    assert oversold(recording) == 3
    recording.answers = []
    assert oversold(recording) == 2, "inventory has reserved three units"


def busy(*, buyers: int, a_second: int, wait: float) -> Recording:
    """A sale of 20 seconds whose buyers all wait equally long."""
    recording = on_knative()
    recording.where, recording.buyers = Platform.PROCESSES, buyers
    recording.answers = [
        answer(12.0 + number / a_second, 12.0 + number / a_second + wait)
        for number in range(20 * a_second)
    ]
    recording.phases = recording.phases[:3]
    recording.phases[2].ended = 32.0
    return recording


def test_no_warning_when_buyers_wait_briefly() -> None:
    assert warning(busy(buyers=100, a_second=100, wait=0.5)) is None


def test_warning_names_the_wait_of_half_of_the_buyers_and_a_load_to_try() -> None:
    assert warning(busy(buyers=150, a_second=100, wait=2.5)) == (
        "This machine could not serve the load: half of the buyers waited 2.50 s or longer (sale of"
        " one product). Try --buyers 60."
    )


def test_warning_blames_the_cluster_when_the_load_generator_was_on_time() -> None:
    recording = busy(buyers=150, a_second=100, wait=2.5)
    recording.where = Platform.KNATIVE
    assert str(warning(recording)).startswith("The cluster could not serve the load")
    for each in recording.answers:
        each.sent = each.due + 1.2
    found = str(warning(recording))
    assert found.startswith("This machine could not serve the load")
    assert "the load generator sent 1% of the orders 1.20 s late or later, and half" in found


def test_warning_counts_failed_orders_but_not_those_cut_short() -> None:
    recording = busy(buyers=100, a_second=50, wait=0.1)
    for each in recording.answers[:20]:
        each.status, each.error = None, CUT_SHORT
    assert warning(recording) is None
    for each in recording.answers[:20]:
        each.error = "refused"
    assert "2% of the orders failed" in str(warning(recording))


@pytest.mark.parametrize(
    ("buyers", "a_second", "suggested"), [(350, 100, 60), (100, 100, 50), (9, 5, 3), (1, 1, 1)]
)
def test_suggested_load_is_below_the_highest_throughput(
    buyers: int, a_second: int, suggested: int
) -> None:
    assert suggested_buyers(busy(buyers=buyers, a_second=a_second, wait=3.0)) == suggested
