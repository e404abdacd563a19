"""Buyers who send sequential orders, each on one kept connection."""

from __future__ import annotations

import http.client
import json
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

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
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        body = {"customer_id": "C123", "product_id": product_id, "quantity": 1}
        self._body = json.dumps(body).encode()

    def order(self, seconds: float = TIMEOUT) -> str:
        """The status of the response, or the name of the error. ``seconds``: of each wait.

        A server may close a kept connection that has been idle. Then the order is sent again, under
        the same key, on a new connection.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        if self._connection.sock is not None:
            with suppress(ConnectionError):
                return self._send(headers, seconds)
            self._connection.close()
        try:
            return self._send(headers, seconds)
        except ConnectionError as error:
            self._connection.close()
            return type(error).__name__

    def _send(self, headers: dict[str, str], seconds: float) -> str:
        """As ``order``. Raises ConnectionError if the server has closed the connection."""
        self._connection.timeout = seconds
        if self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)
        try:
            self._connection.request("POST", "/orders", self._body, headers)
            with self._connection.getresponse() as response:
                response.read()
            return str(response.status)
        except ConnectionError:
            raise
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next order opens it again
            return type(error).__name__

    def close(self) -> None:
        self._connection.close()


def sell(
    addresses: Sequence[str],
    products: Sequence[str],
    buyers: int,
    seconds: float,
    most: int = sys.maxsize,
) -> Sales:
    """Orders of concurrent buyers, spread evenly over addresses and products; at most ``most``."""
    began, numbers = time.monotonic(), iter(range(most))
    with ThreadPoolExecutor(buyers) as pool:
        each = [
            pool.submit(
                _buy,
                addresses[n % len(addresses)],
                products[n % len(products)],
                began + seconds,
                numbers,
            )
            for n in range(buyers)
        ]
    return together((one.result() for one in each), time.monotonic() - began)


def _buy(address: str, product_id: str, until: float, numbers: Iterator[int]) -> Sales:
    """``numbers``: the orders that all buyers may still place."""
    sales, buyer = Sales(), Buyer(address, product_id)
    try:
        while (began := time.monotonic()) < until and next(numbers, None) is not None:
            status = buyer.order()
            sales.count(status, time.monotonic() - began)
    finally:
        buyer.close()
    return sales


def together(each: Iterable[Sales], seconds: float) -> Sales:
    """The outcomes of all buyers of one sale, which took so long."""
    all_of_them = Sales()
    for one in each:
        all_of_them.add(one)
    all_of_them.seconds = seconds
    return all_of_them
