"""The phases of a run: cold start, sale and scale-down to zero; then a recount by other sources."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo import phases
from demo.background_tasks import background
from demo.client import NoResponseError
from demo.environment import DemoError
from demo.load import Load
from demo.recording import Checks, Phase, Platform, StockReading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from demo.client import Client
    from demo.environment import Environment
    from demo.lesson import Guide
    from demo.plan import Plan
    from demo.recording import OrderResult, Recording
    from demo.view import View

STOCK_INTERVAL_SECONDS = 0.5
"""Between two readings of the hot product's stock."""
OK, UNAUTHORIZED, FORBIDDEN = 200, 401, 403


async def play(
    environment: Environment, plan: Plan, recording: Recording, view: View, guide: Guide
) -> None:
    async with environment.client() as client:
        load = Load(client, recording)
        async with environment.record_pods(recording), background(view.run(load)):
            await _perform(environment, plan, load, client, _Phases(recording, guide))


async def _perform(
    environment: Environment, plan: Plan, load: Load, client: Client, phase: _Phases
) -> None:
    recording = phase.recording

    async def still_zero() -> None:
        """A pause may have been long enough for `reconcile` to wake inventory."""
        await environment.wait_until_zero(recording)
        # A kubelet checks its containers once a second: begin at a random point of that second.
        await asyncio.sleep(random.random())  # noqa: S311 - not secret

    scales_to_zero = environment.where is Platform.KNATIVE
    if scales_to_zero:
        async with phase(phases.WAIT_FOR_ZERO):
            await environment.wait_until_zero(recording)
        first = phase(phases.COLD_START, when=still_zero)
    else:
        first = phase(phases.FIRST_ORDER)
    async with first:
        _check(await load.buy(plan.hot, plan.customers[0], recording.now()))
    async with background(_read_stock_repeatedly(client, recording)):
        async with phase(phases.HOT_PRODUCT):
            await load.run(plan.one_product_arrivals())
        async with phase(phases.MANY_PRODUCTS):
            await load.run(plan.many_products_arrivals())
    recording.stock.extend(await _stock(client, recording))
    if scales_to_zero:
        async with phase(phases.SCALE_DOWN):
            await environment.wait_until_zero(recording)


def _check(first: OrderResult) -> None:
    """Raise ``DemoError`` if no later order can succeed either, such as without a login."""
    if first.status in (UNAUTHORIZED, FORBIDDEN):
        raise DemoError(
            f"order requires a login (status {first.status}), and the demo has none. It needs a"
            " shop with AUTH_MODE=open, as `make deploy` installs it"
        )


async def recount(environment: Environment, plan: Plan, recording: Recording) -> Checks:
    """Count orders in the database and pods in the scheduler's events, and audit the database."""
    async with environment.client() as client:
        stored = [
            order_id
            for customer in plan.customers
            for order_id in await _confirmed(client, customer)
        ]
        stock = await _stock(client, recording)
    return Checks(
        stored=sorted(stored),
        stock=stock[0] if stock else None,
        pods=await asyncio.to_thread(environment.recount, recording),
        audit=await asyncio.to_thread(environment.audit),
    )


@dataclass(frozen=True, slots=True)
class _Phases:
    recording: Recording
    guide: Guide

    @asynccontextmanager
    async def __call__(
        self, name: str, when: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """Record the phase. It begins when the guide allows it, and then ``when`` has returned."""
        await self.guide.before(name)
        if when is not None:
            await when()
        phase = Phase(name, self.recording.now())
        self.recording.phases.append(phase)
        try:
            yield
        finally:
            phase.ended = self.recording.now()
        self.guide.after(self.recording, phase)


async def _read_stock_repeatedly(client: Client, recording: Recording) -> None:
    while True:
        recording.stock.extend(await _stock(client, recording))
        await asyncio.sleep(STOCK_INTERVAL_SECONDS)


async def _stock(client: Client, recording: Recording) -> list[StockReading]:
    """One reading; none if the request failed."""
    try:
        response = await client.request("GET", f"/products/{recording.hot}")
    except NoResponseError:
        return []
    if response.status != OK:
        return []
    found = json.loads(response.body)
    return [StockReading(recording.now(), found["available_quantity"], found["reserved_quantity"])]


async def _confirmed(client: Client, customer_id: str) -> list[str]:
    """Ids of all confirmed orders of a customer."""
    found: list[str] = []
    cursor = ""
    while True:
        path = f"/orders?customer_id={customer_id}&status=confirmed&limit=200{cursor}"
        response = await client.request("GET", path)
        if response.status != OK:
            raise DemoError(f"GET {path}: status {response.status}")
        page: Any = json.loads(response.body)
        found += [order["order_id"] for order in page["orders"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
