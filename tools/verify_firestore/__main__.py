"""`python -m tools.verify_firestore --project PROJECT` tries the shop on a real Firestore project.

Exit codes: 0, everything passed; 1, something failed, or documents are left; 2, the run was
refused; 130 or 143, a signal ended it. After a signal the documents are deleted too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import grpc
from local.origin import origin
from local.stack import ROOT

from functions_common.runtime.stop_signals import StopSignals
from tools.verify_firestore import folders, parts
from tools.verify_firestore.forwarder import Bounds, Meter, forwarding
from tools.verify_firestore.names import ROOT_COLLECTION, Names
from tools.verify_firestore.report import Report
from tools.verify_firestore.target import RefusedError, Target, check, open_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.verify_firestore.parts import Result

PARTS = ("queries", "contract", "differential", "bench")
"""After the connection, which is always tried first."""
REPORTS = ROOT / ".run/verify-firestore"
WRITES, DOLLARS = 20_000, Decimal("0.10")
SEEDS = 5
CLEAN = "make verify-firestore PROJECT={project}{database} VERIFY=--clean"


class Run:
    def __init__(
        self, target: Target, meter: Meter, signals: StopSignals, arguments: argparse.Namespace
    ) -> None:
        began = datetime.now(UTC)
        self.name = f"{began:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        self._names = Names(target.database, self.name)
        self._target, self._meter, self._signals = target, meter, signals
        self._seeds, self._wanted = arguments.seeds, arguments.part or PARTS
        emulated = target.settings.emulator_host is not None
        command = origin("tools.verify_firestore", sys.argv[1:])
        self.report = Report(str(target), emulated, command)
        self.folder = REPORTS / self.name

    def carry_out(self) -> Path:
        """Run all parts, delete their documents and write the report. Its path."""
        self.folder.mkdir(parents=True)
        try:
            self._parts()
        finally:
            self._delete()
            self.report.used = self._meter.used
            path = self.folder / "report.md"
            path.write_text(self.report.markdown(), encoding="utf-8")
        return path

    def _parts(self) -> None:
        target = self._target
        with forwarding(target.channel, target.metadata, self._names, self._meter) as address:
            children = parts.Children(
                address,
                self.folder,
                self._stop_reason,
                seeds=self._seeds,
                emulated=self.report.emulated,
            )
            self._measured(self._connection)
            if self.report.results[0].failed:
                self.report.stopped = "the other parts need the connection"
                return
            for name in PARTS:
                self.report.stopped = self._stop_reason()
                if self.report.stopped is not None:
                    return
                if name in self._wanted:
                    self._measured(getattr(children, name))
            self.report.stopped = self._stop_reason()

    def _connection(self) -> Result:
        result = parts.connection(self._target.settings, self._names.folder)
        self._meter.add(result.used)
        return result

    def _measured(self, part: Callable[[], Result]) -> None:
        before, began = self._meter.used, time.monotonic()
        result = part()
        result.seconds = time.monotonic() - began
        result.used = self._meter.used - before
        self.report.results.append(result)
        _say(f"{result.name}: {result} ({result.seconds:.0f} s)")

    def _stop_reason(self) -> str | None:
        if self._signals.exit_code is not None:
            return "ended by a signal"
        return f"ended at its bound of {exceeded}" if (exceeded := self._meter.exceeded) else None

    def _delete(self) -> None:
        _say("Deleting the documents of this run")
        try:
            self.report.deleted = folders.delete(self._target, self._names.folder, self._meter)
        except grpc.RpcError as error:
            self.report.left = (
                f"documents are left below {ROOT_COLLECTION}/{self.name}"
                f" ({error.code().name}): delete them with {clean_command(self._target)}"
            )


def clean_command(target: Target) -> str:
    database = target.settings.database
    named = "" if database == "(default)" else f" DATABASE={database}"
    return CLEAN.format(project=target.settings.project, database=named)


def clean(target: Target, meter: Meter) -> None:
    """Delete the documents of all earlier runs."""
    with target.reasons():
        for run in folders.runs(target, meter):
            deleted = folders.delete(target, Names(target.database, run).folder, meter)
            _say(f"{run}: {deleted:,} documents deleted")
    _say(f"Nothing is left below {ROOT_COLLECTION} of {target}.")


def check_earlier_runs(target: Target, meter: Meter) -> None:
    """Raises RefusedError if another run has documents."""
    with target.reasons():
        runs = folders.runs(target, meter)
    if runs:
        raise RefusedError(
            f"Another run is in progress, or has left documents ({', '.join(runs)}): if none is"
            f" in progress, delete them with {clean_command(target)}."
        )


def main() -> int:
    arguments = _parser().parse_args()
    signals = StopSignals()
    meter = Meter(Bounds(arguments.max_writes, arguments.max_dollars))
    try:
        target = open_target(arguments.project, arguments.database, os.environ)
        check(target, beside_others=arguments.beside_others or arguments.clean)
        if arguments.clean:
            clean(target, meter)
            return 0
        check_earlier_runs(target, meter)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 2
    _say(f"This run uses {target}.")
    run = Run(target, meter, signals, arguments)
    path = run.carry_out()
    _say(run.report.verdict)
    _say(f"Cost: {run.report.used.dollars:.4f} dollars. Report: {path.relative_to(ROOT)}")
    if signals.exit_code is not None:
        return signals.exit_code
    return 0 if run.report.passed else 1


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.verify_firestore", allow_abbrev=False)
    parser.add_argument("--project", help="the project; its database should be empty")
    parser.add_argument("--database", help="the database (default: (default))")
    parser.add_argument(
        "--beside-others",
        action="store_true",
        help=f"run in a database with other collections; only {ROOT_COLLECTION} is written",
    )
    parser.add_argument(
        "--max-writes",
        type=_positive,
        default=WRITES,
        metavar="N",
        help=f"end when more documents would be written (default: {WRITES:,})",
    )
    parser.add_argument(
        "--max-dollars",
        type=_dollars,
        default=DOLLARS,
        metavar="D",
        help=f"end when the run would cost more, its deletion included (default: {DOLLARS})",
    )
    parser.add_argument(
        "--seeds",
        type=_positive,
        default=SEEDS,
        metavar="N",
        help=f"random scripts that are compared with the emulator (default: {SEEDS})",
    )
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        help="try the connection and this part only; may be repeated",
    )
    parser.add_argument(
        "--clean", action="store_true", help="delete what earlier runs have left, and end"
    )
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _dollars(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(0)
    if not (found.is_finite() and found > 0):
        raise argparse.ArgumentTypeError(f"{text} is not an amount above 0")
    return found


if __name__ == "__main__":
    sys.exit(main())
