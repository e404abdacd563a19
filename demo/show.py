"""The demonstration: from zero, through a sale, back to zero; and the second count afterwards."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from demo.background import background
from demo.client import NoAnswerError
from demo.load import Load
from demo.recording import Checks, Phase, Stock, Where
from demo.stage import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from demo.client import Client
    from demo.plan import Plan
    from demo.recording import Recording
    from demo.stage import Stage
    from demo.view import View

LOOK_SECONDS = 0.5
"""Between two looks at the hot product's stock, while people buy."""
OK = 200

ASLEEP = "waiting for zero"
FROM_ZERO = "one order, from zero"
FIRST = "one order"
ON_ONE = "everybody wants one product"
ON_MANY = "then many products"
SILENCE = "silence"


async def show(stage: Stage, plan: Plan, recording: Recording, view: View) -> None:
    async with stage.client() as client:
        load = Load(client, recording)
        async with stage.watching(recording), background(view.run(load)):
            await _perform(stage, plan, recording, load, client)


async def _perform(
    stage: Stage, plan: Plan, recording: Recording, load: Load, client: Client
) -> None:
    sleeps = stage.where is Where.KNATIVE
    if sleeps:
        with _phase(recording, ASLEEP):
            await stage.asleep(recording)
            # A kubelet looks at its containers once a second. Not always at the same moment of it.
            await asyncio.sleep(random.random())  # noqa: S311 - nothing secret
    with _phase(recording, FROM_ZERO if sleeps else FIRST):
        await load.buy(plan.hot, plan.customers[0], recording.now())
    async with background(_look_at_stock(client, recording)):
        with _phase(recording, ON_ONE):
            await load.run(plan.on_one())
        with _phase(recording, ON_MANY):
            await load.run(plan.on_many())
    recording.stock.extend(await _stock(client, recording))
    if sleeps:
        with _phase(recording, SILENCE):
            await stage.asleep(recording)


async def check(stage: Stage, plan: Plan, recording: Recording) -> Checks:
    """Count again: orders from the store, pods from another source, and the audit of it all."""
    async with stage.client() as client:
        stored = [each for who in plan.customers for each in await _confirmed(client, who)]
        stock = await _stock(client, recording)
    return Checks(
        stored=sorted(stored),
        stock=stock[0] if stock else None,
        pods=await asyncio.to_thread(stage.recount, recording),
        audit=await asyncio.to_thread(stage.audit),
    )


@contextmanager
def _phase(recording: Recording, name: str) -> Iterator[None]:
    phase = Phase(name, recording.now())
    recording.phases.append(phase)
    try:
        yield
    finally:
        phase.ended = recording.now()


async def _look_at_stock(client: Client, recording: Recording) -> None:
    while True:
        recording.stock.extend(await _stock(client, recording))
        await asyncio.sleep(LOOK_SECONDS)


async def _stock(client: Client, recording: Recording) -> list[Stock]:
    """One look, or none where there was no answer."""
    try:
        answer = await client.ask("GET", f"/products/{recording.hot}")
    except NoAnswerError:
        return []
    if answer.status != OK:
        return []
    found = json.loads(answer.body)
    return [Stock(recording.now(), found["available_quantity"], found["reserved_quantity"])]


async def _confirmed(client: Client, customer_id: str) -> list[str]:
    """Ids of all confirmed orders of a customer."""
    found: list[str] = []
    cursor = ""
    while True:
        path = f"/orders?customer_id={customer_id}&status=confirmed&limit=200{cursor}"
        answer = await client.ask("GET", path)
        if answer.status != OK:
            raise DemoError(f"the orders cannot be listed: {answer.status}")
        page: Any = json.loads(answer.body)
        found += [order["order_id"] for order in page["orders"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
