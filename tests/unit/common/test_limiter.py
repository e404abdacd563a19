"""The limiter of list requests: fair, within deadlines, and without delay for orders."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from support.in_process.apps import order_app
from support.in_process.queues import wait_until_queued
from support.stores.fakes import FakeInventory, MemoryOrders

from functions_common import limiter as limiters
from functions_common.limiter import ConcurrencyLimiter, TooManyListRequestsError
from functions_common.runtime.deadlines import Deadline

SOON = 10.0
"""Seconds that a test waits for another thread."""


@contextmanager
def reader(
    limiter: ConcurrencyLimiter, done: list[str], name: str, seconds: float = SOON
) -> Iterator[None]:
    """A thread that waits for a slot. It adds its name to ``done``, or the error."""

    def read() -> None:
        try:
            with limiter.slot(Deadline.after(seconds)):
                done.append(name)
        except TooManyListRequestsError as error:
            done.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    yield
    thread.join()


def test_slots_are_granted_in_order_of_arrival() -> None:
    limiter, done = ConcurrencyLimiter(max_concurrent=1, cooldown=False), list[str]()
    with ExitStack() as readers, limiter.slot(Deadline.after(SOON)):
        for n in range(8):
            readers.enter_context(reader(limiter, done, str(n)))
            wait_until_queued(limiter, n + 1)
        assert done == []
    assert done == [*"01234567"]


def test_concurrent_slots_are_limited() -> None:
    limiter, done = ConcurrencyLimiter(max_concurrent=3, cooldown=False), list[str]()
    with limiter.slot(Deadline.after(SOON)), limiter.slot(Deadline.after(SOON)):
        with reader(limiter, done, "third"):
            pass
        with limiter.slot(Deadline.after(SOON)), reader(limiter, done, "fourth", 0.05):
            pass
    assert done[0] == "third"
    assert "this one waited" in done[1]


def test_slot_raises_when_the_wait_is_too_long() -> None:
    limiter, done = ConcurrencyLimiter(max_concurrent=1), list[str]()
    with limiter.slot(Deadline.after(SOON)), reader(limiter, done, "late", 0.2):
        pass
    assert re.fullmatch(r"Too many concurrent list requests: this one waited \d+\.\d s", done[0])
    assert limiter.waiting == 0


def test_next_request_gets_the_slot_when_one_has_given_up() -> None:
    limiter, done = ConcurrencyLimiter(max_concurrent=1, cooldown=False), list[str]()
    with ExitStack() as readers, limiter.slot(Deadline.after(SOON)):
        with reader(limiter, done, "gives up", 0.05):
            pass
        readers.enter_context(reader(limiter, done, "next"))
        wait_until_queued(limiter, 1)
    assert done[1] == "next"


def test_slot_raises_immediately_when_the_queue_is_full() -> None:
    limiter, done = ConcurrencyLimiter(max_waiting=1, max_concurrent=1, cooldown=False), list[str]()
    with ExitStack() as readers, limiter.slot(Deadline.after(SOON)):
        readers.enter_context(reader(limiter, done, "waits"))
        wait_until_queued(limiter, 1)
        with (
            pytest.raises(TooManyListRequestsError, match="1 are waiting already"),
            limiter.slot(Deadline.after(SOON)),
        ):
            pytest.fail("there is no slot")
    assert done == ["waits"]


def test_slot_is_released_when_the_block_raises() -> None:
    limiter = ConcurrencyLimiter(max_concurrent=1, cooldown=False)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limiter.slot(Deadline.after(SOON)):
            raise ZeroDivisionError
    with limiter.slot(Deadline.after(SOON)):
        pass


def test_slot_has_a_cooldown_longer_than_its_use() -> None:
    limiter, used = ConcurrencyLimiter(max_concurrent=1), 0.1
    began = time.monotonic()
    with limiter.slot(Deadline.after(SOON)):
        time.sleep(used)
    with limiter.slot(Deadline.after(SOON)):
        assert time.monotonic() - began >= (1 + limiters.COOLDOWN_FACTOR) * used


def test_slot_raises_when_the_cooldown_exceeds_the_deadline() -> None:
    limiter = ConcurrencyLimiter(max_concurrent=1)
    with limiter.slot(Deadline.after(SOON)):
        time.sleep(0.2)
    with pytest.raises(TooManyListRequestsError), limiter.slot(Deadline.after(0.05)):
        pytest.fail("the slot has a cooldown")
    with limiter.slot(Deadline.after(SOON)):
        pass


def test_limits_leave_threads_for_orders() -> None:
    for concurrency in (1, 4, 8, 32, 64, 1000):
        held = sum(
            each.max_threads
            for each in (
                limiters.firestore_list_limiter(concurrency),
                limiters.forwarded_list_limiter(concurrency),
            )
        )
        assert held <= max(5, concurrency * 3 / 4)


class Slow(FakeInventory):
    """An inventory whose catalogue responds once ``go_on`` is set."""

    def __init__(self) -> None:
        super().__init__(P001=50)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def catalogue(self, *_: Any) -> tuple[int, bytes]:
        self.asked.set()
        assert self.go_on.wait(SOON)
        return 200, b'{"products":[],"next_cursor":null}'


def test_order_is_placed_and_a_list_gets_503_when_all_slots_are_in_use() -> None:
    inventory = Slow()
    app = order_app(
        MemoryOrders(),
        inventory,
        product_list_limiter=ConcurrencyLimiter(max_waiting=0, max_concurrent=1),
    )
    first = threading.Thread(target=lambda: app.test_client().get("/products"))
    first.start()
    try:
        assert inventory.asked.wait(SOON)
        answer: Any = app.test_client().get("/products")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json["type"] == "urn:problem-type:temporarily-unavailable"
        assert answer.json["detail"].startswith("Too many concurrent list requests: ")
        order = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
        assert app.test_client().post("/orders", json=order).status_code == 201
    finally:
        inventory.go_on.set()
        first.join()
