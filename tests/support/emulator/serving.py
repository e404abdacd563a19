"""The embedded emulator's gRPC server in this process, for tests that inspect its state."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

import grpc

from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.grpc_api.handlers import RpcHandlers
from firestore_emulator.service.service import Service


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Its address."""
    bound: Future[tuple[str, asyncio.AbstractEventLoop]] = Future()
    ended = asyncio.Event()

    async def serve() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((RpcHandlers(Dispatcher(service)),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        bound.set_result((f"127.0.0.1:{port}", asyncio.get_running_loop()))
        await ended.wait()
        await server.stop(grace=None)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    address, loop = bound.result(timeout=30)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
