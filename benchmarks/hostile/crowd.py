"""Many sockets of one kind of hostile client, held by a process of their own.

By hand: ``python -m benchmarks.hostile.crowd 200 "POST /orders" 127.0.0.1:8080``, then type the
names of kinds.

The process is separate so that its work does not delay the normal clients that are measured.
It reads the name of a kind from each line of standard input, drops the sockets that it holds, opens
those of the new kind (an empty line: none), and then prints the number of sockets that it opened
for the kind before. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Self

from benchmarks.hostile.kinds import KINDS, Client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.hostile.kinds import Kind

Address = tuple[str, int]

FIRST_PER_SECOND = 2000.0
CONNECT_SECONDS = 2.0
"""A server that accepts no more is not waited for any longer."""


class Crowd:
    """Holds sockets of one kind at a time; a context manager."""

    def __init__(self, count: int, line: str, address: str) -> None:
        """``line`` is method and path of an operation with a body."""
        self._command = [sys.executable, "-m", "benchmarks.hostile.crowd", str(count), line]
        self._command.append(address)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # it has nothing to finish
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _opened(pipe).close()

    def hold(self, kind: str) -> None:
        """Returns when the sockets are open, or when the server has had the time to take them."""
        self._say(kind)

    def release(self) -> int:
        """Close the sockets; the number that was opened since ``hold``."""
        return self._say("")

    def _say(self, line: str) -> int:
        print(line, file=_opened(self._process.stdin), flush=True)
        return int(_opened(self._process.stdout).readline())


def _opened(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("the crowd was not started")
    return pipe


class _Sockets:
    """The sockets of one kind, each opened again when its client ends."""

    def __init__(self, kind: Kind, count: int, line: str, address: Address) -> None:
        self._kind, self._line, self._address = kind, line, address
        self._next = asyncio.get_running_loop().time()
        self._connected = 0
        self._all_connected = asyncio.Event()
        self._count = count
        self._clients = [asyncio.create_task(self._client()) for _ in range(count)]

    async def connected(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._all_connected.wait()

    async def close(self) -> int:
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        return self._connected

    async def _client(self) -> None:
        for turn in itertools.count():
            await self._wait(self._kind.per_second if turn else FIRST_PER_SECOND)
            with contextlib.suppress(OSError), _socket(self._kind) as opened:
                await asyncio.get_running_loop().sock_connect(opened, self._address)
                self._connected += 1
                if self._connected >= self._count:
                    self._all_connected.set()
                await self._kind.act(Client(opened, self._line))

    async def _wait(self, per_second: float) -> None:
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + 1 / per_second
        await asyncio.sleep(self._next - now)


def _socket(kind: Kind) -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    if kind.receive_buffer is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kind.receive_buffer)
    return opened


async def _serve(count: int, line: str, address: Address) -> None:
    held: _Sockets | None = None
    while said := await asyncio.to_thread(sys.stdin.readline):
        opened = await held.close() if held else 0
        held = None
        if said.strip():
            held = _Sockets(KINDS[said.strip()], count, line, address)
            await held.connected()
        sys.stdout.write(f"{opened}\n")
        sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    count, line, address = arguments
    host, _, port = address.rpartition(":")
    asyncio.run(_serve(int(count), line, (host, int(port))))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
