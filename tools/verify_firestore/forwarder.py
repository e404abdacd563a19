"""A gRPC server on this machine that forwards calls to Firestore, counts and limits them.

The functions and tests use it like an emulator. It is the only way of a run to the database, so
nothing is written outside the run's folder, and nothing is left out of the count.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from costs.usage import Usage
from google.cloud.firestore_v1 import types
from google.protobuf.empty_pb2 import Empty

from tools.verify_firestore import counting
from tools.verify_firestore.names import Names, rename

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from decimal import Decimal

    from google.protobuf.message import Message

SERVICE = "/google.firestore.v1.Firestore"
UNARY: dict[str, Any] = {
    "BatchWrite": types.BatchWriteResponse.pb(),
    "BeginTransaction": types.BeginTransactionResponse.pb(),
    "Commit": types.CommitResponse.pb(),
    "CreateDocument": types.Document.pb(),
    "DeleteDocument": Empty,
    "GetDocument": types.Document.pb(),
    "ListCollectionIds": types.ListCollectionIdsResponse.pb(),
    "ListDocuments": types.ListDocumentsResponse.pb(),
    "PartitionQuery": types.PartitionQueryResponse.pb(),
    "Rollback": Empty,
    "UpdateDocument": types.Document.pb(),
}
STREAMED: dict[str, Any] = {
    "BatchGetDocuments": types.BatchGetDocumentsResponse.pb(),
    "RunAggregationQuery": types.RunAggregationQueryResponse.pb(),
    "RunQuery": types.RunQueryResponse.pb(),
}
REQUESTS: dict[str, Any] = {
    method: getattr(types, f"{method}Request").pb() for method in (*UNARY, *STREAMED)
}
_THREADS = 128
"""More than the calls that the benchmark's functions make at the same time."""
_OUTCOME_UNKNOWN = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
)
NO_LIMITS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


@dataclass(frozen=True, slots=True)
class Bounds:
    writes: int
    dollars: Decimal

    def exceeded_by(self, usage: Usage) -> str | None:
        """The bound that this usage would exceed. The deletion reads and deletes each document."""
        if usage.writes > self.writes:
            return f"{self.writes:,} documents written"
        if (usage + Usage(usage.writes, 0, usage.writes)).dollars > self.dollars:
            return f"{self.dollars} dollars"
        return None


class Meter:
    """The usage of a run. Threads share it."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._lock = bounds, threading.Lock()
        self._used, self._begun = Usage(), Usage()
        self.exceeded: str | None = None
        """The bound that ended the run."""

    @property
    def used(self) -> Usage:
        with self._lock:
            return self._used

    def add(self, usage: Usage) -> None:
        """Usage of calls that do not pass through the forwarder."""
        with self._lock:
            self._used += usage

    def begin(self, writes: Usage) -> str | None:
        """Admit a call that may write so much. The bound that it would exceed, or None."""
        with self._lock:
            exceeded = self._bounds.exceeded_by(self._used + self._begun + writes)
            if exceeded is None:
                self._begun += writes
            else:
                self.exceeded = exceeded
            return exceeded

    def end(self, writes: Usage, used: Usage) -> None:
        """``writes``: what ``begin`` admitted. ``used``: what the call is billed for."""
        with self._lock:
            self._begun -= writes
            self._used += used


class _Calls(grpc.GenericRpcHandler):
    def __init__(
        self,
        channel: grpc.Channel,
        metadata: Sequence[tuple[str, str]],
        names: Names,
        meter: Meter,
    ) -> None:
        self._metadata, self._names, self._meter = metadata, names, meter
        self._stubs: dict[str, Callable[..., Any]] = {
            **{
                method: channel.unary_unary(
                    f"{SERVICE}/{method}", REQUESTS[method].SerializeToString, kind.FromString
                )
                for method, kind in UNARY.items()
            },
            **{
                method: channel.unary_stream(
                    f"{SERVICE}/{method}", REQUESTS[method].SerializeToString, kind.FromString
                )
                for method, kind in STREAMED.items()
            },
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Every method gets a handler that fits all kinds, and fails if it is not forwarded."""
        method = handler_call_details.method.rpartition("/")[2]

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            if method not in REQUESTS:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not forwarded")
            for response in self._forward(method, next(requests), context):
                rename(response, self._names.to_tests)
                yield response.SerializeToString()

        return grpc.stream_stream_rpc_method_handler(handle)

    def _forward(
        self, method: str, received: bytes, context: grpc.ServicerContext
    ) -> list[Message]:
        request = REQUESTS[method].FromString(received)
        rename(request, self._names.to_real)
        writes = counting.of_writes(method, request)
        exceeded = self._meter.begin(writes)
        if exceeded is not None:
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"verify-firestore ends at its bound of {exceeded}",
            )
        billed = Usage(round_trips=1)
        try:
            responses = self._send(method, request, context.time_remaining())
            billed = counting.of_call(method, request, responses)
        except grpc.RpcError as error:
            if error.code() in _OUTCOME_UNKNOWN:
                billed += writes
            self._fail(error, context)
        finally:
            self._meter.end(writes, billed)
        return responses

    def _send(self, method: str, request: Message, seconds: float | None) -> list[Any]:
        answered = self._stubs[method](request, timeout=seconds, metadata=self._metadata)
        return [*answered] if method in STREAMED else [answered]

    def _fail(self, error: grpc.RpcError, context: grpc.ServicerContext) -> NoReturn:
        context.abort(error.code(), self._names.to_tests(error.details() or ""))


@contextmanager
def forwarding(
    channel: grpc.Channel, metadata: Sequence[tuple[str, str]], names: Names, meter: Meter
) -> Iterator[str]:
    """The address of a forwarder to the database at the other end of the channel."""
    with ThreadPoolExecutor(_THREADS) as threads:
        server = grpc.server(threads, options=NO_LIMITS)
        server.add_generic_rpc_handlers((_Calls(channel, metadata, names, meter),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()
