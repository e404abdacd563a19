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

from functions_common.runtime import turns
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.turns import TooManyListsError, Turns

SOON = 10.0
"""Seconds that a test waits for another thread."""


def eventually(condition: Any) -> None:
    deadline = Deadline.after(SOON)
    while not condition():
        assert not deadline.passed
        time.sleep(0.001)


@contextmanager
def reader(of: Turns, done: list[str], name: str, seconds: float = SOON) -> Iterator[None]:
    """A thread that waits for a turn, and writes down that it had one."""

    def read() -> None:
        try:
            with of.take(Deadline.after(seconds)):
                done.append(name)
        except TooManyListsError as error:
            done.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    yield
    thread.join()


def waiting(of: Turns) -> int:
    return len(of._waiting)  # noqa: SLF001 - nothing else tells that a thread waits


def test_turns_are_given_in_the_order_they_were_asked_for() -> None:
    of, done = Turns(at_once=1, rests=False), list[str]()
    with ExitStack() as readers, of.take(Deadline.after(SOON)):
        for n in range(8):
            readers.enter_context(reader(of, done, str(n)))
            eventually(lambda n=n: waiting(of) == n + 1)
        assert done == []
    assert done == [*"01234567"]


def test_so_many_have_a_turn_at_once() -> None:
    of, done = Turns(at_once=3, rests=False), list[str]()
    with of.take(Deadline.after(SOON)), of.take(Deadline.after(SOON)):
        with reader(of, done, "third"):
            pass
        with of.take(Deadline.after(SOON)), reader(of, done, "fourth", 0.05):
            pass
    assert done[0] == "third"
    assert "s for a turn" in done[1]


def test_a_turn_is_waited_for_no_longer_than_the_deadline_allows() -> None:
    of, done = Turns(at_once=1), list[str]()
    with of.take(Deadline.after(SOON)), reader(of, done, "late", 0.2):
        pass
    assert re.fullmatch(r"Too many list requests at once: waited \d+\.\d s for a turn", done[0])
    assert waiting(of) == 0


def test_one_that_gave_up_does_not_take_the_turn_of_the_next() -> None:
    of, done = Turns(at_once=1, rests=False), list[str]()
    with ExitStack() as readers, of.take(Deadline.after(SOON)):
        with reader(of, done, "gives up", 0.05):
            pass
        readers.enter_context(reader(of, done, "next"))
        eventually(lambda: waiting(of) == 1)
    assert done[1] == "next"


def test_one_too_many_is_refused_at_once() -> None:
    of, done = Turns(most_waiting=1, at_once=1, rests=False), list[str]()
    with ExitStack() as readers, of.take(Deadline.after(SOON)):
        readers.enter_context(reader(of, done, "waits"))
        eventually(lambda: waiting(of) == 1)
        with (
            pytest.raises(TooManyListsError, match="1 wait for a turn already"),
            of.take(Deadline.after(SOON)),
        ):
            pytest.fail("there is no turn")
    assert done == ["waits"]


def test_a_turn_comes_back_when_its_list_fails() -> None:
    of = Turns(at_once=1, rests=False)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), of.take(Deadline.after(SOON)):
            raise ZeroDivisionError
    with of.take(Deadline.after(SOON)):
        pass


def test_a_turn_rests_longer_than_it_was_used() -> None:
    of, used = Turns(at_once=1), 0.1
    began = time.monotonic()
    with of.take(Deadline.after(SOON)):
        time.sleep(used)
    with of.take(Deadline.after(SOON)):
        assert time.monotonic() - began >= (1 + turns.REST) * used


def test_a_resting_turn_is_not_waited_for_beyond_the_deadline() -> None:
    of = Turns(at_once=1)
    with of.take(Deadline.after(SOON)):
        time.sleep(0.2)
    with pytest.raises(TooManyListsError), of.take(Deadline.after(0.05)):
        pytest.fail("it rests")
    with of.take(Deadline.after(SOON)):
        pass


def test_lists_leave_threads_for_orders() -> None:
    for concurrency in (1, 4, 8, 32, 64, 1000):
        held = sum(
            each._most_waiting + len(each._free)  # noqa: SLF001
            for each in (turns.of_server(concurrency), turns.of_calls(concurrency))
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
    app = order_app(MemoryOrders(), inventory, turns=Turns(most_waiting=0, at_once=1))
    first = threading.Thread(target=lambda: app.test_client().get("/products"))
    first.start()
    try:
        assert inventory.asked.wait(SOON)
        answer: Any = app.test_client().get("/products")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json["type"] == "urn:problem-type:temporarily-unavailable"
        assert answer.json["detail"].startswith("Too many list requests at once: ")
        order = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
        assert app.test_client().post("/orders", json=order).status_code == 201
    finally:
        inventory.go_on.set()
        first.join()
