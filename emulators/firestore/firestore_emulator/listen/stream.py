"""Serve one Listen stream until the client ends it or disconnects."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from firestore_emulator.indexes.checks import CheckIndexes
from firestore_emulator.listen.listener import Listener
from firestore_emulator.model.messages import ListenRequest, ListenResponse
from firestore_emulator.store.database import Databases


async def listen(
    databases: Databases,
    check_indexes: CheckIndexes,
    requests: AsyncIterator[ListenRequest],
    send: Callable[[ListenResponse], Awaitable[None]],
) -> None:
    """Reads requests and sends responses. While a send blocks, it does neither."""
    due = asyncio.Event()
    listener = Listener(databases, due.set, check_indexes)
    reading = _read(requests, due)
    try:
        while True:
            await due.wait()
            due.clear()
            responses = []
            if reading.done():
                request = reading.result()
                if request is None:
                    return
                responses = listener.handle(request)
                reading = _read(requests, due)
            for response in responses + listener.changes():
                await send(response)
    finally:
        listener.close()
        reading.cancel()


def _read(
    requests: AsyncIterator[ListenRequest], due: asyncio.Event
) -> asyncio.Task[ListenRequest | None]:
    """The next request, or None at the end of the stream."""

    async def read() -> ListenRequest | None:
        return await anext(requests, None)

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: due.set())
    return reading
