"""`make run`: emulator, inventory and order on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firestore_emulator import launcher
from local import catalogue, running, stack, tokens
from local.processes import LocalError, Process, Timer, is_free, responds
from local.stack import HOST, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_PAUSE = 86_400
"""Upper limit of RECONCILE_EVERY_SECONDS."""

LOGS = ROOT / ".run"

GUIDE = """
  order      {order}
  inventory  {inventory}
  emulator   {emulator}
  logs       {logs}

  The operator's token, for catalogue, stock and all orders:   {operator}
  The payment service's token, to confirm orders with a hold:  {payment}

Open {order} in a browser. {order}/docs describes the API. http://{emulator} shows the
documents, unless it is Google's emulator. With curl:

  curl -i {order}/orders \\
    -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)" \\
    -d '{{"customer_id":"C123","product_id":"P001","quantity":2}}'
  curl '{order}/orders?customer_id=C123'
  curl {inventory}/products/P001
  curl -X POST {order}/orders/ORD.../fulfil -H 'Authorization: Bearer {operator}'
  curl -X POST {order}/orders/ORD.../cancel    # another order
  curl -X POST {order}/orders/ORD.../confirm -H 'Authorization: Bearer {payment}'
  curl {inventory}/products/P001/adjustments \\
    -H 'Authorization: Bearer {operator}' \\
    -H 'Content-Type: application/json' -H 'Idempotency-Key: delivery-1' \\
    -d '{{"delta":10,"reason":"delivery"}}'

Ctrl-C ends everything.
"""


OPEN = "AUTH_MODE is open: anyone can act as any customer. Do not use it in production."


class EndedBySignal(Exception):  # noqa: N818 - not an error
    pass


class Signals:
    """Records that a signal arrived; ``check`` raises ``EndedBySignal`` at a safe point.

    An exception from the handler itself could arrive after a child's start and before the child
    is on the list of children, and would leave it running.
    """

    def __init__(self) -> None:
        self._seen = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self._seen = True

    def check(self) -> None:
        if self._seen:
            raise EndedBySignal


@dataclass(frozen=True, slots=True)
class Ports:
    order: int
    inventory: int
    emulator: int

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Ports:
        """From ORDER_PORT, INVENTORY_PORT and EMULATOR_PORT."""
        return cls(
            _port(environ, "ORDER_PORT", 8080),
            _port(environ, "INVENTORY_PORT", 8081),
            _port(environ, "EMULATOR_PORT", 8085),
        )


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise LocalError(f"{name} is {text!r}; it must be a port from 1 to 65535")
    return int(text)


def _seconds(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= LONGEST_PAUSE):
        raise LocalError(f"{name} is {text!r}; it must be seconds from 1 to {LONGEST_PAUSE}")
    return int(text)


def _data(environ: Mapping[str, str]) -> list[str]:
    """The emulator's option for DATA, the directory to keep the documents in."""
    directory = environ.get("DATA")
    if not directory:
        return []
    if environ.get("FIRESTORE_EMULATOR_HOST") or environ.get("EMULATOR") == "official":
        raise LocalError(
            "DATA needs the embedded emulator: unset FIRESTORE_EMULATOR_HOST and EMULATOR"
        )
    if Path(directory).exists() and not Path(directory).is_dir():
        raise LocalError(f"DATA is {directory}, which is a file; it must be a folder")
    return [f"--data={directory}"]


def _check_free(names: dict[str, int]) -> None:
    for name, port in names.items():
        if not is_free(port):
            raise LocalError(f"Port {port} is taken. Free it, or choose another: make run {name}=…")


