"""`make audit`: audit the shop of `make run`, and say which one and with what result.

The audit's own lines are JSON on standard error. Standard output has the sentences.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import running
from local.processes import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local.running import Shop

DEFAULT_DATABASE = "(default)"
COUNTED = ("orders", "reservations", "products")


@dataclass(frozen=True, slots=True)
class Target:
    """A database, and why it is the one."""

    emulator: str
    project: str
    database: str
    reason: str

    def describe(self) -> str:
        return (
            f"Auditing {self.reason}: database {self.database} of project {self.project}"
            f" in the emulator at {self.emulator}"
        )


def target(environ: Mapping[str, str], folder: Path) -> Target:
    """The database that the environment names, or else that of the one shop in this folder."""
    if address := environ.get("FIRESTORE_EMULATOR_HOST"):
        project = environ.get("GOOGLE_CLOUD_PROJECT") or "demo"
        database = environ.get("FIRESTORE_DATABASE") or DEFAULT_DATABASE
        return Target(address, project, database, "the database of FIRESTORE_EMULATOR_HOST")
    shop = _chosen(running.shops(folder), environ)
    return Target(shop.emulator, shop.project, shop.database, f"the shop at {shop.order}")


def _chosen(shops: Sequence[Shop], environ: Mapping[str, str]) -> Shop:
    ports = {name: environ[name] for name in ("ORDER_PORT", "EMULATOR_PORT") if environ.get(name)}
    found = [shop for shop in shops if _has(shop, ports)]
    if not found:
        which = [f"{name}={port}" for name, port in ports.items()]
        raise LocalError(
            f"No shop of `{' '.join(['make run', *which])}` runs in this folder, so nothing is"
            " audited. Start it first, or name another database:"
            " make audit FIRESTORE_EMULATOR_HOST=HOST:PORT GOOGLE_CLOUD_PROJECT=PROJECT"
        )
    if len(found) > 1:
        addresses = ", ".join(shop.order for shop in found)
        raise LocalError(
            f"{len(found)} shops run in this folder ({addresses}), so nothing is audited. Choose"
            " one: make audit ORDER_PORT=PORT"
        )
    return found[0]


def _has(shop: Shop, ports: Mapping[str, str]) -> bool:
    own = {"ORDER_PORT": shop.order, "EMULATOR_PORT": shop.emulator}
    return all(own[name].endswith(f":{port}") for name, port in ports.items())


def audit(chosen: Target, arguments: Sequence[str]) -> int:
    """Run the audit; its exit code."""
    settings = {
        "FIRESTORE_EMULATOR_HOST": chosen.emulator,
        "GOOGLE_CLOUD_PROJECT": chosen.project,
        "FIRESTORE_DATABASE": chosen.database,
    }
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "order_function.audit", *arguments],
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None  # noqa: S101 - for the types
        for line in process.stderr:
            sys.stderr.write(line)
            lines.append(line)
    if process.returncode in (0, 1):
        _say(result(json.loads(lines[-1])))
    return process.returncode


def result(report: Mapping[str, object]) -> str:
    """The last line of the audit as a sentence."""
    counted = ", ".join(_number(report[name], name) for name in COUNTED)
    if report["findings"] == 0:
        return f"Every invariant holds: {counted}."
    found = _number(report["findings"], "findings")
    return f"{found} in {counted}. docs/architecture.md explains each kind."


def _number(count: object, noun: str) -> str:
    return f"{count} {noun.removesuffix('s') if count == 1 else noun}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of the command


def main(arguments: Sequence[str]) -> int:
    try:
        chosen = target(os.environ, running.LOGS)
    except LocalError as error:
        _say(str(error))
        return 2
    _say(chosen.describe())
    return audit(chosen, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
