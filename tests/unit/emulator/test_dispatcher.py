"""The dispatcher: its interceptors, and the calls that they see."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from support.emulator.firestore_messages import DATABASE, name, put, stored

from firestore_emulator.dispatch.call_log import CallLog
from firestore_emulator.dispatch.dispatcher import Dispatcher, from_wire
from firestore_emulator.dispatch.faults import Failure, Faults
from firestore_emulator.dispatch.interceptor import Call, CallInterceptor
from firestore_emulator.dispatch.request_types import REQUEST_TYPES
from firestore_emulator.model.errors import (
    EmulatorError,
    InjectedError,
    InvalidArgumentError,
    UnimplementedError,
)
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    CommitRequest,
    ListenRequest,
)
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

COMMIT = CommitRequest(database=DATABASE, writes=[put("c/a")])
LOOK_UP = BatchGetDocumentsRequest(database=DATABASE, documents=[name("c/a"), name("c/b")])


def parse(request: Message) -> Callable[[type[Message]], Message]:
    return partial(from_wire, request.SerializeToString())


def recording(events: list[str], label: str) -> CallInterceptor:
    @asynccontextmanager
    async def intercept(call: Call) -> AsyncIterator[None]:
        events.append(f"{label} enters {call.method}")
        try:
            yield
        except EmulatorError as error:
            events.append(f"{label} sees {type(error).__name__}")
            raise
        assert call.request is not None
        events.append(f"{label} leaves")

    return intercept


def test_first_interceptor_is_the_outermost() -> None:
    events: list[str] = []
    dispatcher = Dispatcher(
        Service(Databases()), [recording(events, "first"), recording(events, "second")]
    )
    asyncio.run(dispatcher.call("Commit", parse(COMMIT)))
    assert events == [
        "first enters Commit",
        "second enters Commit",
        "second leaves",
        "first leaves",
    ]


def test_interceptors_see_a_malformed_request() -> None:
    events: list[str] = []
    service = Service(Databases())
    dispatcher = Dispatcher(service, [recording(events, "it")])
    with pytest.raises(InvalidArgumentError, match="is not a valid CommitRequest message"):
        asyncio.run(dispatcher.call("Commit", partial(from_wire, b"\xff")))
    assert events == ["it enters Commit", "it sees InvalidArgumentError"]
    assert service.usage == {}


def test_interceptors_see_an_unimplemented_method() -> None:
    events: list[str] = []
    dispatcher = Dispatcher(Service(Databases()), [recording(events, "it")])
    with pytest.raises(UnimplementedError, match="ExecutePipeline"):
        asyncio.run(dispatcher.reject("ExecutePipeline"))
    assert events == ["it enters ExecutePipeline", "it sees UnimplementedError"]


@pytest.mark.parametrize(("after", "sent"), [(False, 0), (True, 2)])
def test_fault_of_a_stream_comes_before_or_after_its_responses(*, after: bool, sent: int) -> None:
    faults = Faults([], [Failure("BatchGetDocuments", code_pb2.DATA_LOSS, after=after)])
    dispatcher = Dispatcher(Service(Databases()), [faults.intercept])
    responses: list[Message] = []

    async def send(response: Message) -> None:
        responses.append(response)

    with pytest.raises(InjectedError, match="Injected") as raised:
        asyncio.run(dispatcher.call_for_stream("BatchGetDocuments", parse(LOOK_UP), send))
    assert raised.value.code == code_pb2.DATA_LOSS
    assert len(responses) == sent


def test_fault_after_a_commit_keeps_its_writes() -> None:
    databases = Databases()
    faults = Faults([], [Failure("Commit", code_pb2.ABORTED, after=True)])
    with pytest.raises(InjectedError):
        asyncio.run(
            Dispatcher(Service(databases), [faults.intercept]).call("Commit", parse(COMMIT))
        )
    assert stored(databases[DATABASE], "c/a") is not None


def test_log_has_the_status_of_a_cancelled_stream() -> None:
    lines: list[str] = []

    async def requests() -> AsyncIterator[bytes]:
        yield ListenRequest(database=DATABASE).SerializeToString()
        await asyncio.Event().wait()

    async def send(_: Message) -> None:
        pass

    async def scenario() -> None:
        dispatcher = Dispatcher(Service(Databases()), [CallLog(lines.append).intercept])
        task = asyncio.create_task(dispatcher.stream("Listen", requests(), send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    (line,) = lines
    assert " Listen CANCELLED " in line


def test_log_escapes_the_name_of_an_unimplemented_method() -> None:
    lines: list[str] = []
    dispatcher = Dispatcher(Service(Databases()), [CallLog(lines.append).intercept])
    with pytest.raises(UnimplementedError):
        asyncio.run(dispatcher.reject("a\x1b[31m\x85Commit"))
    (line,) = lines
    assert line.isprintable()
    assert r"'a\x1b[31m\x85Commit' UNIMPLEMENTED" in line


def test_dispatcher_knows_every_method_that_is_no_pipeline() -> None:
    dispatcher = Dispatcher(Service(Databases()))
    known = {
        *dispatcher.unary_methods,
        *dispatcher.server_stream_methods,
        *dispatcher.bidirectional_methods,
    }
    assert set(REQUEST_TYPES) - known == {"ExecutePipeline"}
