"""Many Listen streams, and a slow one, on a server in this process: nothing may be left over."""

import asyncio
import gc
from collections.abc import Callable
from typing import TypeAlias

import grpc
from support.emulator.firestore_messages import DATABASE, put, value
from support.emulator.listening import Mirror, add_documents, add_query
from support.emulator.serving import serving_in_loop

from firestore_emulator.listen.listener import Listener
from firestore_emulator.model.messages import ListenRequest, ListenResponse, StructuredQuery
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

SECONDS = 20
Stream: TypeAlias = "grpc.aio.StreamStreamCall[ListenRequest, ListenResponse]"

LISTEN = "/google.firestore.v1.Firestore/Listen"
STREAMS = 1000
COLLECTION = add_query(1, StructuredQuery(from_=[{"collection_id": "c"}]))


def listen(channel: grpc.aio.Channel) -> Stream:
    call: grpc.aio.StreamStreamMultiCallable[ListenRequest, ListenResponse] = channel.stream_stream(
        LISTEN,
        request_serializer=ListenRequest.SerializeToString,
        response_deserializer=ListenResponse.FromString,
    )
    return call()


async def take(stream: Stream, mirror: Mirror) -> None:
    response = await stream.read()
    assert isinstance(response, ListenResponse)
    mirror.apply([response])


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not reached():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def listeners() -> int:
    return sum(isinstance(each, Listener) for each in gc.get_objects())


def test_thousand_idle_streams_leave_no_tasks() -> None:
    """The clients end half of the streams. The channel of the others is closed."""

    async def scenario() -> None:
        databases = Databases()
        db = databases[DATABASE]
        async with serving_in_loop(Service(databases)) as address:
            tasks = len(asyncio.all_tasks())
            channels = [grpc.aio.insecure_channel(address) for _ in range(2)]
            streams = [listen(channels[n % 2]) for n in range(STREAMS)]
            for n, stream in enumerate(streams):
                await stream.write(add_documents(1, f"c/{n}"))
            mirrors = [Mirror() for _ in streams]
            for stream, mirror in zip(streams, mirrors, strict=True):
                while not mirror.snapshots:
                    await take(stream, mirror)
            db.commit([put(f"c/{STREAMS // 2}", x=1)])
            chosen, mirror = streams[STREAMS // 2], mirrors[STREAMS // 2]
            while mirror.snapshots < 2:
                await take(chosen, mirror)
            assert mirror.paths(1) == [f"c/{STREAMS // 2}"]
            assert listeners() == STREAMS

            for stream in streams[::2]:
                stream.cancel()
            await channels[1].close(grace=None)
            for stream in streams[1::2]:  # grpcio before 1.83 leaves them open
                stream.cancel()
            await until(lambda: not db.feed)
            await channels[0].close()
            del streams, stream, chosen, channels
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            gc.collect()
            assert listeners() == 0

    asyncio.run(scenario())


def test_client_that_does_not_read_blocks_only_itself() -> None:
    """When it reads again, it receives the merged changes, not every commit."""
    commits, size = 300, 100_000

    async def scenario() -> None:
        databases = Databases()
        db = databases[DATABASE]
        async with (
            serving_in_loop(Service(databases)) as address,
            grpc.aio.insecure_channel(address) as it,
        ):
            stream = listen(it)
            await stream.write(COLLECTION)
            mirror = Mirror()
            while not mirror.snapshots:
                await take(stream, mirror)
            for n in range(commits):
                db.commit([put("c/a", x="." * size, n=n)])
                await asyncio.sleep(0.001)
            while value(commits - 1) not in [
                each.fields["n"] for each in mirror.contents[1].values()
            ]:
                await take(stream, mirror)
            assert mirror.snapshots < commits / 2

    asyncio.run(scenario())
