"""What a connection holds of its requests: their bytes until a method has taken them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus

import pytest
from support.emulator.firestore_messages import DATABASE, name, put
from support.emulator.http2_frames import (
    DATA,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    Frame,
    frame,
    grpc_fields,
    grpc_message,
)
from support.emulator.http2_peer import Peer, Transport

from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.grpc_api import status
from firestore_emulator.grpc_api.api import GrpcApi
from firestore_emulator.http2.connection import Accept
from firestore_emulator.http2.outbox import Outbox
from firestore_emulator.http2.streams import WINDOW, Memory, Stream
from firestore_emulator.http_api.http2 import HttpRequests
from firestore_emulator.http_api.messages import Request, Response, text
from firestore_emulator.model.messages import (
    BatchGetDocumentsRequest,
    BeginTransactionRequest,
    CommitRequest,
    RollbackRequest,
)
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

COMMIT = grpc_fields("/google.firestore.v1.Firestore/Commit")
STREAMS = (1, 3, 5, 7)


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection may hold less than the requests of these tests have together."""
    monkeypatch.setattr("firestore_emulator.http2.streams._MAX_HELD_BYTES", 2 * WINDOW)


def in_loop(
    server: Callable[[], Accept], scenario: Callable[[Peer], Coroutine[object, object, None]]
) -> None:
    async def run() -> None:
        peer = Peer(accept=server())
        peer.open()
        await scenario(peer)
        peer.connection.connection_lost(None)

    asyncio.run(run())


def data_frames(stream: int, data: bytes, *, end: bool) -> Iterator[bytes]:
    for at in range(0, len(data), 16_384):
        is_last = at + 16_384 >= len(data)
        yield frame(DATA, data[at : at + 16_384], END_STREAM if end and is_last else 0, stream)


async def sent(peer: Peer, stream: int, data: bytes, *, end: bool) -> list[Frame]:
    """The frames that the server has written when its tasks wait again."""
    for each in data_frames(stream, data, end=end):
        peer.send(each)
    for _ in range(10):
        await asyncio.sleep(0)
    return peer.read()


def test_bodies_that_a_method_reads_may_have_more_than_a_connection_holds() -> None:
    async def handle(request: Request) -> Response:
        return text(HTTPStatus.OK, str(len(await request.read_body(3 * WINDOW))))

    async def scenario(peer: Peer) -> None:
        for part in range(3):
            for stream in STREAMS:
                if part == 0:  # the connection has all of it before the method runs
                    peer.send(peer.head(stream))
                frames = await sent(peer, stream, bytes(WINDOW), end=part == 2)
                assert RST_STREAM not in [each.kind for each in frames]
        assert next(each.payload for each in frames if each.kind == DATA) == b"3145728\n"

    in_loop(lambda: HttpRequests(handle).accept, scenario)


def test_body_that_no_method_has_begun_to_read_is_held() -> None:
    async def handle(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def scenario(peer: Peer) -> None:
        peer.send(*(peer.head(stream) for stream in STREAMS))
        ends = [await sent(peer, stream, bytes(WINDOW), end=False) for stream in STREAMS]
        assert [[each.kind for each in frames] for frames in ends[:2]] == [[], []]
        assert RST_STREAM in [each.kind for each in ends[2]]

    in_loop(lambda: HttpRequests(handle).accept, scenario)


def test_commits_that_wait_for_a_lock_may_have_more_than_a_connection_holds() -> None:
    service = Service(Databases())

    async def scenario(peer: Peer) -> None:
        begin = BeginTransactionRequest(database=DATABASE)
        transaction = service.begin_transaction(begin).transaction
        await service.batch_get_documents(
            BatchGetDocumentsRequest(
                database=DATABASE, documents=[name("c/a")], transaction=transaction
            )
        )
        write = put("c/a", x="." * 900_000)
        commit = CommitRequest(database=DATABASE, writes=[write]).SerializeToString()
        for stream in STREAMS:
            peer.send(peer.head(stream, COMMIT))
            frames = await sent(peer, stream, grpc_message(commit), end=True)
            assert {each.kind for each in frames} <= {WINDOW_UPDATE}
        service.rollback(RollbackRequest(database=DATABASE, transaction=transaction))
        ends: dict[int, bytes] = {}
        async with asyncio.timeout(10):
            while len(ends) < len(STREAMS):
                await asyncio.sleep(0)
                ends |= {
                    each.stream: each.payload
                    for each in peer.read()
                    if each.kind == HEADERS and each.flags & END_STREAM
                }
        assert ends == dict.fromkeys(STREAMS, status.OK)

    in_loop(lambda: GrpcApi(Dispatcher(service)).accept, scenario)


def test_bytes_are_not_taken_twice_when_the_stream_has_ended() -> None:
    """A listener's reader may take a message after the client has reset the stream."""

    async def run() -> None:
        memory = Memory()
        stream = Stream(1, Outbox(Transport()), memory, None, lambda _: None)
        stream.receive(b"message", 7)
        assert memory.held == 7
        stream.abandon()
        stream.take(7)
        assert memory.held == 0

    asyncio.run(run())
