"""The calls of the three kinds of methods, each on a stream of HTTP/2."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import NamedTuple

from google.protobuf.message import Message
from google.rpc import code_pb2

from firestore_emulator.dispatch.dispatcher import Dispatcher, Request, from_wire
from firestore_emulator.grpc_api import status
from firestore_emulator.grpc_api.deadlines import Deadlines
from firestore_emulator.grpc_api.status import CallError
from firestore_emulator.grpc_api.wire import MessageBuffer, to_wire
from firestore_emulator.http2 import header_blocks
from firestore_emulator.http2.streams import Stream
from firestore_emulator.model.errors import EmulatorError
from firestore_emulator.model.steps import TURN_SECONDS

CONTENT_TYPE = "application/grpc"

_LOG = logging.getLogger(__name__)
_HEADERS = header_blocks.encode({":status": "200", "content-type": CONTENT_TYPE})
_BATCH_BYTES = 32 * 1024  # of the responses of a stream that are sent together


class Context(NamedTuple):
    """What all calls share."""

    dispatcher: Dispatcher
    deadlines: Deadlines


class Call(ABC):
    """Receives the request of a stream, runs the method in a task, and sends its status."""

    def __init__(self, context: Context, stream: Stream, name: str, encoding: str | None) -> None:
        self._dispatcher, self._deadlines = context
        self._stream = stream
        self._name = name
        self._received = MessageBuffer(encoding)
        self._has_headers = False  # whether they are sent
        self._turn_end = 0.0
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    def data_received(self, data: bytes) -> None: ...

    @abstractmethod
    def ended(self) -> None: ...

    @abstractmethod
    async def _run(self) -> None:
        """Sends the responses. Raises EmulatorError."""

    def begin(self, timeout: float | None) -> None:
        """The head of the request has arrived."""
        if timeout is not None:
            self._deadlines.add(self, timeout)

    def cancelled(self) -> None:
        self._deadlines.remove(self)
        if self._task is not None:
            self._task.cancel()

    def expire(self) -> None:
        self.fail(CallError(code_pb2.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        if self._task is not None:
            self._task.cancel()

    def fail(self, error: EmulatorError) -> None:
        self._deadlines.remove(self)
        if self._has_headers:
            self._stream.end(status.trailers(error))
        else:
            self._stream.send_only_headers(_HEADERS + status.trailers(error))

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self._run()
        except EmulatorError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 - the client must get a status
            _LOG.exception("%s failed", self._name)
            self.fail(CallError(code_pb2.UNKNOWN, f"{type(error).__name__} in the emulator"))

    def _finish(self, body: bytes) -> None:
        """Sends the last messages and the status OK."""
        self._deadlines.remove(self)
        if self._has_headers:
            self._stream.send(body)
            self._stream.end(status.OK)
        else:
            self._stream.respond(_HEADERS, body, status.OK)

    async def _send(self, data: bytes) -> None:
        if not self._has_headers:
            self._has_headers = True
            self._stream.send_headers(_HEADERS)
        self._stream.send(data)
        await self._stream.drained()
        if time.perf_counter() >= self._turn_end:  # a fast client need not wait, but others do
            await asyncio.sleep(0)
            self._turn_end = time.perf_counter() + TURN_SECONDS


class _SingleRequest(Call):
    def data_received(self, data: bytes) -> None:
        self._received.add(data)
        self._stream.grant()
        if self._task is None and self._received.has_too_much:
            self._start()

    def ended(self) -> None:
        if self._task is None:
            self._start()

    def _parse(self, kind: type[Request]) -> Request:
        self._stream.take(len(self._received))
        data = self._received.take()
        if data is None or self._received:
            raise CallError(
                code_pb2.UNIMPLEMENTED, f"{self._name} takes one request, and takes it whole."
            )
        return from_wire(data, kind)


class UnaryCall(_SingleRequest):
    async def _run(self) -> None:
        response = await self._dispatcher.call(self._name, self._parse)
        self._finish(to_wire(response))


class ServerStreamCall(_SingleRequest):
    """Sends small responses together."""

    async def _run(self) -> None:
        batch: list[bytes] = []
        size = 0

        async def send(response: Message) -> None:
            nonlocal size
            data = to_wire(response)
            batch.append(data)
            size += len(data)
            if size >= _BATCH_BYTES:
                together, size = b"".join(batch), 0
                batch.clear()
                await self._send(together)

        try:
            await self._dispatcher.call_for_stream(self._name, self._parse, send)
        except EmulatorError:
            if batch:
                await self._send(b"".join(batch))
            raise
        self._finish(b"".join(batch))


class BidirectionalCall(Call):
    """Runs from the beginning, and reads requests when the method asks for them."""

    def __init__(self, context: Context, stream: Stream, name: str, encoding: str | None) -> None:
        super().__init__(context, stream, name, encoding)
        self._has_request_ended = False
        self._more: asyncio.Future[None] | None = None

    def begin(self, timeout: float | None) -> None:
        super().begin(timeout)
        self._start()

    def data_received(self, data: bytes) -> None:
        self._received.add(data)
        self._wake()

    def ended(self) -> None:
        self._has_request_ended = True
        self._wake()

    async def _run(self) -> None:
        await self._dispatcher.stream(self._name, _Requests(self), self._send_message)
        self._finish(b"")

    async def _send_message(self, response: Message) -> None:
        await self._send(to_wire(response))

    async def next_request(self) -> bytes | None:
        """The next message, or None at the end of the requests."""
        while True:
            before = len(self._received)
            message = self._received.take()
            if message is not None:
                self._stream.take(before - len(self._received))
                return message
            if self._has_request_ended:
                if self._received:
                    raise CallError(code_pb2.INTERNAL, "The last request is cut off.")
                return None
            self._stream.grant()
            self._more = asyncio.get_running_loop().create_future()
            await self._more

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


class UnimplementedCall(BidirectionalCall):
    async def _run(self) -> None:
        await self._dispatcher.reject(self._name)


class _Requests(AsyncIterator[bytes]):
    def __init__(self, call: BidirectionalCall) -> None:
        self._call = call

    async def __anext__(self) -> bytes:
        message = await self._call.next_request()
        if message is None:
            raise StopAsyncIteration
        return message
