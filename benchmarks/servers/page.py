"""The comparison as a Markdown table, for docs/performance.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from benchmarks.hostile.kinds import KINDS
from benchmarks.servers.candidates import CANDIDATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HEADING = "## Choosing the HTTP server"
_BEGIN, _END = "<!-- begin: python -m benchmarks.servers -->", "<!-- end -->"


def _cell(key: str, form: str = "{}") -> Callable[[Mapping[str, Any]], str]:
    return lambda found: "-" if found.get(key) is None else form.format(found[key])


def _sold(connections: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(found: Mapping[str, Any]) -> str:
        if f"per_second_{connections}" not in found:
            return "-"
        rate, p99 = found[f"per_second_{connections}"], found[f"p99_ms_{connections}"]
        return f"{rate:.0f}, " + ("none in time" if p99 is None else f"{p99:,.0f} ms")

    return cell


def _refused(connections: str) -> Callable[[Mapping[str, Any]], str]:
    shed, failed = f"shed_{connections}", f"failed_{connections}"
    return lambda found: f"{found[shed]:,}, {found[failed]:,}" if shed in found else "-"


def _stopped(found: Mapping[str, Any]) -> str:
    if "stop_seconds" not in found:
        return "-"
    return (
        f"{found['stop_no_response']}, {found['stop_orders_lost']};"
        f" {found['stop_seconds']} s, exit {found['stop_exit']}"
    )


def _held(found: Mapping[str, Any]) -> str:
    measured = len(found.get("hostile", {}))
    return f"{found['hostile_holds']} of {measured}" if measured else "-"


ROWS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "32 connections: orders/s, p99": _sold("32"),
    "200 connections": _sold("200"),
    "1,000 connections": _sold("1000"),
    "1,000 connections: shed with 503, failed": _refused("1000"),
    "Processor, ms an order, 32 connections": _cell("processor_ms_32", "{:.2f}"),
    "Floor app: requests/s, p99": _sold("floor"),
    "Floor app: processor, ms a request": _cell("processor_ms_floor", "{:.2f}"),
    "Start to first response, s": _cell("start_seconds", "{:.2f}"),
    "Resident memory after the load, MB": _cell("megabytes", "{:.0f}"),
    "SIGTERM under load: requests without response, orders lost": _stopped,
    "Usable after 95 s idle": _cell("usable_after_idle"),
    "`ulimit -n 64`, 200 silent connections": _cell("ulimit"),
    "Hostile kinds that hold, of those measured": _held,
}


def markdown(servers: Mapping[str, Any]) -> str:
    """A table of the measured figures with a column per server, and their source."""
    return "\n".join(_lines(servers)) + "\n"


def _lines(servers: Mapping[str, Any]) -> Iterator[str]:
    found: dict[str, Mapping[str, Any]] = servers["figures"]
    names = [each.name for each in CANDIDATES if each.name in found]
    yield "`{command}`, commit {commit}, {date}; {machine}.".format(**servers)
    yield ""
    yield f"| | {' | '.join(names)} |"
    yield "|---|" + "--:|" * len(names)
    for title, cell in ROWS.items():
        yield f"| {title} | {' | '.join(cell(found[name]) for name in names)} |"
    yield ""
    yield (
        "Throughput of 8 normal clients beside 200 sockets of each hostile kind, as a share of"
        " their throughput alone:"
    )
    yield ""
    yield f"| | {' | '.join(names)} |"
    yield "|---|" + "--:|" * len(names)
    for kind in KINDS:
        shares = [found[name].get("hostile", {}).get(kind) for name in names]
        if not any(share is not None for share in shares):
            continue
        cells = ("-" if share is None else f"{share:.2f}" for share in shares)
        yield f"| {kind} | {' | '.join(cells)} |"


def inserted(page: str, table: str) -> str:
    """The page with the table in its section, which is added at the end if there is none."""
    block = f"{_BEGIN}\n{table}{_END}"
    if _BEGIN in page:
        marked = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
        return marked.sub(lambda _: block, page)
    if HEADING in page:
        return page.replace(HEADING, f"{HEADING}\n\n{block}", 1)
    return f"{page.rstrip()}\n\n{HEADING}\n\n{block}\n"
