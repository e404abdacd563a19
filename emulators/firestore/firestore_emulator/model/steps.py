"""Long work in short steps, so that the server can serve other clients between them.

The work is a generator. It yields where a pause is possible, about every 100 microseconds, and
returns its result. It must read all that a later commit can change before its first pause.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")
Item = TypeVar("Item")

Steps: TypeAlias = Generator[None, None, Result]

ITEMS = 32  # between two yields, if an item takes a few microseconds
TURN_SECONDS = 0.001


def run_at_once(steps: Steps[Result]) -> Result:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result


async def run_in_turns(
    steps: Steps[Result],
    before_first_pause: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Result:
    """Lets other tasks run after every ``TURN_SECONDS`` of work."""
    has_paused = False
    end = clock() + TURN_SECONDS
    try:
        while True:
            try:
                next(steps)
            except StopIteration as done:
                result: Result = done.value
                return result
            if clock() >= end:
                if not has_paused:
                    before_first_pause()
                    has_paused = True
                await asyncio.sleep(0)
                end = clock() + TURN_SECONDS
    finally:
        steps.close()


def freed(items: list[Item]) -> Steps[None]:
    """Removes the items. It frees their memory if there are no other references."""
    while items:
        del items[-ITEMS:]
        yield
