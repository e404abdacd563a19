"""docs/cost.md, from what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costs import prices
from costs.acts import CONFIRMED, FULFILLED, IDLE, ORDER, SWEPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costs.usage import Usage

_SWEEPS_A_MONTH = 30 * 24 * 6
"""As knative/reconcile.yaml has it."""


def markdown(measured: Mapping[str, Usage]) -> str:
    return "\n".join(_lines(measured)) + "\n"


def _lines(measured: Mapping[str, Usage]) -> Iterator[str]:
    order, confirmed, fulfilled = (measured[title] for title in (ORDER, CONFIRMED, FULFILLED))
    yield """\
# What an order costs

The Firestore operations of each action, without concurrent requests: documents read, written and
deleted, and round trips. Real processes did each action over HTTP, and the embedded emulator
[counted](../emulators/firestore/README.md) operations as Firestore charges them.
`tests/integration/test_cost.py` fails if the code needs other numbers. An order of L products is L
reads, L + 2 writes and three round trips. Rows that repeat, refuse, cancel, fulfil or sweep use an
order of one product.

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
A million orders of one product, placed, confirmed by sweeps of {SWEPT} and fulfilled: ${whole:.2f}.
A sweep every ten minutes that finds nothing: {idle_reads:,} reads a month. An audit reads every
document of the database once.

The prices are {prices.SOURCE}, of {prices.AS_OF} for the {prices.EDITION} in
{prices.REGION}, before any free quota: ${prices.READS} for 100,000 reads, ${prices.WRITES} for
writes, ${prices.DELETES} for deletes. Storage and traffic are not included.
`python -m costs` measures again and writes this page."""
