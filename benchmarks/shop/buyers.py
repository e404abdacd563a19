"""Buyers who send sequential orders, each on one kept connection.

All of them run on one event loop, to take little processor time from the shop that they measure.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from benchmarks.http_messages import complete, orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TIMEOUT = 60
CREATED, CONFLICT = 201, 409


@dataclass(slots=True)
class Sales:
    """Outcomes of orders. Runs of one kind can be added."""

    seconds: float = 0.0
    """From the first request to the last response."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, of placed orders."""
    rejected: int = 0
    """Responses 409, such as for a product that is sold out."""
    failures: Counter[str] = field(default_factory=Counter)
    """Other responses and errors, by status or name."""

    @property
    def placed(self) -> int:
        return len(self.latencies)

    @property
    def per_second(self) -> float:
        return self.placed / self.seconds

    def percentile(self, hundredth: int) -> float:
        """Milliseconds. A buyer who got an error has waited longer than everybody with an order.

        So it is infinite if more than the other hundredths failed, or if nobody ordered.
        """
        waits = sorted(self.latencies) + [float("inf")] * self.failures.total()
        if not waits:
            return float("inf")
        return 1000 * waits[min(len(waits) - 1, len(waits) * hundredth // 100)]

    @property
    def share_placed(self) -> float:
        """Of all orders that buyers meant to place."""
        return self.placed / max(1, self.placed + self.rejected + self.failures.total())

    def count(self, status: str, seconds: float) -> None:
        """Add one order: the status of its response, or the name of its error; and its wait."""
        if status == str(CREATED):
            self.latencies.append(seconds)
        elif status == str(CONFLICT):
            self.rejected += 1
        else:
            self.failures[status] += 1

    def add(self, other: Self) -> None:
        self.seconds += other.seconds
        self.latencies += other.latencies
        self.rejected += other.rejected
        self.failures += other.failures

    def figures(self) -> dict[str, object]:
        return {
            "orders_per_second": round(self.per_second, 2),
            "p50_ms": _finite(self.percentile(50)),
            "p99_ms": _finite(self.percentile(99)),
            "placed": self.placed,
            "rejected": self.rejected,
            "failures": dict(self.failures),
        }


def _finite(milliseconds: float) -> float | None:
    return round(milliseconds, 2) if milliseconds != float("inf") else None


class Buyer:
    def __init__(self, address: str, product_id: str) -> None:
        host, _, port = address.partition(":")
        self._address = host, int(port)
        self._next_request = orders([product_id])
        self._connection: _Connection | None = None

    async def order(self, seconds: float = TIMEOUT) -> str:
        """The status of the response, or the name of the error.

        A server may close a kept connection that has been idle. Then the order is sent again, under
        the same key, on a new connection.
        """
        request = self._next_request()
        try:
            async with asyncio.timeout(seconds):
                if self._connection is not None and self._connection.is_open:
                    with suppress(ConnectionError):
                        return await self._connection.exchange(request)
                loop = asyncio.get_running_loop()
                _, self._connection = await loop.create_connection(_Connection, *self._address)
                return await self._connection.exchange(request)
        except (OSError, UnexpectedResponseError) as error:
            self.close()  # the next order opens it again
            return type(error).__name__

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class UnexpectedResponseError(Exception):
    """The response has no length, so the client cannot know its end."""


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""
        self._status: asyncio.Future[str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def exchange(self, request: bytes) -> asyncio.Future[str]:
        """The status of the response. Raises ConnectionError if the server has closed."""
        self._received = b""
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._status

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._status is None or self._status.done():
            return
        response = complete(self._received)
        if response is None:
            return
        if not response.has_length:
            self._status.set_exception(UnexpectedResponseError(response.head[:100]))
            return
        self._status.set_result(str(response.status))
        if response.closes:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_exception(error or ConnectionResetError("closed by the server"))

    def close(self) -> None:
        self._transport.close()


def sell(
    addresses: Sequence[str],
    products: Sequence[str],
    buyers: int,
    seconds: float,
    most: int = sys.maxsize,
) -> Sales:
    """Orders of concurrent buyers, spread evenly over addresses and products; at most ``most``."""
    return asyncio.run(_sell(addresses, products, buyers, seconds, iter(range(most))))


async def _sell(
    addresses: Sequence[str],
    products: Sequence[str],
    buyers: int,
    seconds: float,
    numbers: Iterator[int],
) -> Sales:
    """``numbers``: the orders that all buyers may place."""
    began = time.monotonic()

    async def buy(n: int) -> Sales:
        sales = Sales()
        buyer = Buyer(addresses[n % len(addresses)], products[n % len(products)])
        try:
            while (sent := time.monotonic()) < began + seconds and next(numbers, None) is not None:
                status = await buyer.order()
                sales.count(status, time.monotonic() - sent)
        finally:
            buyer.close()
        return sales

    each = await asyncio.gather(*map(buy, range(buyers)))
    return together(each, time.monotonic() - began)


def together(each: Iterable[Sales], seconds: float) -> Sales:
    """The outcomes of all buyers of one sale, which took so long."""
    all_of_them = Sales()
    for one in each:
        all_of_them.add(one)
    all_of_them.seconds = seconds
    return all_of_them
