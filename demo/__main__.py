"""`make demo`: on the cluster of the current kubeconfig; on processes where there is none."""

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

from deployment.cluster import CommandError
from local.processes import LocalError
from rich.console import Console

from demo import report, show
from demo.knative import Knative
from demo.plan import Plan, PlanError
from demo.processes import Processes
from demo.recording import Recording
from demo.stage import DemoError
from demo.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from demo.stage import Stage

EXPECTED = (DemoError, CommandError, LocalError, OSError)
"""What may go wrong without anybody's mistake: its text is enough."""
FOLDER = Path(".run/demo")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--host", help="order's host name; as the route says where not given")
    parser.add_argument(
        "--gateway",
        default=os.environ.get("GATEWAY"),
        metavar="URL",
        help="the ingress, where the route's own address does not lead there (GATEWAY)",
    )
    parser.add_argument(
        "--buyers",
        type=int,
        help="who come in a second, at the most (default: 350; 150 without a cluster)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=80,
        help="how long the sale is, half of it for one product (default: %(default)s)",
    )
    parser.add_argument(
        "--mix",
        type=float,
        default=0.2,
        help="the share of the second half's buyers who still want the hot product"
        " (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="who comes when (default: %(default)s)")
    parser.add_argument("--local", action="store_true", help="on processes of this machine")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help=f"for the report (default: {FOLDER}/TIME)"
    )
    return parser.parse_args(arguments)


def _stage(options: argparse.Namespace, folder: Path, console: Console) -> Stage:
    """The cluster where there is one with the shop, unless told otherwise."""
    if not options.local:
        try:
            return Knative(options.host, options.gateway)
        except DemoError as error:
            if options.host or options.gateway:
                raise
            console.print(f"On processes of this machine, for there is {error}.", markup=False)
    return Processes(folder)


async def _play(stage: Stage, plan: Plan, recording: Recording, console: Console) -> None:
    """The show and its second count. However it ends: what was seen is kept, and why it ended."""
    main = asyncio.ensure_future(_show_and_check(stage, plan, recording, console))
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


async def _show_and_check(stage: Stage, plan: Plan, recording: Recording, console: Console) -> None:
    before = await asyncio.to_thread(stage.spent)
    await show.show(stage, plan, recording, View(console, recording))
    after = await asyncio.to_thread(stage.spent)
    if before is not None and after is not None:
        recording.spent = after.since(before)
    console.print("Counting again: orders in the store, pods by the scheduler's events, the audit")
    recording.checks = await show.check(stage, plan, recording)


def _retire(stage: Stage, plan: Plan, console: Console) -> None:
    console.print("Taking the products off sale")
    try:
        stage.retire(plan)
    except EXPECTED as error:
        console.print(f"That failed: {error}", markup=False)


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
        stage = _stage(options, folder, console)
        buyers = stage.buyers if options.buyers is None else options.buyers
        plan = Plan(uuid.uuid4().hex[:6], buyers, options.seconds, options.mix, options.seed)
        with ExitStack() as until:
            until.enter_context(stage)
            console.print(f"Entering {1 + len(plan.others)} products at {stage.address}")
            until.callback(_retire, stage, plan, console)
            stage.offer(plan)
            recording = Recording.begin(stage, plan)
            asyncio.run(_play(stage, plan, recording, console))
            written = report.write(recording, folder)
    except (PlanError, *EXPECTED) as error:
        console.print(f"{error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Ended before anything was to be seen.")
        return 130
    for path in written:
        console.print(f"  {path}")
    if recording.ended_early:
        console.print(f"Not all of it was shown: {recording.ended_early}", markup=False)
        return 1
    return 0 if report.agrees(recording) else 2


if __name__ == "__main__":
    sys.exit(main())
