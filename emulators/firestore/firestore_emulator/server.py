"""Run the emulator: gRPC and plain HTTP on one port."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus

from firestore_emulator.addresses import format_address
from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.dispatch.interceptor import CallInterceptor
from firestore_emulator.grpc_api.api import GrpcApi, is_grpc
from firestore_emulator.http2.connection import Accept
from firestore_emulator.http2.requests import Head
from firestore_emulator.http2.server import Http2Server
from firestore_emulator.http2.streams import Receiver, Stream
from firestore_emulator.http_api import http1
from firestore_emulator.http_api.admin import Admin
from firestore_emulator.http_api.app import HttpApp
from firestore_emulator.http_api.http2 import HttpRequests
from firestore_emulator.http_api.messages import Request, Response, text
from firestore_emulator.http_api.origins import Origins
from firestore_emulator.http_api.rest.api import RestApi
from firestore_emulator.listening_sockets import open_sockets
from firestore_emulator.multiplexer import Multiplexer
from firestore_emulator.service.service import Service

if sys.platform != "win32":
    import resource

_SECONDS_TO_END = 0.5  # for the calls that run at shutdown; a listener would never end


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
    dispatcher = Dispatcher(service, interceptors)
    admin = Admin(service, stop.set, Origins([host, *allowed_hosts]))
    app = HttpApp(RestApi(dispatcher), admin)
    http2 = Http2Server(_accept_requests(GrpcApi(dispatcher), app))
    serve_http = partial(http1.serve_connection, app.handle)
    sockets = open_sockets(host, port)
    listeners = [
        await loop.create_server(lambda: Multiplexer(http2.connect, serve_http), sock=each)
        for each in sockets
    ]
    ready(format_address(*sockets[0].getsockname()[:2]))
    await stop.wait()
    for each in listeners:
        each.close()
    await http2.shut_down(_SECONDS_TO_END)


def _accept_requests(grpc: GrpcApi, app: HttpApp) -> Accept:
    """The content type of an HTTP/2 request decides whether it is gRPC or for the app."""
    plain, not_grpc = HttpRequests(app.handle), HttpRequests(_unsupported_media_type)

    def accept(stream: Stream, head: Head) -> Receiver:
        if is_grpc(head):
            return grpc.accept(stream, head)
        return (not_grpc if grpc.serves(head.path) else plain).accept(stream, head)

    return accept


async def _unsupported_media_type(_: Request) -> Response:
    return text(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "This is a method of gRPC: use application/grpc."
    )


def _raise_file_limit() -> None:
    """Each client needs a file descriptor; the usual soft limit is 1,024 or 256."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):  # macOS reports a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
