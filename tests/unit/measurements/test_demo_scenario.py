"""The phases of a run, on a shop in memory."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from demo import phases, scenario
from demo.client import Client, Response
from demo.environment import DemoError
from demo.lesson import Guide
from demo.plan import Plan
from demo.recording import Phase, Platform, Recording
from demo.view import View
from rich.console import Console
from support.recordings import on_knative

PLAN = Plan("x", buyers=200, seconds=0.1, mix=0.5, seed=1)


class Shop(Client):
    def __init__(self, first_status: int) -> None:
        super().__init__("http://shop.example.com")
        self.first_status = first_status
        self.orders = 0

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        if method == "GET":
            stock = {"available_quantity": 1, "reserved_quantity": self.orders}
            return Response(200, {}, json.dumps(stock).encode())
        assert (path, bool(body), bool(headers)) == ("/orders", True, True)
        self.orders += 1
        status = self.first_status if self.orders == 1 else 201
        return Response(status, {}, json.dumps({"order_id": f"ORD{self.orders}"}).encode())


class Environment:
    """The part of an environment that a run uses."""

    def __init__(self, where: Platform, first_status: int = 201) -> None:
        self.where = where
        self.shop = Shop(first_status)
        self.zeros = 0

    def client(self) -> Client:
        return self.shop

    @asynccontextmanager
    async def record_pods(self, _: Recording) -> AsyncIterator[None]:
        yield

    async def wait_until_zero(self, _: Recording) -> None:
        self.zeros += 1


class Listener(Guide):
    def __init__(self) -> None:
        self.heard: list[str] = []

    async def before(self, phase: str) -> None:
        self.heard.append(f"before {phase}")

    def after(self, recording: Recording, phase: Phase) -> None:
        assert recording.phases[-1] is phase
        self.heard.append(f"after {phase.name}")


def play(environment: Environment, guide: Guide) -> Recording:
    recording = on_knative()
    recording.phases, recording.answers, recording.stock = [], [], []
    recording.where = environment.where
    view = View(Console(file=io.StringIO()), recording)
    shop: Any = environment
    asyncio.run(scenario.play(shop, PLAN, recording, view, guide))
    return recording


def test_guide_hears_of_each_phase_before_and_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)
    environment, guide = Environment(Platform.KNATIVE), Listener()
    recording = play(environment, guide)
    names = [
        phases.WAIT_FOR_ZERO,
        phases.COLD_START,
        phases.HOT_PRODUCT,
        phases.MANY_PRODUCTS,
        phases.SCALE_DOWN,
    ]
    assert [phase.name for phase in recording.phases] == names
    assert guide.heard == [f"{when} {name}" for name in names for when in ("before", "after")]
    assert environment.zeros == 3, "again after the pause, as a job may have woken a function"


def test_run_on_processes_has_no_phase_that_needs_pods() -> None:
    environment = Environment(Platform.PROCESSES)
    recording = play(environment, Guide())
    assert [phase.name for phase in recording.phases] == [
        phases.FIRST_ORDER,
        phases.HOT_PRODUCT,
        phases.MANY_PRODUCTS,
    ]
    assert environment.zeros == 0
    arrivals = len(PLAN.one_product_arrivals()) + len(PLAN.many_products_arrivals())
    assert len(recording.answers) == 1 + arrivals


@pytest.mark.parametrize("status", [401, 403])
def test_run_ends_after_the_first_order_when_the_shop_requires_a_login(status: int) -> None:
    environment = Environment(Platform.PROCESSES, first_status=status)
    with pytest.raises(BaseExceptionGroup) as raised:
        play(environment, Guide())
    assert raised.group_contains(DemoError, match="requires a login")
    assert environment.shop.orders == 1


def test_run_continues_when_the_first_order_fails_otherwise() -> None:
    """A cold start may take longer than the platform allows."""
    environment = Environment(Platform.PROCESSES, first_status=503)
    assert len(play(environment, Guide()).phases) == 3
