"""docs/cost.md, from the measured usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costs import prices
from costs.acts import CONFIRMED, FULFILLED, IDLE, ORDER, SWEPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costs.usage import Usage

_SWEEPS_A_MONTH = 30 * 24 * 6
"""The schedule of knative/reconcile.yaml."""


def markdown(measured: Mapping[str, Usage]) -> str:
    return "\n".join(_lines(measured)) + "\n"


def _lines(measured: Mapping[str, Usage]) -> Iterator[str]:
    order, confirmed, fulfilled = (measured[title] for title in (ORDER, CONFIRMED, FULFILLED))
    yield """\
# What an order costs

The Firestore usage of each act without contention: documents read, written and deleted, and round
trips. Real processes did each act over HTTP, and the embedded emulator
[counted](../emulators/firestore/README.md) the documents that Firestore charges for.
`tests/integration/requests/test_cost.py` fails if an act uses more. An order of L products takes
L reads, L + 2 writes and three round trips. A movement of L products takes L + 1 reads and L + 1
writes in inventory. The other orders below have one product.

| | Reads | Writes | Deletes | Round trips | $ for a million |
|---|--:|--:|--:|--:|--:|"""
    for title, usage in measured.items():
        yield (
            f"| {title} | {usage.reads} | {usage.writes} | {usage.deletes}"
            f" | {usage.round_trips} | {usage.dollars_a_million:.2f} |"
        )
    whole = (
        order.dollars_a_million + confirmed.dollars_a_million / SWEPT + fulfilled.dollars_a_million
    )
    idle_reads = _SWEEPS_A_MONTH * measured[IDLE].reads
    yield f"""
A million orders of one product cost ${whole:.2f}: placed, confirmed by sweeps of {SWEPT} and
fulfilled. A sweep every ten minutes that finds nothing takes {idle_reads:,} reads a month. An
audit reads every document once.

The prices are {prices.SOURCE} of {prices.AS_OF}
for the {prices.EDITION} in {prices.REGION}, before any free quota. 100,000 reads cost
${prices.READS}, writes ${prices.WRITES} and deletes ${prices.DELETES}. Storage and traffic are
extra. `python -m costs` measures again and writes this page."""
