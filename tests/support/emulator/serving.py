"""The embedded emulator's gRPC server in this process, for tests that inspect its state."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Thread

from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.grpc_api.api import GrpcApi
from firestore_emulator.http2.server import Http2Server
from firestore_emulator.service.service import Service


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Its address."""
    bound: Future[tuple[str, asyncio.AbstractEventLoop]] = Future()
    ended = asyncio.Event()

    async def serve() -> None:
        async with serving_in_loop(service) as address:
            bound.set_result((address, asyncio.get_running_loop()))
            await ended.wait()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    address, loop = bound.result(timeout=30)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


@asynccontextmanager
async def serving_in_loop(service: Service) -> AsyncIterator[str]:
    """Its address. The event loop that runs serves it."""
    http2 = Http2Server(GrpcApi(Dispatcher(service)).accept)
    listener = await asyncio.get_running_loop().create_server(http2.connect, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        listener.close()
        await http2.shut_down(seconds=0.5)
