"""A run for a class: an explanation before each phase, a pause, and the phase's result.

docs/classroom.md has the same phases, with questions and answers, for the teacher.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from rich.panel import Panel

from demo import phases
from demo.report import figures
from demo.report.durations import duration, latency

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from rich.console import Console

    from demo.recording import Phase, Recording

    Proceed = Callable[[], Coroutine[Any, Any, None]]
    """Returns when the class is ready for the next phase."""

SECONDS = 240.0
"""Default length of the sale: three times as long as without a class."""
SHARE_OF_BUYERS = 3
"""The default peak of the load is divided by this, so that its growth can be followed."""

EXPLANATIONS = {
    phases.WAIT_FOR_ZERO: """\
No customer orders. Knative removes a function's pods after 30 seconds without a request, and a
pod gets time to end. Two functions without pods use no processor and no memory.

Watch: the pods of order and inventory go to zero.""",
    phases.COLD_START: """\
One customer orders one unit. There is no pod. Knative keeps the request, and starts a pod of
order. order wakes inventory as its first action, so both start at the same time.

Watch: how long does this customer wait? Which part takes longest? The report shows it.""",
    phases.FIRST_ORDER: """\
One customer orders one unit. Both processes run already, so this order waits for no start.

Watch: how long does this customer wait?""",
    phases.HOT_PRODUCT: """\
All customers want the same product, and more customers come every second. There are fewer units
than customers.

Watch: the stock falls to 0, and never below. Later customers get 409: not enough in stock.
On Knative the autoscaler counts the requests in flight, and starts pods.""",
    phases.MANY_PRODUCTS: """\
The same number of customers comes again. Most of them want nine other products. Some still want
the one that is sold out.

Watch: are orders faster or slower than in the phase before, and why?""",
    phases.SCALE_DOWN: """\
No customer orders any more. The autoscaler looks at the last 30 seconds, then removes the pods.

Watch: which function is at zero first? All data stays, because no pod keeps any.""",
    phases.RECOUNT: """\
The demo counts again, from other sources: orders from the database, stock from inventory, pods
from the scheduler's events. The audit then checks every invariant of the database.

Watch: do both counts agree? Was a unit sold twice?""",
}


class Guide:
    """Says nothing and waits for nothing: a run without a class."""

    async def before(self, phase: str) -> None:
        """Called before each phase."""

    def after(self, recording: Recording, phase: Phase) -> None:
        """Called when a phase has ended."""


class Lesson(Guide):
    def __init__(self, console: Console, proceed: Proceed) -> None:
        self._console = console
        self._proceed = proceed

    async def before(self, phase: str) -> None:
        paragraphs = (" ".join(each.split()) for each in EXPLANATIONS[phase].split("\n\n"))
        text = "\n\n".join(paragraphs)
        self._console.print(Panel(text, title=f"Next: {phase}", padding=(0, 2), width=78))
        await self._proceed()

    def after(self, recording: Recording, phase: Phase) -> None:
        self._console.print(result(recording, phase), highlight=False, soft_wrap=True)


def result(recording: Recording, phase: Phase) -> str:
    """The orders of the phase in one line."""
    arrived = figures.arrived_in(recording, phase)
    outcomes, waited = figures.Outcomes.of(arrived), figures.latency(arrived)
    parts = [f"{phase.name} took {duration(recording.end_of(phase) - phase.began)}"]
    if waited is not None:
        parts.append(f"{outcomes.confirmed:,} confirmed, {outcomes.refused:,} refused")
        parts += [f"{outcomes.failed:,} failed"] if outcomes.failed else []
        parts.append(
            f"p50 {latency(waited.p50)}, p99 {latency(waited.p99)}"
            if waited.count > 1
            else f"the customer waited {latency(waited.longest)}"
        )
    return "Result: " + "; ".join(parts)


def after_enter(console: Console) -> Proceed:
    """Proceed when the teacher presses Enter."""

    async def proceed() -> None:
        console.print("Press Enter to continue.")
        loop = asyncio.get_running_loop()
        pressed = asyncio.Event()
        loop.add_reader(sys.stdin, pressed.set)
        try:
            await pressed.wait()
        finally:
            loop.remove_reader(sys.stdin)
        sys.stdin.readline()

    return proceed


def after_seconds(seconds: float) -> Proceed:
    """Proceed after a fixed time."""

    async def proceed() -> None:
        await asyncio.sleep(seconds)

    return proceed
