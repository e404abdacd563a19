"""The gRPC handlers: pass each call to the dispatcher, and map its error to a status."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message

from firestore_emulator.dispatch.dispatcher import EMULATOR_METHODS, Dispatcher, Send, from_wire
from firestore_emulator.grpc_api.status import code_of
from firestore_emulator.model.errors import EmulatorError

SERVICE = "google.firestore.v1.Firestore"
EMULATOR_SERVICE = "google.firestore.emulator.v1.FirestoreEmulator"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

# The wire has up to 3 bytes for each. Beyond 8 kB clients see RESOURCE_EXHAUSTED instead.
_MAX_DETAILS_BYTES = 2000


class RpcHandlers(grpc.GenericRpcHandler):
    """Finds the handler of a method. An unimplemented method gets one that fails."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        makers: list[tuple[Callable[[Dispatcher, str], Handler], list[str]]] = [
            (_unary, list(dispatcher.unary_methods)),
            (_server_stream, list(dispatcher.server_stream_methods)),
            (_bidirectional, list(dispatcher.bidirectional_methods)),
        ]
        self._handlers = {
            f"/{_service_of(name)}/{name}": make(dispatcher, name)
            for make, names in makers
            for name in names
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        method = handler_call_details.method
        return self._handlers.get(method) or _unimplemented(
            self._dispatcher, method.rpartition("/")[2]
        )


def _service_of(name: str) -> str:
    return EMULATOR_SERVICE if name in EMULATOR_METHODS else SERVICE


def _unary(dispatcher: Dispatcher, name: str) -> Handler:
    async def call(data: bytes, context: Context) -> bytes:
        try:
            response = await dispatcher.call(name, partial(from_wire, data))
            return response.SerializeToString()
        except EmulatorError as error:
            await _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(call)


def _server_stream(dispatcher: Dispatcher, name: str) -> Handler:
    async def call(data: bytes, context: Context) -> None:
        try:
            await dispatcher.call_for_stream(name, partial(from_wire, data), _sender(context))
        except EmulatorError as error:
            await _abort(context, error)

    return grpc.unary_stream_rpc_method_handler(call)


def _bidirectional(dispatcher: Dispatcher, name: str) -> Handler:
    """A stream in both directions. grpc cancels it when the client disconnects."""

    async def call(stream: AsyncIterator[bytes], context: Context) -> None:
        try:
            await dispatcher.stream(name, stream, _sender(context))
        except EmulatorError as error:
            await _abort(context, error)

    return grpc.stream_stream_rpc_method_handler(call)


def _unimplemented(dispatcher: Dispatcher, name: str) -> Handler:
    """A bidirectional handler: it fits every kind of method."""

    async def call(_: AsyncIterator[bytes], context: Context) -> None:
        try:
            await dispatcher.reject(name)
        except EmulatorError as error:
            await _abort(context, error)

    return grpc.stream_stream_rpc_method_handler(call)


def _sender(context: Context) -> Send:
    def send(response: Message) -> Awaitable[None]:
        return context.write(response.SerializeToString())

    return send


async def _abort(context: Context, error: EmulatorError) -> NoReturn:
    details = str(error).encode()[:_MAX_DETAILS_BYTES].decode(errors="ignore")
    await context.abort(code_of(error), details)
