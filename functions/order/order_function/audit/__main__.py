"""``python -m order_function.audit``: check every invariant that a live database can show.

It reads the database as it was at one moment. If there is a finding, it reads a second time, and
reports only findings of both reads: ``reconcile`` may have been repairing the others. It does not
report unfinished work that is younger than the grace (``--grace``), because a request or the next
sweeps may still finish it.

It prints a JSON line for each finding, and a JSON line with totals. Exit codes:

- 0: there is no finding.
- 1: there are findings.
- 2: a setting is invalid, or the database could not be read.

Use ``--grace 0`` directly after ``reconcile``: then unfinished work of any age is a finding.
"""

from __future__ import annotations

import argparse
import logging.config
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import StoreError
from functions_common.ids import timestamp
from functions_common.observability import logs
from functions_common.runtime.arguments import whole_number
from functions_common.runtime.settings import Environment, FirestoreSettings, SettingsError
from order_function.audit import invariants
from order_function.audit.invariants import Finding, StockTotals
from order_function.audit.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE_SECONDS = 1500
"""Two intervals of ``reconcile`` (600 s each), so that one sweep may fail, plus the age below which
it leaves work alone (60 s). The other 240 s are for the start and the run of the sweep."""


def findings(snapshot: Snapshot, grace: timedelta) -> list[Finding]:
    """Everything in the snapshot that breaks an invariant."""
    totals = StockTotals()
    found = [*invariants.check_orders(snapshot.orders(), snapshot.reservations(), totals, grace)]
    for product_id, delta in snapshot.adjustments():
        totals.add_adjustment(product_id, delta)
    found += totals.check_products(snapshot.products())
    return [*snapshot.damaged, *found]


def audit(connection: FirestoreConnection, grace: timedelta) -> tuple[Snapshot, list[Finding]]:
    """The findings of two snapshots, one after the other, and the second snapshot."""
    snapshot = Snapshot(connection)
    found = findings(snapshot, grace)
    if not found:
        return snapshot, []
    snapshot = Snapshot(connection)
    again = {(each.invariant, each.subject) for each in findings(snapshot, grace)}
    return snapshot, [each for each in found if (each.invariant, each.subject) in again]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    parser.add_argument(
        "--grace",
        type=whole_number(0, 999_999_999),
        default=GRACE_SECONDS,
        metavar="SECONDS",
        help="unfinished work that is younger is no finding (default: %(default)s)",
    )
    grace = timedelta(seconds=parser.parse_args(arguments).grace)
    logging.config.dictConfig(logs.configuration())
    try:
        settings = FirestoreSettings.load(Environment(os.environ))
        snapshot, found = audit(FirestoreConnection(settings), grace)
    except SettingsError as error:
        logs.fatal(f"Cannot start: {error}")
        return 2
    except StoreError as error:
        address = os.environ.get("FIRESTORE_EMULATOR_HOST")
        hint = f" Does an emulator run at {address}?" if address else ""
        logs.fatal(f"The database cannot be read: {error}.{hint}")
        return 2
    for each in found:
        logs.event(
            "Finding",
            severity=logging.ERROR,
            invariant=each.invariant,
            subject=each.subject,
            detail=each.detail,
        )
    logs.event(
        "Audited",
        severity=logging.ERROR if found else logging.INFO,
        findings=len(found),
        read_time=timestamp(snapshot.read_time),
        newer=snapshot.newer,
        **snapshot.counts,
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
