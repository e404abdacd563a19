"""``python -m order_function.reconcile``: one sweep over unfinished orders and reservations.

A timer runs the command. It reads Firestore, and calls inventory only if there is work, so an idle
run wakes no function. One JSON line reports the results.

Exit codes:

- 0: nothing failed. Documents that are too young, or that only a newer revision knows, may be left.
- 1: a setting is invalid, or a document is left for the next sweep.
- 143, 130: stopped by SIGTERM or SIGINT. The calls in progress were finished; the report has the
  number of held reservations that are left.
"""

from __future__ import annotations

import logging.config
import os
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from functions_common.firestore.client import FirestoreConnection
from functions_common.observability import activity, logs
from functions_common.observability.trace import Trace
from functions_common.runtime.settings import SettingsError
from functions_common.runtime.stop_signals import StopSignals
from order_function.inventory.client import InventoryClient
from order_function.reconcile.sweep import Report, Sweep
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.service import Orders
from order_function.settings import ReconcileSettings
from order_function.store import FirestoreOrderStore

if TYPE_CHECKING:
    from functions_common.events.settings import SinkSettings
    from order_function.reconcile.sweep import Publishing

CONCURRENCY = 4
"""Orders, or batches of reservations, that are handled at the same time."""


def create_sweep(settings: ReconcileSettings, connection: FirestoreConnection) -> Sweep:
    """The composition root of the command; tests pass a connection of their own."""
    publishing = [] if settings.sink is None else _publishing(connection, settings.sink)
    store = FirestoreOrderStore(connection, on_event=_ignore_new_event if publishing else None)
    inventory = InventoryClient(
        settings.inventory_service_url,
        settings.token,
        connections=CONCURRENCY,
        currency=settings.currency,
    )
    return Sweep(
        FirestoreUnfinishedWork(connection),
        store,
        inventory,
        Orders(store, inventory, settings.request_deadline_seconds),
        timedelta(seconds=settings.reconcile_after_seconds),
        concurrency=CONCURRENCY,
        publishing=publishing,
    )


def _ignore_new_event(_order_id: str) -> None:
    """Do nothing: the store has marked the order, and the sweep publishes its events at its end."""


def _publishing(connection: FirestoreConnection, settings: SinkSettings) -> list[Publishing]:
    # Most shops have no sink.
    from functions_common.events.low_stock_outbox import FirestoreLowStockOutbox  # noqa: PLC0415
    from functions_common.events.sink import Sink  # noqa: PLC0415
    from order_function.events.outbox import FirestoreOutbox  # noqa: PLC0415
    from order_function.reconcile.publishing import low_stock_events, order_events  # noqa: PLC0415

    sink = Sink(settings, connections=1)
    return [
        order_events(FirestoreOutbox(connection), sink),
        low_stock_events(FirestoreLowStockOutbox(connection), sink),
    ]


def main() -> int:
    signals = StopSignals()
    logging.config.dictConfig(logs.configuration())
    try:
        settings = ReconcileSettings.load(os.environ)
    except SettingsError as error:
        logs.fatal(f"Cannot start: {error}")
        return 1
    sweep = create_sweep(settings, FirestoreConnection(settings.firestore))
    signals.stop_on_signal(sweep)
    with activity.recording(Trace.begin()) as sweeping:  # inventory logs the same trace id
        report = sweep.run()
        severity = logging.WARNING if report.failed or report.stopped else logging.INFO
        logs.event("Reconciled", severity=severity, **asdict(report), ms=sweeping.milliseconds())
    if settings.telemetry:
        _export(settings, report)
    if signals.exit_code is not None:
        return signals.exit_code
    return 1 if report.failed else 0


def _export(settings: ReconcileSettings, report: Report) -> None:
    """Export the figures that the alarms use, as gauges; see observability/alerts.yaml."""
    from functions_common.observability import telemetry  # noqa: PLC0415 - only if telemetry is on

    figures: dict[str, float] = asdict(report) | {
        "failures": report.failed,
        "stopped": int(report.stopped),
        "finished_at": time.time(),
    }
    if report.left is None:
        del figures["left"]
    telemetry.report("reconcile", settings.instance, figures)


if __name__ == "__main__":
    sys.exit(main())
