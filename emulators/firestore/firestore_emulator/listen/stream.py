"""Serve one Listen stream until the client ends it or disconnects.

A stream without changes sends a snapshot from time to time, so that the client's resume token stays
young enough for the history of the database.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from firestore_emulator.indexes.checks import CheckIndexes
from firestore_emulator.listen.listener import Listener
from firestore_emulator.model.messages import ListenRequest, ListenResponse
from firestore_emulator.model.steps import run_in_turns
from firestore_emulator.store.database import Databases

TOKEN_SECONDS = 60.0  # a history of an hour can resume a client that was away for 59 minutes


async def listen(
    databases: Databases,
    check_indexes: CheckIndexes,
    requests: AsyncIterator[ListenRequest],
    send: Callable[[ListenResponse], Awaitable[None]],
    token_seconds: float = TOKEN_SECONDS,
) -> None:
    """Reads requests and sends responses. While a send blocks, it does neither."""
    due = asyncio.Event()
    listener = Listener(databases, due.set, check_indexes)
    reading = _read(requests, due)
    try:
        while True:
            responses = []
            if not await _happens(due, token_seconds):
                responses = listener.refresh_tokens()
            due.clear()
            if reading.done():
                request = reading.result()
                if request is None:
                    return
                await run_in_turns(listener.prepare(request))
                responses = await run_in_turns(listener.handle(request), listener.share)
                reading = _read(requests, due)
            for response in responses + listener.changes():
                await send(response)
    finally:
        listener.close()
        reading.cancel()


async def _happens(due: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await due.wait()
    except TimeoutError:
        return False
    return True


def _read(
    requests: AsyncIterator[ListenRequest], due: asyncio.Event
) -> asyncio.Task[ListenRequest | None]:
    """The next request, or None at the end of the stream."""

    async def read() -> ListenRequest | None:
        return await anext(requests, None)

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: due.set())
    return reading
