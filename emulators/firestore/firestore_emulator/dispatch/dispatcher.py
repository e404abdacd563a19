"""Run the methods of google.firestore.v1.Firestore and ClearData, for gRPC and REST alike.

A transport passes a function that parses the request, so a malformed request is a call as well: the
interceptors see it, and its error.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from inspect import isawaitable
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

from google.protobuf.message import DecodeError, Message

from firestore_emulator.dispatch.interceptor import Call, CallInterceptor
from firestore_emulator.model import messages
from firestore_emulator.model.errors import InvalidArgumentError, UnimplementedError
from firestore_emulator.service.service import Service

Request = TypeVar("Request", bound=Message)

# Creates the request, of the class that is given.
Parse: TypeAlias = Callable[[type[Message]], Message]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_REQUEST_BYTES = 10 * 1024 * 1024
EMULATOR_METHODS = frozenset({"ClearData"})  # of google.firestore.emulator.v1.FirestoreEmulator


class _Unary(NamedTuple):
    request_type: type[Message]
    run: Callable[[Any], Message | Awaitable[Message]]


class _ServerStream(NamedTuple):
    """The method returns all responses before the first is sent, so they are one snapshot."""

    request_type: type[Message]
    run: Callable[[Any], Iterable[Message] | Awaitable[Iterable[Message]]]


class _Bidirectional(NamedTuple):
    request_type: type[Message]
    run: Callable[[AsyncIterator[Any], Send], Awaitable[None]]


class Dispatcher:
    """The first call interceptor is the outermost."""

    def __init__(self, service: Service, interceptors: Sequence[CallInterceptor] = ()) -> None:
        self._usage = service.usage
        self._interceptors = interceptors
        self._unary = _unary(service)
        self._server_streams = _server_streams(service)
        self._bidirectional = _bidirectional(service)

    @property
    def unary_methods(self) -> Iterable[str]:
        return self._unary.keys()

    @property
    def server_stream_methods(self) -> Iterable[str]:
        return self._server_streams.keys()

    @property
    def bidirectional_methods(self) -> Iterable[str]:
        return self._bidirectional.keys()

    async def call(self, name: str, parse: Parse) -> Message:
        """Raises EmulatorError."""
        method = self._unary[name]
        call = Call(name)
        async with self._intercepted(call):
            response = method.run(self._parsed(call, parse, method.request_type))
            if isawaitable(response):
                response = await response
        return response

    async def call_for_stream(self, name: str, parse: Parse, send: Send) -> None:
        """Sends every response. Raises EmulatorError."""
        method = self._server_streams[name]
        call = Call(name)
        async with self._intercepted(call):
            responses = method.run(self._parsed(call, parse, method.request_type))
            if isawaitable(responses):
                responses = await responses
            for response in responses:
                await send(response)

    async def stream(self, name: str, requests: AsyncIterator[bytes], send: Send) -> None:
        """Serves a stream in both directions. Raises EmulatorError."""
        method = self._bidirectional[name]

        def parsed(data: bytes) -> Message:
            request = from_wire(data, method.request_type)
            self._accept(request)
            return request

        async with self._intercepted(Call(name)):
            await method.run((parsed(data) async for data in requests), send)

    async def reject(self, name: str) -> NoReturn:
        """A call of an unimplemented method. Raises EmulatorError."""
        async with self._intercepted(Call(name)):
            raise UnimplementedError(name)
        raise AssertionError("an interceptor passes on the error")

    def _intercepted(self, call: Call) -> AbstractAsyncContextManager[None]:
        if not self._interceptors:
            return nullcontext()
        return _all_entered(self._interceptors, call)

    def _parsed(self, call: Call, parse: Parse, kind: type[Message]) -> Message:
        call.request = parse(kind)
        self._accept(call.request)
        return call.request

    def _accept(self, request: Message) -> None:
        self._usage.add_call(request)


@asynccontextmanager
async def _all_entered(interceptors: Sequence[CallInterceptor], call: Call) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for intercept in interceptors:
            await stack.enter_async_context(intercept(call))
        yield


def from_wire(data: bytes, kind: type[Request]) -> Request:
    """Raises InvalidArgumentError if the data is no such message, or too long."""
    if len(data) > MAX_REQUEST_BYTES:
        raise request_too_large()
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(
            f"The request is not a valid {kind.DESCRIPTOR.name} message."
        ) from error


def request_too_large() -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes."
    )


def _unary(service: Service) -> dict[str, _Unary]:
    return {
        "GetDocument": _Unary(messages.GetDocumentRequest, service.get_document),
        "ListDocuments": _Unary(messages.ListDocumentsRequest, service.list_documents),
        "CreateDocument": _Unary(messages.CreateDocumentRequest, service.create_document),
        "UpdateDocument": _Unary(messages.UpdateDocumentRequest, service.update_document),
        "DeleteDocument": _Unary(messages.DeleteDocumentRequest, service.delete_document),
        "BeginTransaction": _Unary(messages.BeginTransactionRequest, service.begin_transaction),
        "Rollback": _Unary(messages.RollbackRequest, service.rollback),
        "Commit": _Unary(messages.CommitRequest, service.commit),
        "BatchWrite": _Unary(messages.BatchWriteRequest, service.batch_write),
        "PartitionQuery": _Unary(messages.PartitionQueryRequest, service.partition_query),
        "ListCollectionIds": _Unary(messages.ListCollectionIdsRequest, service.list_collection_ids),
        "ClearData": _Unary(messages.ClearDataRequest, service.clear_data),
    }


def _server_streams(service: Service) -> dict[str, _ServerStream]:
    return {
        "BatchGetDocuments": _ServerStream(
            messages.BatchGetDocumentsRequest, service.batch_get_documents
        ),
        "RunQuery": _ServerStream(messages.RunQueryRequest, service.run_query),
        "RunAggregationQuery": _ServerStream(
            messages.RunAggregationQueryRequest, service.run_aggregation_query
        ),
    }


def _bidirectional(service: Service) -> dict[str, _Bidirectional]:
    return {
        "Listen": _Bidirectional(messages.ListenRequest, service.listen),
        "Write": _Bidirectional(messages.WriteRequest, service.write),
    }
