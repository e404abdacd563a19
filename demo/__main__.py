"""`make demo`: a sale on the cluster of the current kubeconfig, or else on local processes."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import uuid
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deployment import context
from deployment.cluster import CommandError
from local.processes import LocalError
from rich.console import Console

from demo import lesson, phases, scenario
from demo.environment import DemoError, new_recording
from demo.knative import Knative
from demo.lesson import Guide, Lesson
from demo.plan import Plan, PlanError
from demo.processes import Processes
from demo.report import report
from demo.report.verdict import verdict, warning
from demo.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from demo.environment import Environment
    from demo.recording import Recording

EXPECTED = (DemoError, CommandError, LocalError, OSError)
"""Errors of the environment, not of this program: their message is enough, without a traceback."""
FOLDER = Path(".run/demo")
SECONDS = 80.0
"""Default length of the sale."""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--host", help="host name of order (default: that of its route)")
    parser.add_argument(
        "--gateway",
        default=os.environ.get("GATEWAY"),
        metavar="URL",
        help="address of the ingress, if the route's host name does not resolve to it"
        " (default: the variable GATEWAY)",
    )
    parser.add_argument(
        "--buyers",
        type=int,
        help="peak load in buyers per second (default: 350; 150 without a cluster)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="length of the sale; the first half sells one product (default: 80)",
    )
    parser.add_argument(
        "--mix",
        type=float,
        default=0.2,
        help="share of the second half's buyers who still order the hot product"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the arrival times (default: %(default)s)"
    )
    parser.add_argument(
        "--classroom",
        action="store_true",
        help="explain each phase and wait for Enter; a third of the buyers, three times as long",
    )
    parser.add_argument(
        "--pause",
        type=float,
        metavar="SECONDS",
        help="with --classroom: wait so long before each phase, instead of for Enter",
    )
    parser.add_argument("--local", action="store_true", help="use processes of this machine")
    parser.add_argument(
        "--events",
        action="store_true",
        help="without a cluster: also start a receiver of events; on one: make deploy-events",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help=f"folder of the report (default: {FOLDER}/TIME)"
    )
    options = parser.parse_args(arguments)
    if options.pause is not None and not options.classroom:
        parser.error("--pause needs --classroom")
    if options.pause is not None and options.pause < 0:
        parser.error("--pause must not be negative")
    if options.classroom and options.pause is None and not sys.stdin.isatty():
        parser.error("--classroom waits for Enter, but there is no terminal: add --pause SECONDS")
    if options.seconds is None:
        options.seconds = lesson.SECONDS if options.classroom else SECONDS
    return options


def _buyers(options: argparse.Namespace, environment: Environment) -> int:
    if options.buyers is not None:
        return int(options.buyers)
    return environment.buyers // (lesson.SHARE_OF_BUYERS if options.classroom else 1)


def _guide(options: argparse.Namespace, console: Console) -> Guide:
    if not options.classroom:
        return Guide()
    if options.pause is None:
        return Lesson(console, lesson.after_enter(console))
    return Lesson(console, lesson.after_seconds(options.pause))


def _environment(options: argparse.Namespace, folder: Path, console: Console) -> Environment:
    """The cluster if the shop is deployed there; local processes otherwise or with --local."""
    if not options.local:
        try:
            environment = Knative(options.host, options.gateway)
        except DemoError as error:
            if options.host or options.gateway:
                raise
            console.print(f"Using processes of this machine: {error}.", markup=False)
        else:
            console.print(context.describe(), markup=False, highlight=False, soft_wrap=True)
            return environment
    return Processes(folder, events=options.events)


async def _run(
    environment: Environment, plan: Plan, recording: Recording, console: Console, guide: Guide
) -> None:
    """Run the scenario and its recount. An early end is recorded with its reason."""
    main = asyncio.ensure_future(_play_and_recount(environment, plan, recording, console, guide))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, main.cancel)
    try:
        await main
    except asyncio.CancelledError:
        recording.ended_early = "ended by hand"
    except EXPECTED as error:
        recording.ended_early = str(error)
    except BaseExceptionGroup as group:
        expected, others = group.split(EXPECTED)
        if expected is None or others is not None:
            raise
        recording.ended_early = "; ".join(map(str, _leaves(expected)))


async def _play_and_recount(
    environment: Environment, plan: Plan, recording: Recording, console: Console, guide: Guide
) -> None:
    before = await asyncio.to_thread(environment.firestore_usage)
    await scenario.play(environment, plan, recording, View(console, recording), guide)
    after = await asyncio.to_thread(environment.firestore_usage)
    if before is not None and after is not None:
        recording.spent = after.since(before)
    await guide.before(phases.RECOUNT)
    console.print("Counting orders and pods again from a second source, and auditing the database")
    recording.checks = await scenario.recount(environment, plan, recording)


def _retire_products(environment: Environment, plan: Plan, console: Console) -> None:
    console.print("Taking the products off sale")
    try:
        environment.retire_products(plan)
    except EXPECTED as error:
        console.print(f"The products are still on sale: {error}", markup=False)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console()
    began = datetime.now().astimezone()
    folder: Path = options.out or FOLDER / f"{began:%Y-%m-%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        environment = _environment(options, folder, console)
        buyers = _buyers(options, environment)
        plan = Plan(uuid.uuid4().hex[:6], buyers, options.seconds, options.mix, options.seed)
        with ExitStack() as ends:
            ends.enter_context(environment)
            console.print(f"Adding {1 + len(plan.others)} products at {environment.address}")
            ends.callback(_retire_products, environment, plan, console)
            environment.add_products(plan)
            recording = new_recording(environment, plan)
            asyncio.run(_run(environment, plan, recording, console, _guide(options, console)))
            written = report.write(recording, folder)
    except (PlanError, *EXPECTED) as error:
        console.print(f"{error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Ended before the sale began; there is no report.")
        return 130
    print_result(recording, written, console)
    if recording.ended_early:
        return 1
    return 0 if report.agrees(recording) else 2


def print_result(recording: Recording, written: Sequence[Path], console: Console) -> None:
    """The paths of the files; a warning, if there is one; the verdict as the last line."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for path in written[1:]:
        say(f"  {path}")
    if (warned := warning(recording)) is not None:
        say(warned)
    say(f"{verdict(recording)}; open {written[0].resolve().as_uri()}")


if __name__ == "__main__":
    sys.exit(main())
