"""Lists take turns: in the order they came, within their deadlines, and never before an order."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from support.apps import order_app
from support.fakes import FakeInventory, MemoryOrders

from functions_common import limiter
from functions_common.limiter import ConcurrencyLimiter, TooManyListRequestsError
from functions_common.runtime.deadlines import Deadline

SOON = 10.0
"""Seconds that a test waits for another thread."""


def eventually(condition: Any) -> None:
    deadline = Deadline.after(SOON)
    while not condition():
        assert not deadline.passed
        time.sleep(0.001)


@contextmanager
def reader(
    of: ConcurrencyLimiter, done: list[str], name: str, seconds: float = SOON
) -> Iterator[None]:
    """A thread that waits for a turn, and writes down that it had one."""

    def read() -> None:
        try:
            with of.slot(Deadline.after(seconds)):
                done.append(name)
        except TooManyListRequestsError as error:
            done.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    yield
    thread.join()


def waiting(of: ConcurrencyLimiter) -> int:
    return len(of._waiting)  # noqa: SLF001 - nothing else tells that a thread waits


def test_turns_are_given_in_the_order_they_were_asked_for() -> None:
    of, done = ConcurrencyLimiter(max_concurrent=1, cooldown=False), list[str]()
    with ExitStack() as readers, of.slot(Deadline.after(SOON)):
        for n in range(8):
            readers.enter_context(reader(of, done, str(n)))
            eventually(lambda n=n: waiting(of) == n + 1)
        assert done == []
    assert done == [*"01234567"]


def test_so_many_have_a_turn_at_once() -> None:
    of, done = ConcurrencyLimiter(max_concurrent=3, cooldown=False), list[str]()
    with of.slot(Deadline.after(SOON)), of.slot(Deadline.after(SOON)):
        with reader(of, done, "third"):
            pass
        with of.slot(Deadline.after(SOON)), reader(of, done, "fourth", 0.05):
            pass
    assert done[0] == "third"
    assert "this one waited" in done[1]


def test_a_turn_is_waited_for_no_longer_than_the_deadline_allows() -> None:
    of, done = ConcurrencyLimiter(max_concurrent=1), list[str]()
    with of.slot(Deadline.after(SOON)), reader(of, done, "late", 0.2):
        pass
    assert re.fullmatch(r"Too many concurrent list requests: this one waited \d+\.\d s", done[0])
    assert waiting(of) == 0


def test_one_that_gave_up_does_not_take_the_turn_of_the_next() -> None:
    of, done = ConcurrencyLimiter(max_concurrent=1, cooldown=False), list[str]()
    with ExitStack() as readers, of.slot(Deadline.after(SOON)):
        with reader(of, done, "gives up", 0.05):
            pass
        readers.enter_context(reader(of, done, "next"))
        eventually(lambda: waiting(of) == 1)
    assert done[1] == "next"


def test_one_too_many_is_refused_at_once() -> None:
    of, done = ConcurrencyLimiter(max_waiting=1, max_concurrent=1, cooldown=False), list[str]()
    with ExitStack() as readers, of.slot(Deadline.after(SOON)):
        readers.enter_context(reader(of, done, "waits"))
        eventually(lambda: waiting(of) == 1)
        with (
            pytest.raises(TooManyListRequestsError, match="1 are waiting already"),
            of.slot(Deadline.after(SOON)),
        ):
            pytest.fail("there is no turn")
    assert done == ["waits"]


def test_a_turn_comes_back_when_its_list_fails() -> None:
    of = ConcurrencyLimiter(max_concurrent=1, cooldown=False)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), of.slot(Deadline.after(SOON)):
            raise ZeroDivisionError
    with of.slot(Deadline.after(SOON)):
        pass


def test_a_turn_rests_longer_than_it_was_used() -> None:
    of, used = ConcurrencyLimiter(max_concurrent=1), 0.1
    began = time.monotonic()
    with of.slot(Deadline.after(SOON)):
        time.sleep(used)
    with of.slot(Deadline.after(SOON)):
        assert time.monotonic() - began >= (1 + limiter.COOLDOWN_FACTOR) * used


def test_a_resting_turn_is_not_waited_for_beyond_the_deadline() -> None:
    of = ConcurrencyLimiter(max_concurrent=1)
    with of.slot(Deadline.after(SOON)):
        time.sleep(0.2)
    with pytest.raises(TooManyListRequestsError), of.slot(Deadline.after(0.05)):
        pytest.fail("it rests")
    with of.slot(Deadline.after(SOON)):
        pass


def test_lists_leave_threads_for_orders() -> None:
    for concurrency in (1, 4, 8, 32, 64, 1000):
        held = sum(
            each._max_waiting + len(each._free)  # noqa: SLF001
            for each in (limiter.for_queries(concurrency), limiter.for_calls(concurrency))
        )
        assert held <= max(5, concurrency * 3 / 4)


class Slow(FakeInventory):
    """inventory that lets a list wait until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(P001=50)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def catalogue(self, *_: Any) -> tuple[int, bytes]:
        self.asked.set()
        assert self.go_on.wait(SOON)
        return 200, b'{"products":[],"next_cursor":null}'


def test_while_lists_wait_orders_are_placed_and_another_list_is_told_why_it_is_not_read() -> None:
    inventory = Slow()
    app = order_app(
        MemoryOrders(), inventory, turns=ConcurrencyLimiter(max_waiting=0, max_concurrent=1)
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
