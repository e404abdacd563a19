"""The running emulator: the gRPC server on a private socket, the front on the public port."""

import asyncio
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import grpc

from firestore_emulator.addresses import format_address
from firestore_emulator.grpc_api.handlers import RpcHandlers
from firestore_emulator.grpc_api.interceptor import Around, Interceptor
from firestore_emulator.http_api import http1
from firestore_emulator.http_api.admin import Admin
from firestore_emulator.multiplexer import Connect, Front
from firestore_emulator.service.service import Service

MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # a request of the service may have 10 MiB
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
)
_LONGEST_SOCKET_PATH = 100  # the systems allow 104 or 108 bytes


async def serve(
    service: Service,
    host: str,
    port: int,
    ready: Callable[[str], None],
    around: Sequence[Around] = (),
) -> None:
    """Serves until SIGTERM, SIGINT or POST /shutdown. A port that cannot be had raises OSError.

    Of what is around each call, the first is the outermost.
    """
    interceptors = [Interceptor(each) for each in around]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    with tempfile.TemporaryDirectory(prefix="firestore-emulator-") as directory:
        grpc_server = grpc.aio.server(options=_OPTIONS, interceptors=interceptors)
        grpc_server.add_generic_rpc_handlers((RpcHandlers(service),))
        connect = _bind(grpc_server, Path(directory) / "grpc.sock")
        converse = partial(http1.converse, Admin(service, stop.set).answer)
        front = await loop.create_server(lambda: Front(connect, converse), host, port)
        await grpc_server.start()
        ready(format_address(*front.sockets[0].getsockname()[:2]))
        await stop.wait()
        front.close()
        await grpc_server.stop(grace=None)


def _bind(server: grpc.aio.Server, path: Path) -> Connect:
    """To a unix domain socket, or to loopback where that cannot be."""
    loop = asyncio.get_running_loop()
    if hasattr(socket, "AF_UNIX") and len(bytes(path)) <= _LONGEST_SOCKET_PATH:
        server.add_insecure_port(f"unix:{path}")
        return lambda factory: loop.create_unix_connection(factory, str(path))
    port = server.add_insecure_port("127.0.0.1:0")
    return lambda factory: loop.create_connection(factory, "127.0.0.1", port)
