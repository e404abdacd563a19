"""A call that has much to do leaves turns to others, even if its client reads at once."""

import asyncio

from support.emulator.firestore_messages import DATABASE
from support.emulator.http2_frames import (
    DATA,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    frame,
    grpc_fields,
    grpc_message,
    settings,
    window_update,
)
from support.emulator.http2_peer import Peer

from firestore_emulator.dispatch.dispatcher import Dispatcher
from firestore_emulator.grpc_api import status
from firestore_emulator.grpc_api.api import GrpcApi
from firestore_emulator.model.messages import WriteRequest
from firestore_emulator.service.service import Service
from firestore_emulator.store.database import Databases

WRITE = grpc_fields("/google.firestore.v1.Firestore/Write")


def test_stream_of_many_requests_leaves_turns_to_others() -> None:
    """A megabyte can be 200,000 requests. Each of them takes about 20 microseconds."""
    requests = 10_000

    async def run() -> None:
        peer = Peer(accept=GrpcApi(Dispatcher(Service(Databases()))).accept)
        peer.open()
        peer.send(settings({INITIAL_WINDOW_SIZE: 2**30}), window_update(0, 2**30))
        handshake = grpc_message(WriteRequest(database=DATABASE).SerializeToString())
        data = handshake + grpc_message(b"") * requests
        peer.send(peer.head(1, WRITE))
        for at in range(0, len(data), 16_384):
            is_last = at + 16_384 >= len(data)
            peer.send(frame(DATA, data[at : at + 16_384], END_STREAM if is_last else 0, 1))
        turns = 0
        payloads: list[bytes] = []
        async with asyncio.timeout(20):
            while not payloads or payloads[-1] != status.OK:
                await asyncio.sleep(0)
                turns += 1
                payloads += [each.payload for each in peer.read() if each.kind in {DATA, HEADERS}]
        assert len(payloads) == requests + len(["headers", "handshake", "trailers"])
        assert turns > 10
        peer.connection.connection_lost(None)

    asyncio.run(run())
