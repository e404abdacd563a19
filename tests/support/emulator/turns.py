"""What other requests see while a long step of the emulator takes turns with them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


async def beside(
    task: Awaitable[Result], meanwhile: Callable[[], object]
) -> tuple[Result, list[object]]:
    """The result of the task, and what the function returned in each turn of the event loop."""
    running, found = asyncio.ensure_future(task), []
    while not running.done():
        found.append(meanwhile())
        await asyncio.sleep(0)
    return running.result(), found
