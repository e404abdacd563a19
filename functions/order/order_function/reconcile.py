"""``python -m order_function.reconcile``: one sweep over what was left half done.

A command and not an endpoint, run on a timer: where there is nothing to do it reads Firestore and
wakes nobody. One JSON line says what was found and done; exit code 1 where something was left.
"""

from __future__ import annotations

import logging.config
import os
import sys
from dataclasses import asdict
from datetime import timedelta

from functions_common import logs
from functions_common.firestore import Connection
from functions_common.settings import SettingsError
from order_function.backlog import FirestoreBacklog
from order_function.inventory_client import InventoryClient
from order_function.service import Orders
from order_function.settings import Settings
from order_function.store import Store
from order_function.sweep import Sweep


def sweep_of(settings: Settings, connection: Connection) -> Sweep:
    """The composition root of the command; tests pass a connection of their own."""
    store = Store(connection)
    inventory = InventoryClient(settings.inventory_service_url, settings.token, connections=1)
    return Sweep(
        FirestoreBacklog(connection),
        store,
        inventory,
        Orders(store, inventory, settings.request_deadline_seconds),
        timedelta(seconds=settings.reconcile_after_seconds),
    )


def main() -> int:
    logging.config.dictConfig(logs.configuration())
    try:
        settings = Settings.load(os.environ)
    except SettingsError as error:
        logs.fatal(f"Cannot start: {error}")
        return 1
    report = sweep_of(settings, Connection(settings.firestore)).run()
    severity = logging.WARNING if report.failures else logging.INFO
    logs.event("Reconciled", severity=severity, **asdict(report))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
