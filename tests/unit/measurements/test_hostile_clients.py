"""The measurement of normal clients beside hostile ones, on windows small enough to count."""

from __future__ import annotations

import math

import pytest
from benchmarks.hostile.beside import FULL, LENIENT, Row, verdict
from benchmarks.hostile.customers import LOST, Sample, Window
from benchmarks.http_messages import orders
from benchmarks.servers import page

FAST, SLOW = 0.02, 0.05


def window(count: int, seconds: float = FAST, *statuses: int, waiting: float = 0.0) -> Window:
    """A window of one second, with so many successes and the given failures."""
    succeeded = [Sample(0.5, seconds, 201, None)] * count
    failed = [Sample(0.5, seconds, status, None) for status in statuses]
    return Window(1.0, succeeded + failed, [waiting] if waiting else [])


def row(beside: Window, alone: Window | None = None) -> Row:
    return Row("silent", alone or window(100), beside, 200)


def test_failed_requests_are_no_throughput() -> None:
    found = window(10, FAST, 503, LOST, 404)
    assert found.per_second == 10
    assert found.failed == 3


def test_request_without_response_counts_with_its_age() -> None:
    assert window(0, FAST, waiting=5.0).p99_ms == math.inf  # of one value there is no percentile
    assert window(10, waiting=5.0).p99_ms > 4000
    assert window(10, waiting=0.5).p99_ms == pytest.approx(20)


@pytest.mark.parametrize(
    ("beside", "full", "lenient"),
    [
        (window(80), [], []),
        (window(79), ["throughput 0.79 < 0.8"], []),
        (window(39), ["throughput 0.39 < 0.8"], ["throughput 0.39 < 0.4"]),
        (window(90, SLOW), ["p99 2.5 times > 2"], []),
        (window(90, FAST, 503), ["1 requests failed"], []),
    ],
    ids=["good", "slower", "slow", "late", "failing"],
)
def test_bar_names_what_a_row_misses(beside: Window, full: list[str], lenient: list[str]) -> None:
    assert FULL.missed(row(beside)) == full
    assert LENIENT.missed(row(beside)) == lenient


def test_rounds_of_a_kind_count_together() -> None:
    both = row(window(60)) + row(window(100))
    assert both.throughput == pytest.approx(0.8)
    assert both.opened == 400


def test_verdict_names_the_kinds_that_miss() -> None:
    assert verdict([row(window(90))], FULL) == "All 1 kinds hold."
    assert "1 of 1 kinds miss the bar: silent" in verdict([row(window(9))], FULL)


def test_each_order_has_a_key_of_its_own_and_takes_products_in_turn() -> None:
    make = orders(["P1", "P2"])
    first, second, third = make(), make(), make()
    assert len({first, second, third}) == 3
    assert b'"P1"' in first
    assert b'"P2"' in second
    assert b'"P1"' in third


def test_table_replaces_the_one_of_the_run_before() -> None:
    once = page.inserted(f"# Performance\n\n{page.HEADING}\n\nWhy.\n", "| a |\n")
    twice = page.inserted(once, "| b |\n")
    assert "| a |" in once
    assert "Why." in twice
    assert "| a |" not in twice
    assert twice.count("| b |") == 1
    assert page.inserted("# Performance\n", "| c |\n").count(page.HEADING) == 1


def test_table_has_a_column_for_each_server_that_was_measured() -> None:
    origin = dict.fromkeys(("command", "commit", "date", "machine"), "x")
    ours = {"start_seconds": 0.5, "hostile": {"silent": 0.97}, "hostile_holds": 1}
    figures = {"ours": ours, "granian": {}}
    lines = page.markdown({**origin, "figures": figures}).splitlines()
    assert "| | granian | ours |" in lines
    assert "| Start to first response, s | - | 0.50 |" in lines
    assert "| Hostile kinds that hold, of those measured | - | 1 of 1 |" in lines
    assert "| silent | - | 0.97 |" in lines
