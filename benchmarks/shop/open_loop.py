"""Buyers who arrive at random times, whether the shop is fast or slow.

A closed loop has a fixed number of buyers, so a slow shop gets fewer orders, and few of them wait
long. Here the times of all arrivals are known before the sale. A wait begins at the arrival, even
if the request is sent later. So the figures contain every wait (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from benchmarks.shop.buyers import Buyer, Sales, together

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_SECONDS = 5.0
"""A buyer gives up after this time from the arrival."""
CONNECTIONS = 512
"""The most requests in flight. A buyer who arrives while all are in use waits for one of them."""
GAVE_UP = "gave up"
_SEED = 1


def arrivals(rate: float, seconds: float) -> list[float]:
    """The times of a Poisson process, in seconds from its start. Equal arguments, equal times."""
    draw, times, time_of_next = random.Random(_SEED), [], 0.0  # noqa: S311 - no secret
    while (time_of_next := time_of_next + draw.expovariate(rate)) < seconds:
        times.append(time_of_next)
    return times


def sell(
    address: str,
    product_id: str,
    times: Sequence[float],
    *,
    connections: int = CONNECTIONS,
    patience: float = PATIENCE_SECONDS,
) -> Sales:
    """One order for each arrival. The sale ends with the last response."""
    return asyncio.run(_sell(address, product_id, times, connections, patience))


async def _sell(
    address: str, product_id: str, times: Sequence[float], connections: int, patience: float
) -> Sales:
    due: asyncio.Queue[float | None] = asyncio.Queue()
    began = time.monotonic()
    each = [
        asyncio.create_task(_serve(address, product_id, due, patience)) for _ in range(connections)
    ]
    for arrival in times:
        await asyncio.sleep(max(0.0, began + arrival - time.monotonic()))
        due.put_nowait(began + arrival)
    for _ in each:
        due.put_nowait(None)
    return together(await asyncio.gather(*each), time.monotonic() - began)


async def _serve(
    address: str, product_id: str, due: asyncio.Queue[float | None], patience: float
) -> Sales:
    """Place the orders of arrivals on one connection, until there is None."""
    sales, buyer = Sales(), Buyer(address, product_id)
    try:
        while (arrived := await due.get()) is not None:
            left = arrived + patience - time.monotonic()
            status = await buyer.order(left) if left > 0 else GAVE_UP
            waited = time.monotonic() - arrived
            late = waited >= patience or status == TimeoutError.__name__
            sales.count(GAVE_UP if late else status, waited)
    finally:
        buyer.close()
    return sales
