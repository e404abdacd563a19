"""The load generator: arrivals do not depend on responses, and latency counts from the due time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest
from demo.client import Client, NoResponseError, Response
from demo.load import Load
from demo.plan import Arrival
from demo.recording import Recording
from support.recordings import on_knative

CREATED = Response(201, {"x-pod": "order-1"}, b'{"order_id": "ORD1"}')


class Shop(Client):
    """A client that responds when the test opens it."""

    def __init__(self) -> None:
        super().__init__("http://shop.example.com")
        self.open = asyncio.Event()
        self.answer: Response | Exception = CREATED
        self.blocks = 0.0
        self.most = 0
        self.load: Load | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        assert (method, path) == ("POST", "/orders")
        assert b'"quantity": 1' in body
        assert headers
        assert headers["Idempotency-Key"]
        assert self.load
        self.most = max(self.most, self.load.in_flight)
        time.sleep(self.blocks)  # noqa: ASYNC251 - a generator that is held up itself
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def empty() -> Recording:
    recording = on_knative()
    recording.answers = []
    return recording


def arrivals(count: int, every: float) -> list[Arrival]:
    return [Arrival(number * every, "P", "C") for number in range(count)]


async def sell(shop: Shop, coming: list[Arrival], opens_after: float) -> Recording:
    recording = empty()
    shop.load = Load(shop, recording)
    asyncio.get_running_loop().call_later(opens_after, shop.open.set)
    await shop.load.run(coming)
    assert shop.load.in_flight == 0
    return recording


def test_load_is_open_and_latency_counts_from_the_due_time() -> None:
    async def stalled() -> None:
        shop = Shop()
        recording = await sell(shop, arrivals(20, 0.005), opens_after=0.3)
        assert shop.most == 20, "all arrived while the first was in flight"
        first = min(each.due for each in recording.answers)
        for each in recording.answers:
            assert each.latency >= 0.29 - (each.due - first)

    asyncio.run(stalled())


def test_latency_includes_the_delay_of_the_load_generator() -> None:
    async def held_up() -> None:
        shop = Shop()
        shop.blocks = 0.05
        recording = await sell(shop, arrivals(5, 0.0), opens_after=0.0)
        last = max(recording.answers, key=lambda each: each.sent)
        assert last.sent - last.due >= 0.19
        assert last.latency >= last.sent - last.due

    asyncio.run(held_up())


@pytest.mark.parametrize(
    ("answer", "status", "order_id", "cold"),
    [
        (CREATED, 201, "ORD1", False),
        (Response(201, {"server-timing": "total;dur=1, cold"}, CREATED.body), 201, "ORD1", True),
        (Response(409, {"server-timing": "total;dur=1"}, b"{}"), 409, None, False),
        (Response(503, {}, b"no problem document"), 503, None, False),
        (NoResponseError("broken off"), None, None, False),
    ],
)
def test_every_outcome_is_recorded(
    answer: Response | Exception, status: int | None, order_id: str | None, *, cold: bool
) -> None:
    async def once() -> None:
        shop = Shop()
        shop.answer = answer
        (kept,) = (await sell(shop, arrivals(1, 0.0), opens_after=0.0)).answers
        assert (kept.status, kept.order_id, kept.cold) == (status, order_id, cold)
        assert (kept.error is None) == (status is not None)

    asyncio.run(once())


def test_order_is_recorded_when_the_run_is_cancelled() -> None:
    async def cut() -> None:
        recording, shop = empty(), Shop()
        shop.load = Load(shop, recording)
        sale = asyncio.create_task(shop.load.run(arrivals(3, 0.0)))
        async with asyncio.timeout(10):
            while shop.load.in_flight < 3:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
        sale.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sale
        assert [each.error for each in recording.answers] == ["cut short"] * 3

    asyncio.run(cut())
