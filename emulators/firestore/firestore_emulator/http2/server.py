"""All HTTP/2 connections of a server, to end them together."""

import asyncio

from firestore_emulator.http2.connection import Accept, Connection


class Http2Server:
    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._connections: set[Connection] = set()
        self._is_empty = asyncio.Event()

    def connect(self) -> Connection:
        """The protocol of a new connection."""
        connection = Connection(self._accept, self._forget)
        self._connections.add(connection)
        return connection

    async def shut_down(self, seconds: float) -> None:
        """Lets open streams end within this time, then ends them."""
        for connection in list(self._connections):
            connection.shut_down()
        if not await self._are_gone(seconds):
            for connection in list(self._connections):
                connection.close()
            await self._are_gone(seconds)

    async def _are_gone(self, seconds: float) -> bool:
        self._is_empty.clear()
        if not self._connections:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()
