"""gRPC over HTTP/2: finds the method of a request, and starts its call."""

from google.rpc import code_pb2

from firestore_emulator.dispatch.dispatcher import EMULATOR_METHODS, Dispatcher
from firestore_emulator.grpc_api.calls import (
    CONTENT_TYPE,
    BidirectionalCall,
    Call,
    Context,
    ServerStreamCall,
    UnaryCall,
    UnimplementedCall,
)
from firestore_emulator.grpc_api.deadlines import Deadlines, parse_timeout
from firestore_emulator.grpc_api.status import CallError
from firestore_emulator.grpc_api.wire import ENCODINGS
from firestore_emulator.http2.requests import Head
from firestore_emulator.http2.streams import Receiver, Stream

SERVICE = "google.firestore.v1.Firestore"
EMULATOR_SERVICE = "google.firestore.emulator.v1.FirestoreEmulator"


class GrpcApi:
    def __init__(self, dispatcher: Dispatcher) -> None:
        self._context = Context(dispatcher, Deadlines())
        self._methods: dict[str, tuple[type[Call], str]] = {
            f"/{_service_of(name)}/{name}": (kind, name)
            for kind, names in (
                (UnaryCall, dispatcher.unary_methods),
                (ServerStreamCall, dispatcher.server_stream_methods),
                (BidirectionalCall, dispatcher.bidirectional_methods),
            )
            for name in names
        }

    def serves(self, path: str) -> bool:
        return path in self._methods

    def accept(self, stream: Stream, head: Head) -> Receiver:
        found = self._methods.get(head.path)
        kind, name = found or (UnimplementedCall, head.path.rpartition("/")[2])
        call = kind(self._context, stream, name, head.headers.get("grpc-encoding"))
        try:
            call.begin(_checked_timeout(head))
        except CallError as error:
            call.fail(error)
        return call


def is_grpc(head: Head) -> bool:
    """Whether the content type is application/grpc, or application/grpc+proto and the like."""
    content_type = head.headers.get("content-type", "")
    return content_type.startswith(CONTENT_TYPE) and content_type[len(CONTENT_TYPE) :][:1] in "+;"


def _checked_timeout(head: Head) -> float | None:
    """The timeout in seconds. Raises CallError if the head breaks a rule of gRPC."""
    if head.is_too_large:
        raise CallError(code_pb2.RESOURCE_EXHAUSTED, "The metadata is too large.")
    if head.method != "POST":
        raise CallError(code_pb2.INTERNAL, f"The method of gRPC is POST, not {head.method}.")
    encoding = head.headers.get("grpc-encoding")
    if encoding is not None and encoding not in ENCODINGS:
        raise CallError(
            code_pb2.UNIMPLEMENTED,
            f"The emulator does not decompress {encoding}.",
            {"grpc-accept-encoding": ",".join(ENCODINGS)},
        )
    timeout = head.headers.get("grpc-timeout")
    return None if timeout is None else parse_timeout(timeout)


def _service_of(name: str) -> str:
    return EMULATOR_SERVICE if name in EMULATOR_METHODS else SERVICE
