"""Run the emulator: the gRPC server on a private socket, the multiplexer on the public port."""

import asyncio
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import grpc

from firestore_emulator.addresses import format_address
from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.dispatch.interceptor import CallInterceptor
from firestore_emulator.grpc_api.handlers import RpcHandlers
from firestore_emulator.http_api import http1
from firestore_emulator.http_api.admin import Admin
from firestore_emulator.http_api.app import HttpApp
from firestore_emulator.http_api.origins import Origins
from firestore_emulator.http_api.rest.api import RestApi
from firestore_emulator.listening_sockets import open_sockets
from firestore_emulator.multiplexer import Connect, Multiplexer
from firestore_emulator.service.service import Service

if sys.platform != "win32":
    import resource

MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # the service allows requests of 10 MiB
# By default gRPC closes the connection of a client that pings more often than every five minutes.
# Client libraries and users set keepalive intervals of 10 s or 30 s, so any interval is allowed.
_PING_OPTIONS = (
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    *_PING_OPTIONS,
)
_MAX_SOCKET_PATH = 100  # bytes; operating systems allow 104 or 108


async def serve(
    service: Service,
    host: str,
    port: int,
    ready: Callable[[str], None],
    interceptors: Sequence[CallInterceptor] = (),
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serves until SIGTERM, SIGINT or POST /shutdown. Calls ``ready`` with its address.

    The allowed hosts are further names of this emulator, for requests of browsers.
    The first call interceptor is the outermost. Raises OSError if it cannot listen on the port.
    """
    _raise_file_limit()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    with tempfile.TemporaryDirectory(prefix="firestore-emulator-") as directory:
        dispatcher = Dispatcher(service, interceptors)
        grpc_server = grpc.aio.server(options=_OPTIONS)
        grpc_server.add_generic_rpc_handlers((RpcHandlers(dispatcher),))
        connect = _bind(grpc_server, Path(directory) / "grpc.sock")
        admin = Admin(service, stop.set, Origins([host, *allowed_hosts]))
        app = HttpApp(RestApi(dispatcher), admin)
        serve_http = partial(http1.serve_connection, app.handle)
        sockets = open_sockets(host, port)
        address = format_address(*sockets[0].getsockname()[:2])
        public = [
            await loop.create_server(lambda: Multiplexer(connect, serve_http), sock=each)
            for each in sockets
        ]
        await grpc_server.start()
        ready(address)
        await stop.wait()
        for each in public:
            each.close()
        await grpc_server.stop(grace=None)


def _raise_file_limit() -> None:
    """Each client needs two file descriptors; the usual soft limit is 1,024 or 256."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):  # macOS reports a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _bind(server: grpc.aio.Server, path: Path) -> Connect:
    """Binds to a Unix domain socket, or to loopback if that is impossible here."""
    loop = asyncio.get_running_loop()
    if hasattr(socket, "AF_UNIX") and len(bytes(path)) <= _MAX_SOCKET_PATH:
        server.add_insecure_port(f"unix:{path}")
        return lambda factory: loop.create_unix_connection(factory, str(path))
    port = server.add_insecure_port("127.0.0.1:0")
    return lambda factory: loop.create_connection(factory, "127.0.0.1", port)
