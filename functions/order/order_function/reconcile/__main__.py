"""``python -m order_function.reconcile.__main__``: one sweep over what was left half done.

A command and not an endpoint, run on a timer: if there is nothing to do it reads Firestore and
wakes no pod. One JSON line reports what was found, done and left.

Exit code 0: nothing failed. 1: something is left for the next sweep. 143 or 130: stopped by SIGTERM
or SIGINT; the calls under way were finished, and the report says what is left.
"""

from __future__ import annotations

import logging.config
import os
import signal
import sys
import time
from dataclasses import asdict
from datetime import timedelta

from functions_common.firestore.client import Connection
from functions_common.observability import activity, logs
from functions_common.observability.trace import Trace
from functions_common.runtime.settings import SettingsError
from order_function.inventory.client import InventoryClient
from order_function.reconcile.backlog import FirestoreBacklog
from order_function.reconcile.sweep import Report, Sweep
from order_function.service import Orders
from order_function.settings import ReconcileSettings
from order_function.store import Store

_KILLED = 128
"""Added to a signal's number, the exit code of a process that it ended."""
IN_FLIGHT = 4
"""Parts of a page, or orders, at a time."""


def sweep_of(settings: ReconcileSettings, connection: Connection) -> Sweep:
    """The composition root of the command; tests pass a connection of their own."""
    store = Store(connection)
    inventory = InventoryClient(
        settings.inventory_service_url,
        settings.token,
        connections=IN_FLIGHT,
        currency=settings.currency,
    )
    return Sweep(
        FirestoreBacklog(connection),
        store,
        inventory,
        Orders(store, inventory, settings.request_deadline_seconds),
        timedelta(seconds=settings.reconcile_after_seconds),
        IN_FLIGHT,
    )


class _Signals:
    """Notes SIGTERM and SIGINT, and passes them on to the sweep once there is one.

    As process 1 of a container a process without handlers ignores both.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._sweep: Sweep | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def stop(self, sweep: Sweep) -> None:
        self._sweep = sweep
        if self.received is not None:
            sweep.stop()

    def _receive(self, number: int, _: object) -> None:
        self.received = number
        if self._sweep is not None:
            self._sweep.stop()


def main() -> int:
    signals = _Signals()
    logging.config.dictConfig(logs.configuration())
    try:
        settings = ReconcileSettings.load(os.environ)
    except SettingsError as error:
        logs.fatal(f"Cannot start: {error}")
        return 1
    sweep = sweep_of(settings, Connection(settings.firestore))
    signals.stop(sweep)
    with activity.recording(Trace.begin()) as sweeping:  # inventory's lines have its trace id too
        report = sweep.run()
        severity = logging.WARNING if report.failed or report.stopped else logging.INFO
        logs.event("Reconciled", severity=severity, **asdict(report), ms=sweeping.milliseconds())
    if settings.telemetry:
        _export(settings, report)
    if signals.received is not None:
        return _KILLED + signals.received
    return 1 if report.failed else 0


def _export(settings: ReconcileSettings, report: Report) -> None:
    """What the alarms look at, as gauges; see observability/alerts.yaml."""
    from functions_common.observability import telemetry  # noqa: PLC0415 - only where it is wanted

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
