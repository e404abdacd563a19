"""Normal clients: each sends one request after the other on a connection that it keeps open.

They follow the documentation: after a 503 they wait as long as ``Retry-After`` says. They run on
one event loop in a thread of their own, and build and parse messages by hand, so that thousands of
them take little processor time from the server that is measured.
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from benchmarks.http_messages import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Address = tuple[str, int]

PATIENCE_SECONDS = 10.0
"""A client gives up a request after this time, and connects again."""
RECONNECT_SECONDS = 0.1
LOST = 0
"""In place of the status of a request that got no response."""
UNAVAILABLE = 503

_RETRY_AFTER = re.compile(rb"\r\nretry-after: *([0-9]+)", re.IGNORECASE)


class Sample(NamedTuple):
    """One request and its outcome."""

    ended: float
    """On the monotonic clock, in seconds."""
    seconds: float
    status: int
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Window:
    """The requests that ended in a span of time, and those still without a response at its end."""

    seconds: float
    samples: Sequence[Sample]
    waiting: Sequence[float] = ()
    """Seconds since each was sent."""

    @property
    def statuses(self) -> Counter[int]:
        return Counter(sample.status for sample in self.samples)

    @property
    def failed(self) -> int:
        return sum(not _succeeded(sample) for sample in self.samples)

    @property
    def per_second(self) -> float:
        """Successful requests."""
        return (len(self.samples) - self.failed) / self.seconds

    @property
    def p99_ms(self) -> float:
        """Of successful requests; one that waits longer than a second counts with its age."""
        late = [age for age in self.waiting if age > 1]
        return percentile([s.seconds for s in self.samples if _succeeded(s)] + late, 99)

    def latencies(self, status: int) -> list[float]:
        return [sample.seconds for sample in self.samples if sample.status == status]

    def __add__(self, other: Window) -> Window:
        return Window(
            self.seconds + other.seconds,
            [*self.samples, *other.samples],
            [*self.waiting, *other.waiting],
        )


def _succeeded(sample: Sample) -> bool:
    return 200 <= sample.status < 300  # noqa: PLR2004 - the class of statuses


def percentile(seconds: Sequence[float], hundredth: int) -> float:
    """In milliseconds; infinite for fewer than two values."""
    if len(seconds) < 2:  # noqa: PLR2004 - quantiles need two
        return float("inf")
    return 1000 * statistics.quantiles(seconds, n=100, method="inclusive")[hundredth - 1]


class Caller(NamedTuple):
    """A normal client: its server, and the requests that it sends."""

    address: Address
    make: Callable[[], bytes]


class _Connection(asyncio.Protocol):
    """Sends a client's requests, and keeps a sample of each."""

    def __init__(self, customers: Customers, caller: Caller) -> None:
        self._customers, self._caller = customers, caller
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.sent: float | None = None
        """When the request was sent that has no response yet."""

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._customers.stopping.is_set():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await loop.create_connection(lambda: self, *self._caller.address)
            except OSError:
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport, self._buffer = transport, b""
        if self._customers.started.is_set():
            self.send()

    def send(self) -> None:
        if self._customers.stopping.is_set():
            self.abort()
        elif self._transport is not None and not self._transport.is_closing():
            self.sent = time.monotonic()
            self._transport.write(self._caller.make())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        response = complete(self._buffer)
        if response is None:
            return
        self._buffer = b""
        wait = _RETRY_AFTER.search(response.head)
        retry_after = float(wait[1]) if wait else None
        self._keep(response.status, retry_after)
        if not response.closes:
            if response.status == UNAVAILABLE and retry_after:
                seconds = retry_after * random.uniform(1, 1.2)  # noqa: S311 - spreads the clients
                asyncio.get_running_loop().call_later(seconds, self.send)
            else:
                self.send()

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self.sent is not None:
            self._keep(LOST, None)
        if not self._customers.stopping.is_set():
            loop = asyncio.get_running_loop()
            loop.call_later(RECONNECT_SECONDS, self._customers.spawn, self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _keep(self, status: int, retry_after: float | None) -> None:
        now = time.monotonic()
        if self.sent is not None:
            self._customers.samples.append(Sample(now, now - self.sent, status, retry_after))
        self.sent = None

    @property
    def connected(self) -> bool:
        return self._transport is not None


class Customers:
    """Normal clients that are at work from ``start`` until ``stop``; a context manager."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self.samples: list[Sample] = []
        self.started, self.stopping = threading.Event(), threading.Event()
        self._connections = [_Connection(self, caller) for caller in callers]
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def connect(self, seconds: float = 30.0) -> int:
        """Wait until all are connected, or the time is over; the number that is connected."""
        until = time.monotonic() + seconds
        while self._connected < len(self._connections) and time.monotonic() < until:
            time.sleep(0.02)
        return self._connected

    def start(self) -> None:
        """All customers send their first request."""
        self.started.set()
        self._loop.call_soon_threadsafe(self._send_all)

    def window(self, seconds: float) -> Window:
        """The requests of the next seconds."""
        began = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        samples = [sample for sample in self.samples[:] if began <= sample.ended < ended]
        return Window(ended - began, samples, self._ages(ended))

    def stop(self, seconds: float = 30.0) -> Window:
        """Send no more, and wait for the responses; all requests since ``start``."""
        self.stopping.set()
        until = time.monotonic() + seconds
        while self._ages(time.monotonic()) and time.monotonic() < until:
            time.sleep(0.02)
        samples = self.samples[:]
        first = min((sample.ended - sample.seconds for sample in samples), default=0.0)
        last = max((sample.ended for sample in samples), default=1.0)
        return Window(last - first, samples, self._ages(time.monotonic()))

    def spawn(self, connection: _Connection) -> None:
        """Connect, in the thread of the event loop."""
        task = self._loop.create_task(connection.connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _connected(self) -> int:
        return sum(connection.connected for connection in self._connections)

    def _ages(self, now: float) -> list[float]:
        sent = [connection.sent for connection in self._connections]
        return [now - each for each in sent if each is not None]

    def _send_all(self) -> None:
        for connection in self._connections:
            connection.send()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        for connection in self._connections:
            self._loop.call_soon(self.spawn, connection)
        self._loop.call_later(1.0, self._give_up)
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    def _give_up(self) -> None:
        """Abort connections whose request got no response in time."""
        now = time.monotonic()
        for connection in self._connections:
            if connection.sent is not None and now - connection.sent > PATIENCE_SECONDS:
                connection.abort()
        self._loop.call_later(1.0, self._give_up)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for connection in self._connections:
            connection.abort()
        await asyncio.sleep(0.05)  # transports close their sockets in a later turn of the loop
