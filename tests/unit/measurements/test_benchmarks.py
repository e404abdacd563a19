"""The counting of the benchmarks, on runs small enough to count by hand."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import statistics
import time
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import results
from benchmarks.shop import open_loop, page
from benchmarks.shop.__main__ import Run
from benchmarks.shop.buyers import Sales
from benchmarks.shop.requirements import LINES, failed
from local.stack import ROOT
from rich.console import Console


def test_sales_do_not_count_failed_orders() -> None:
    sales = Sales(2.0, [0.01] * 10, 3, Counter({"503": 4}))
    sales.add(Sales(3.0, [0.02] * 5, 1, Counter({"503": 1, "TimeoutError": 2})))
    assert sales.per_second == 15 / 5
    assert (sales.rejected, sales.failures) == (4, {"503": 5, "TimeoutError": 2})


def test_buyers_without_an_order_have_waited_longest() -> None:
    sales = Sales(1.0, [0.001 * n for n in range(1, 91)], 7, Counter({"503": 10}))
    assert sales.percentile(50) == pytest.approx(51)
    assert sales.percentile(89) == pytest.approx(90)
    assert sales.percentile(90) == float("inf")
    assert sales.figures()["p99_ms"] is None


def test_latency_is_none_when_no_order_was_placed() -> None:
    assert Sales(2.0).figures()["p50_ms"] is None


@pytest.mark.parametrize(
    ("key", "holding", "missing"),
    [("hot_over_many", 0.9, 0.89), ("cold_over_hello", 1.5, 1.51), ("many_ratio", 1.2, 1.1)],
)
def test_requirement_fails_on_the_wrong_side_of_its_bound(
    key: str, holding: float, missing: float
) -> None:
    assert failed({key: holding}) == []
    assert [line.key for line in failed({key: missing})] == [key]


def test_requirement_holds_when_it_was_not_measured() -> None:
    assert failed({}) == []
    assert len({line.key for line in LINES}) == len(LINES)


def test_ratio_to_a_baseline_without_sales_is_a_text_and_no_requirement() -> None:
    run = Run(Console(), Path())
    run.ratio("hot_http_ratio", Sales(2.0, [0.1] * 900), Sales(2.0, [0.1] * 19))
    assert run.ratios == {"hot_http_ratio": "the baseline sold 19 units, ours 900"}
    assert failed(run.ratios) == []


def test_arrivals_are_at_random_times_and_the_same_in_each_run() -> None:
    times = open_loop.arrivals(100, 50)
    assert times == sorted(times) == open_loop.arrivals(100, 50)
    assert len(times) == pytest.approx(5000, rel=0.05)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = statistics.fmean(pauses)
    assert statistics.stdev(pauses) == pytest.approx(mean, rel=0.1), "of an exponential"


class SlowShop:
    """A buyer's connection to a shop that takes a second for each order, on a clock of its own."""

    now = 0.0

    def __init__(self, *_: object) -> None:
        pass

    async def order(self, seconds: float) -> str:
        SlowShop.now += min(seconds, 1.0)
        return "201" if seconds >= 1 else "TimeoutError"

    def close(self) -> None:
        pass


def test_wait_begins_at_the_arrival_and_ends_when_the_buyer_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five buyers arrive at once at a shop that serves one a second. A buyer waits 3.5 s."""
    monkeypatch.setattr(open_loop, "Buyer", SlowShop)
    monkeypatch.setattr(time, "monotonic", lambda: SlowShop.now)
    due: asyncio.Queue[float | None] = asyncio.Queue()
    for arrival in (0.0, 0.0, 0.0, 0.0, 0.0, None):
        due.put_nowait(arrival)
    serving = open_loop._serve("a", "P1", due, 3.5)  # noqa: SLF001 - one connection
    sold = asyncio.run(serving)
    assert sold.latencies == [1.0, 2.0, 3.0]
    assert sold.failures == {"gave up": 2}
    assert sold.percentile(50) == 3000
    assert sold.percentile(99) == float("inf")
    assert sold.share_placed == 3 / 5


def test_open_sale_is_on_the_page_with_its_share_and_its_bound_of_waits() -> None:
    sold = Sales(10.0, [0.1] * 80, 5, Counter({"gave up": 10, "503": 5})).figures()
    origin = dict.fromkeys(("commit", "date", "machine", "command"), "x")
    shop = {page.OPEN: {"value": {"flask 80": sold, "ours 120": sold, "ours 80": sold}, **origin}}
    rows = [line for line in page.markdown(shop).splitlines() if line.startswith("| ours")]
    assert rows == [
        f"| ours | {rate} | 80.0% | 100 ms | over 5,000 ms | 5 | 10 | 5 |"
        for rate in ("400 (80 %)", "600 (120 %)")
    ]


def test_page_has_the_figures_of_the_results() -> None:
    shop = results.read()["shop"]
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.inserted(text, page.markdown(shop)) == text
    for figure in shop.values():
        assert set(figure) == {"value", "commit", "date", "machine", "command"}


def test_other_texts_have_the_figures_of_the_page() -> None:
    rows = page.PAGE.read_text(encoding="utf-8")

    def measured(name: str) -> str:
        (row,) = re.findall(rf"^\| {re.escape(name)} \| (.+?) \|", rows, re.MULTILINE)
        return str(row)

    readme, operating = (
        " ".join((ROOT / name).read_text(encoding="utf-8").split())
        for name in ("README.md", "docs/operating.md")
    )
    assert f"{measured('hot product through HTTP, over the usual design')} times as many" in readme
    order, inventory = (
        measured(f"processor time of {name}")
        for name in ("order for an order, ms", "inventory, ms")
    )
    assert f"An order takes {order} ms of processor" in operating
    assert f"inventory uses {inventory} ms of processor for an order" in operating


def test_results_keep_the_figures_of_other_benchmarks(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    results.merge({"a": 1, "b": {"c": 2}}, kept)
    results.merge({"a": 3}, kept)
    assert json.loads(kept.read_text()) == {"a": 3, "b": {"c": 2}}
