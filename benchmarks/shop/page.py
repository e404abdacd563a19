"""The figures of ``make bench`` in results.json and in docs/performance.md.

Each figure carries its origin: commit, date, machine and command.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import results
from benchmarks.shop.open_loop import GAVE_UP, PATIENCE_SECONDS
from benchmarks.shop.requirements import LINES
from benchmarks.shop.sales import OPEN_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[2] / "docs/performance.md"
SALES = {
    "sales": "32 buyers, embedded emulator",
    "sales_beside_peers": "32 buyers, one shop running at a time",
    "sales_official": "32 buyers, Google's emulator",
    "inventory_processes": "200 buyers of one product, by processes of inventory",
    "sales_with_events": "32 buyers of 50 products",
    **{
        f"sales_far_{rate}": f"200 buyers of one product, commits a second of a document: {rate}"
        for rate in (1, 5, 20)
    },
}
"""The tables of sales, and their headings."""
OPEN = "sales_open"
FAR_SETTINGS = "far_settings"
NAMES = {"ours": "ours", "usual": "usual design", "optimistic": "optimistic commits"} | {
    "flask": "Flask, psycopg, PostgreSQL",
    "fastapi": "FastAPI, asyncpg, PostgreSQL",
}
_BEGIN, _END = "<!-- begin: make bench -->", "<!-- end: make bench -->"


def store(
    ratios: Mapping[str, float | str], raw: Mapping[str, object], origin: Mapping[str, str]
) -> None:
    """Write a run to results.json and to the page. Figures of other parts stay."""
    found = results.read()
    shop: dict[str, Any] = found.get("shop", {})
    shop |= {key: {"value": value, **origin} for key, value in {**ratios, **raw}.items()}
    results.merge({"shop": shop})
    table = markdown(results.read()["shop"])
    PAGE.write_text(inserted(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")


def inserted(page: str, block: str) -> str:
    """The page with the block in its place."""
    marked = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    return marked.sub(lambda _: f"{_BEGIN}\n{block}{_END}", page)


def markdown(shop: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of sales and of requirements. ``shop``: that part of results.json."""
    return "\n".join(_lines(shop)) + "\n"


def _lines(shop: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for key, heading in SALES.items():
        if key in shop:
            yield from _sales(heading, shop[key])
    if OPEN in shop:
        yield from _open_sales(shop[OPEN])
    if FAR_SETTINGS in shop:
        yield from _far_settings(shop[FAR_SETTINGS])
    yield "**Requirements.** A requirement is a bound of a figure of one run."
    yield ""
    yield "| | measured | required | commit, date |"
    yield "|---|--:|--:|---|"
    for line in LINES:
        if found := shop.get(line.key):
            value = found["value"]
            shown = value if isinstance(value, str) else f"{value:.3g}"
            missed = not isinstance(value, str) and not line.holds(value)
            required = f"{line.required}, missed" if missed else line.required
            yield f"| {line.title} | {shown} | {required} | {found['commit']}, {found['date']} |"
    yield ""


def _sales(heading: str, found: Mapping[str, Any]) -> Iterator[str]:
    origin = "`{command}`, commit {commit}, {date}; {machine}".format(**found)
    yield f"**{heading}** ({origin}):"
    yield ""
    yield "| | orders/s | p50 | p99 | 409 | other failures |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, sold in sorted(found["value"].items(), key=lambda item: _place(item[0])):
        design, _, kind = name.partition(" ")
        title = ", ".join(filter(None, (NAMES.get(design, name), _KINDS.get(kind))))
        failures = sum(sold["failures"].values())
        cells = (
            f"{sold['orders_per_second']:,.0f}",
            _milliseconds(sold["p50_ms"]),
            _milliseconds(sold["p99_ms"]),
            f"{sold['rejected']:,}",
            f"{failures:,}",
        )
        yield f"| {title} | {' | '.join(cells)} |"
    yield ""


def _open_sales(found: Mapping[str, Any]) -> Iterator[str]:
    origin = "`{command}`, commit {commit}, {date}; {machine}".format(**found)
    yield f"**Buyers of one product who arrive at random** ({origin}):"
    yield ""
    yield "| | arrivals/s | placed | p50 | p99 | 409 | gave up | other failures |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for name, sold in sorted(found["value"].items(), key=lambda item: _open_place(item[0])):
        design, _, percentage = name.partition(" ")
        failures = {**sold["failures"]}
        gave_up = failures.pop(GAVE_UP, 0)
        others = sum(failures.values())
        share = sold["placed"] / (sold["placed"] + sold["rejected"] + gave_up + others)
        cells = (
            f"{OPEN_RATE * int(percentage) // 100:,} ({percentage} %)",
            f"{share:.1%}",
            _wait(sold["p50_ms"]),
            _wait(sold["p99_ms"]),
            *(f"{count:,}" for count in (sold["rejected"], gave_up, others)),
        )
        yield f"| {NAMES[design]} | {' | '.join(cells)} |"
    yield ""


def _far_settings(found: Mapping[str, Any]) -> Iterator[str]:
    origin = "`{command}`, commit {commit}, {date}; {machine}".format(**found)
    yield f"**Settings for one product on a far database** ({origin}):"
    yield ""
    yield (
        "| commits/s of a document | buyers | processes of order, `CONCURRENCY` of each"
        " | processes of inventory, `MAX_WAITING` of each | orders/s | p50 | p99 | failures |"
    )
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    for case in found["value"]:
        cells = (
            f"{case['commits']}",
            f"{case['buyers']}",
            f"{case['orders']}, {case['concurrency']}",
            f"{case['inventories']}, {case['max_waiting']}",
            f"{case['orders_per_second']:,.0f}",
            _milliseconds(case["p50_ms"]),
            _milliseconds(case["p99_ms"]),
            f"{sum(case['failures'].values()):,}",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _open_place(name: str) -> tuple[int, int]:
    """Ours before the others, at each rate."""
    design, _, percentage = name.partition(" ")
    return int(percentage), [*NAMES].index(design)


def _wait(milliseconds: float | None) -> str:
    """None: so many buyers have no order that the percentile is one of them."""
    if milliseconds is None:
        return f"over {1000 * PATIENCE_SECONDS:,.0f} ms"
    return _milliseconds(milliseconds)


_KINDS = {"hot": "one product", "many": "50 products"}


def _place(name: str) -> tuple[int, int, str]:
    """One product before many, and ours before the others."""
    design, _, kind = name.partition(" ")
    if design not in NAMES:
        return 0, 0, name
    return [*_KINDS, ""].index(kind), [*NAMES].index(design), name


def _milliseconds(value: float | None) -> str:
    return "no order" if value is None else f"{value:,.0f} ms"
