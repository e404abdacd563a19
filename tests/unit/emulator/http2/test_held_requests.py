"""What a connection holds of its requests: their bytes until a method has taken them."""

import asyncio

from support.emulator.http2_peer import Transport

from firestore_emulator.http2.outbox import Outbox
from firestore_emulator.http2.streams import Memory, Stream


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