def run(environ: Mapping[str, str], signals: Signals) -> None:
    ports = Ports.load(environ)
    every = _seconds(environ, "RECONCILE_EVERY_SECONDS", 30)
    start_emulator = launcher.command(environ, HOST, ports.emulator, _data(environ))
    names = {"ORDER_PORT": ports.order, "INVENTORY_PORT": ports.inventory}
    if start_emulator is not None:
        names["EMULATOR_PORT"] = ports.emulator
    if len(set(names.values())) < len(names):
        ports_text = ", ".join(f"{name} is {port}" for name, port in names.items())
        raise LocalError(f"The ports must differ: {ports_text}")
    _check_free(names)
    with _children() as children:
        address = environ.get("FIRESTORE_EMULATOR_HOST") or f"{HOST}:{ports.emulator}"
        if start_emulator is None:
            launcher.check_ready(address)
        else:
            _say("Starting the Firestore emulator")
            log = LOGS / f"emulator-{ports.emulator}.log"
            emulator = Process("emulator", start_emulator, {}, log)
            children.append(emulator)
            log.unlink(missing_ok=True)
            emulator.start()
            emulator.wait_until(responds(f"http://{address}/"), signals.check)
        _run_functions(children, ports, address, environ, every, signals)


def _run_functions(
    children: list[Process],
    ports: Ports,
    address: str,
    environ: Mapping[str, str],
    every: int,
    signals: Signals,
) -> None:
    order, inventory = f"http://{HOST}:{ports.order}", f"http://{HOST}:{ports.inventory}"
    orders, operators, payments = (
        environ.get(name) or secrets.token_urlsafe()
        for name in ("ORDER_TOKENS", "OPERATOR_TOKENS", "PAYMENT_TOKENS")
    )
    settings = {
        "GOOGLE_CLOUD_PROJECT": environ.get("GOOGLE_CLOUD_PROJECT") or "demo",
        "FIRESTORE_EMULATOR_HOST": address,
        "INVENTORY_SERVICE_URL": inventory,
        "AUTH_MODE": environ.get("AUTH_MODE") or "open",
        **tokens.variables(orders, operators, payments),
    }
    operator, payment = (each.partition(",")[0].strip() for each in (operators, payments))
    if settings["AUTH_MODE"] == "open":
        _say(OPEN)
    functions = [
        stack.function("inventory", ports.inventory, settings | {"ORDER_TOKENS": ""}, LOGS),
        stack.function("order", ports.order, settings, LOGS),
    ]
    children.extend(functions)
    for function in functions:
        function.log.unlink(missing_ok=True)
    _say("Starting inventory and order")
    stack.start(functions, [ports.inventory, ports.order], signals.check)
    _say("Seeding the catalogue")
    catalogue.seed(inventory, operator)
    signals.check()
    addresses = {"order": order, "inventory": inventory, "emulator": address}
    reconcile = stack.command("reconcile", settings, LOGS / f"reconcile-{ports.order}.log")
    reconcile.log.unlink(missing_ok=True)
    database = environ.get("FIRESTORE_DATABASE") or "(default)"
    shop = running.Shop(order, address, settings["GOOGLE_CLOUD_PROJECT"], database)
    with running.announced(LOGS, shop):
        _say(GUIDE.format(**addresses, logs=LOGS, operator=operator, payment=payment))
        try:
            _watch(children, Timer(reconcile, every), signals)
        finally:
            reconcile.stop()


def _watch(children: list[Process], reconcile: Timer, signals: Signals) -> None:
    """Run reconcile periodically until a signal arrives or a child ends."""
    while True:
        time.sleep(0.2)
        signals.check()
        reconcile.tick()
        for child in children:
            if not child.alive:
                raise LocalError(child.describe_end())


@contextmanager
def _children() -> Iterator[list[Process]]:
    """A list of processes. They are ended in reverse order when the context ends."""
    children: list[Process] = []
    try:
        yield children
    finally:
        for child in reversed(children):
            child.stop()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of the command


def main() -> int:
    signals = Signals()
    try:
        run(os.environ, signals)
    except EndedBySignal:
        _say("\nThe run has ended, and no process is left.")
    except (LocalError, catalogue.SeedError, launcher.LauncherError) as error:
        _say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
