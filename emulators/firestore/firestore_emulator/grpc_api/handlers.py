"""From bytes on a gRPC stream to a method of the service and back.

Requests are parsed here and not by grpc, which would answer a malformed one with UNKNOWN.
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

Request = TypeVar("Request", bound=Message)
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

_MAX_DETAILS_BYTES = 2000  # beyond 8 kB on the wire (up to 3 for one), it is RESOURCE_EXHAUSTED
_NOT_THERE_YET = frozenset({"explain_options"})


class RpcHandlers(grpc.GenericRpcHandler):
    """Finds the handler of a method, for those that are not there yet as well."""

    def __init__(self, service: Service) -> None:
        self._handlers = {
            f"/{SERVICE}/{name}": handler for name, handler in _handlers(service).items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        method = handler_call_details.method
        return self._handlers.get(method) or _absent(method.rpartition("/")[2])


def _handlers(service: Service) -> dict[str, Handler]:
    unary = partial(_unary, service.usage)
    streamed = partial(_streamed, service.usage)
    conversation = partial(_conversation, service.usage)
    return {
        "GetDocument": unary(messages.GetDocumentRequest, service.get_document),
        "ListDocuments": unary(messages.ListDocumentsRequest, service.list_documents),
        "CreateDocument": unary(messages.CreateDocumentRequest, service.create_document),
        "UpdateDocument": unary(messages.UpdateDocumentRequest, service.update_document),
        "DeleteDocument": unary(messages.DeleteDocumentRequest, service.delete_document),
        "BatchGetDocuments": streamed(
            messages.BatchGetDocumentsRequest, service.batch_get_documents
        ),
        "BeginTransaction": unary(messages.BeginTransactionRequest, service.begin_transaction),
        "Rollback": unary(messages.RollbackRequest, service.rollback),
        "Commit": unary(messages.CommitRequest, service.commit),
        "BatchWrite": unary(messages.BatchWriteRequest, service.batch_write),
        "RunQuery": streamed(messages.RunQueryRequest, service.run_query),
        "RunAggregationQuery": streamed(
            messages.RunAggregationQueryRequest, service.run_aggregation_query
        ),
        "PartitionQuery": unary(messages.PartitionQueryRequest, service.partition_query),
        "ListCollectionIds": unary(messages.ListCollectionIdsRequest, service.list_collection_ids),
        "Listen": conversation(messages.ListenRequest, service.listen),
        "Write": conversation(messages.WriteRequest, service.write),
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
            await _refuse(context, error)

    return grpc.unary_unary_rpc_method_handler(call)


def _streamed(
    usage: Usages,
    kind: type[Request],
    method: Callable[[Request], Iterable[Message] | Awaitable[Iterable[Message]]],
) -> Handler:
    """The method's responses are complete before the first is sent: of one moment."""

    async def call(data: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            responses = method(_parsed(usage, kind, data))
            if isawaitable(responses):
                responses = await responses
        except EmulatorError as error:
            await _refuse(context, error)
        for response in responses:
            yield response.SerializeToString()

    return grpc.unary_stream_rpc_method_handler(call)


def _conversation(
    usage: Usages,
    kind: type[Request],
    method: Callable[
        [AsyncIterator[Request], Callable[[Message], Awaitable[None]]], Awaitable[None]
    ],
) -> Handler:
    """Streams both ways. It is cancelled when the client goes away."""

    async def call(stream: AsyncIterator[bytes], context: Context) -> None:
        try:
            requests = (_parsed(usage, kind, data) async for data in stream)
            await method(requests, lambda response: context.write(response.SerializeToString()))
        except EmulatorError as error:
            await _refuse(context, error)

    return grpc.stream_stream_rpc_method_handler(call)


def _absent(name: str) -> Handler:
    """Of streams both ways, which fits every kind of method."""

    async def call(_: AsyncIterator[bytes], context: Context) -> None:
        await _refuse(context, UnimplementedError(name))

    return grpc.stream_stream_rpc_method_handler(call)


async def _refuse(context: Context, error: EmulatorError) -> NoReturn:
    details = str(error).encode()[:_MAX_DETAILS_BYTES].decode(errors="ignore")
    await context.abort(code_of(error), details)


def _parsed(usage: Usages, kind: type[Request], data: bytes) -> Request:
    try:
        request = kind.FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(f"The request is no {kind.DESCRIPTOR.name}.") from error
    for field, _ in request.ListFields():
        if field.name in _NOT_THERE_YET:
            raise UnimplementedError(f"{kind.DESCRIPTOR.name}.{field.name}")
    usage.called(request)
    return request
