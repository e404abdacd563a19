"""Run code before and after every call. The call log and the injected faults use this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeAlias, TypeVar, cast

import grpc

Request = TypeVar("Request")
Response = TypeVar("Response")
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Unary: TypeAlias = Callable[[bytes, Context], Awaitable[bytes]]
# Yields the responses, or writes them to the context.
Streamed: TypeAlias = Callable[
    [bytes | AsyncIterator[bytes], Context], AsyncIterator[bytes] | Awaitable[None]
]


class Call(NamedTuple):
    method: str
    request: bytes | None  # None if the client streams requests
    context: Context


CallInterceptor: TypeAlias = Callable[[Call], AbstractAsyncContextManager[None]]


class Interceptor(grpc.aio.ServerInterceptor):
    """Enters the call interceptor before a method runs, and leaves it when the method has ended.

    At that moment a single response is not sent yet, but the responses of a stream are.
    """

    def __init__(self, intercept: CallInterceptor) -> None:
        self._intercept = intercept

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        found = await continuation(handler_call_details)
        if found is None:
            return None
        method = handler_call_details.method.rpartition("/")[2]
        wrapped = self._wrapped(method, cast("grpc.RpcMethodHandler[bytes, bytes]", found))
        return cast("grpc.RpcMethodHandler[Request, Response]", wrapped)

    def _wrapped(
        self, method: str, handler: grpc.RpcMethodHandler[bytes, bytes]
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        if handler.request_streaming:
            streamed = cast("Streamed", handler.stream_stream)
            return grpc.stream_stream_rpc_method_handler(self._streamed(method, streamed))
        if handler.response_streaming:
            streamed = cast("Streamed", handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(self._streamed(method, streamed))
        unary = cast("Unary", handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(self._unary(method, unary))

    def _unary(self, method: str, behaviour: Unary) -> Unary:
        async def call(request: bytes, context: Context) -> bytes:
            async with self._intercept(Call(method, request, context)):
                return await behaviour(request, context)

        return call

    def _streamed(self, method: str, behaviour: Streamed) -> Streamed:
        async def call(request: bytes | AsyncIterator[bytes], context: Context) -> None:
            single = request if isinstance(request, bytes) else None
            async with self._intercept(Call(method, single, context)):
                responses = behaviour(request, context)
                if isinstance(responses, AsyncIterator):
                    async for response in responses:
                        await context.write(response)
                else:
                    await responses

        return call
