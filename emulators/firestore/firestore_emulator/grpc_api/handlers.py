"""The gRPC handlers: parse a request, call the service's method, map errors to a status.

Requests are parsed here, because grpc would fail a malformed one with UNKNOWN.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from inspect import isawaitable
from typing import NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from firestore_emulator.grpc_api.status import code_of
from firestore_emulator.model import messages
from firestore_emulator.model.errors import EmulatorError, InvalidArgumentError, UnimplementedError
from firestore_emulator.service.service import Service
from firestore_emulator.service.usage import Usages

SERVICE = "google.firestore.v1.Firestore"
EMULATOR_SERVICE = "google.firestore.emulator.v1.FirestoreEmulator"

Request = TypeVar("Request", bound=Message)
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

MAX_REQUEST_BYTES = 10 * 1024 * 1024

# The wire has up to 3 bytes for each. Beyond 8 kB clients see RESOURCE_EXHAUSTED instead.
_MAX_DETAILS_BYTES = 2000


class RpcHandlers(grpc.GenericRpcHandler):
    """Finds the handler of a method. An unimplemented method gets one that fails."""

    def __init__(self, service: Service) -> None:
        self._handlers = {
            f"/{SERVICE}/{name}": handler for name, handler in _handlers(service).items()
        }
        self._handlers[f"/{EMULATOR_SERVICE}/ClearData"] = _unary(
            service.usage, messages.ClearDataRequest, service.clear_data
        )

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        method = handler_call_details.method
        return self._handlers.get(method) or _unimplemented(method.rpartition("/")[2])


def _handlers(service: Service) -> dict[str, Handler]:
    unary = partial(_unary, service.usage)
    server_stream = partial(_server_stream, service.usage)
    bidirectional = partial(_bidirectional, service.usage)
    return {
        "GetDocument": unary(messages.GetDocumentRequest, service.get_document),
        "ListDocuments": unary(messages.ListDocumentsRequest, service.list_documents),
        "CreateDocument": unary(messages.CreateDocumentRequest, service.create_document),
        "UpdateDocument": unary(messages.UpdateDocumentRequest, service.update_document),
        "DeleteDocument": unary(messages.DeleteDocumentRequest, service.delete_document),
        "BatchGetDocuments": server_stream(
            messages.BatchGetDocumentsRequest, service.batch_get_documents
        ),
        "BeginTransaction": unary(messages.BeginTransactionRequest, service.begin_transaction),
        "Rollback": unary(messages.RollbackRequest, service.rollback),
        "Commit": unary(messages.CommitRequest, service.commit),
        "BatchWrite": unary(messages.BatchWriteRequest, service.batch_write),
        "RunQuery": server_stream(messages.RunQueryRequest, service.run_query),
        "RunAggregationQuery": server_stream(
            messages.RunAggregationQueryRequest, service.run_aggregation_query
        ),
        "PartitionQuery": unary(messages.PartitionQueryRequest, service.partition_query),
        "ListCollectionIds": unary(messages.ListCollectionIdsRequest, service.list_collection_ids),
        "Listen": bidirectional(messages.ListenRequest, service.listen),
        "Write": bidirectional(messages.WriteRequest, service.write),
    }


def _unary(
    usage: Usages,
    kind: type[Request],
    method: Callable[[Request], Message | Awaitable[Message]],
) -> Handler:
    async def call(data: bytes, context: Context) -> bytes:
        try:
            response = method(_parsed(usage, kind, data))
            if isawaitable(response):
                response = await response
            return response.SerializeToString()
        except EmulatorError as error:
            await _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(call)


def _server_stream(
    usage: Usages,
    kind: type[Request],
    method: Callable[[Request], Iterable[Message] | Awaitable[Iterable[Message]]],
) -> Handler:
    """The method returns all responses before the first is sent, so they are one snapshot."""

    async def call(data: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            responses = method(_parsed(usage, kind, data))
            if isawaitable(responses):
                responses = await responses
        except EmulatorError as error:
            await _abort(context, error)
        for response in responses:
            yield response.SerializeToString()

    return grpc.unary_stream_rpc_method_handler(call)


def _bidirectional(
    usage: Usages,
    kind: type[Request],
    method: Callable[
        [AsyncIterator[Request], Callable[[Message], Awaitable[None]]], Awaitable[None]
    ],
) -> Handler:
    """A stream in both directions. grpc cancels it when the client disconnects."""

    async def call(stream: AsyncIterator[bytes], context: Context) -> None:
        try:
            requests = (_parsed(usage, kind, data) async for data in stream)
            await method(requests, lambda response: context.write(response.SerializeToString()))
        except EmulatorError as error:
            await _abort(context, error)

    return grpc.stream_stream_rpc_method_handler(call)


def _unimplemented(name: str) -> Handler:
    """A bidirectional handler: it fits every kind of method."""

    async def call(_: AsyncIterator[bytes], context: Context) -> None:
        await _abort(context, UnimplementedError(name))

    return grpc.stream_stream_rpc_method_handler(call)


async def _abort(context: Context, error: EmulatorError) -> NoReturn:
    details = str(error).encode()[:_MAX_DETAILS_BYTES].decode(errors="ignore")
    await context.abort(code_of(error), details)


def _parsed(usage: Usages, kind: type[Request], data: bytes) -> Request:
    if len(data) > MAX_REQUEST_BYTES:
        raise InvalidArgumentError(
            f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes."
        )
    try:
        request = kind.FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(
            f"The request is not a valid {kind.DESCRIPTOR.name} message."
        ) from error
    usage.add_call(request)
    return request
