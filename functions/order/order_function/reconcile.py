"""``python -m order_function.reconcile``: one sweep over what was left half done.

A command and not an endpoint, run on a timer: where there is nothing to do it reads Firestore and
wakes nobody. One JSON line says what was found and done; exit code 1 where something was left.
"""

from __future__ import annotations

import logging.config
import os
import sys
import time
from dataclasses import asdict
from datetime import timedelta

from functions_common import activity, logs
from functions_common.firestore import Connection
from functions_common.settings import SettingsError
from functions_common.trace import Trace
from order_function.backlog import FirestoreBacklog
from order_function.inventory_client import InventoryClient
from order_function.service import Orders
from order_function.settings import Settings
from order_function.store import Store
from order_function.sweep import Report, Sweep

IN_FLIGHT = 4
"""Parts of a page, or orders, at a time."""


def sweep_of(settings: Settings, connection: Connection) -> Sweep:
    """The composition root of the command; tests pass a connection of their own."""
    store = Store(connection)
    inventory = InventoryClient(
        settings.inventory_service_url, settings.token, connections=IN_FLIGHT
    )
    return Sweep(
        FirestoreBacklog(connection),
        store,
        inventory,
        Orders(store, inventory, settings.request_deadline_seconds),
        timedelta(seconds=settings.reconcile_after_seconds),
        IN_FLIGHT,
    )


def main() -> int:
    logging.config.dictConfig(logs.configuration())
    try:
        settings = Settings.load(os.environ)
    except SettingsError as error:
        logs.fatal(f"Cannot start: {error}")
        return 1
    sweep = sweep_of(settings, Connection(settings.firestore))
    with activity.during(Trace.begin()) as sweeping:  # inventory's lines have its trace id too
        report = sweep.run()
        severity = logging.WARNING if report.failures else logging.INFO
        logs.event("Reconciled", severity=severity, **asdict(report), ms=sweeping.milliseconds())
    if settings.server.telemetry:
        _export(settings, report)
    return 1 if report.failures else 0


def _export(settings: Settings, report: Report) -> None:
    """What the alarms look at, as gauges; see observability/alerts.yaml."""
    from functions_common import telemetry  # noqa: PLC0415 - only where it is wanted

    figures = asdict(report) | {"failures": len(report.failures), "finished_at": time.time()}
    telemetry.report("reconcile", settings.server.instance, figures)


if __name__ == "__main__":
    sys.exit(main())
