"""Many calls, one request: who goes with whom, who waits for whom, and what each is told."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.builders import soon
from support.queues import until_waiting, waiting

from functions_common import batching as coalescing
from functions_common.batching import Coalesced, UnansweredError
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST = 10


class Wire:
    """Answers each with itself, and can be held up until it is told to go on."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.reached = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.error: BaseException | None = None

    def __call__(self, what: Sequence[str], deadline: Deadline) -> list[str]:
        deadline.timeout(1)
        self.sent.append(list(what))
        self.reached.release()
        assert self.go_on.acquire(timeout=10)
        if self.error is not None:
            raise self.error
        return [f"to {each}" for each in what]

    def coalesced(self) -> Coalesced[str, str]:
        return Coalesced(self, MOST, len)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "PATIENCE", 10)


def queue_up(
    pool: ThreadPoolExecutor, call: Coalesced[str, str], *wanted: str, by: Deadline | None = None
) -> list[Future[str]]:
    """One after the other, each waiting before the next comes."""
    futures = []
    for what in wanted:
        before = waiting(call)
        futures.append(pool.submit(call, what, by or soon()))
        until_waiting(call, before + 1)
    return futures


def under_way(pool: ThreadPoolExecutor, call: Coalesced[str, str], wire: Wire) -> Future[str]:
    first = pool.submit(call, "first", soon())
    assert wire.reached.acquire(timeout=10)
    return first


def test_alone_it_goes_at_once(wire: Wire) -> None:
    wire.go_on.release()
    assert wire.coalesced()("a", soon()) == "to a"
    assert wire.sent == [["a"]]


@pytest.mark.usefixtures("_patient")
def test_what_waits_goes_together_and_each_has_its_own_answer(
    wire: Wire, pool: ThreadPoolExecutor
) -> None:
    call = wire.coalesced()
    first = under_way(pool, call, wire)
    others = queue_up(pool, call, "a", "b", "c")
    wire.go_on.release(2)
    assert [each.result() for each in (first, *others)] == ["to first", "to a", "to b", "to c"]
    assert wire.sent == [["first"], ["a", "b", "c"]]


@pytest.mark.usefixtures("_patient")
def test_no_more_than_may_go_together_do(wire: Wire, pool: ThreadPoolExecutor) -> None:
    call = wire.coalesced()
    under_way(pool, call, wire)
    others = queue_up(pool, call, "four", "five5", "two", "beyond all bounds", "x")
    wire.go_on.release(5)
    assert [each.result() for each in others][3] == "to beyond all bounds"
    assert wire.sent[1:] == [["four", "five5"], ["two"], ["beyond all bounds"], ["x"]]


@pytest.mark.usefixtures("_patient")
def test_what_goes_wrong_goes_wrong_for_all_that_went(wire: Wire, pool: ThreadPoolExecutor) -> None:
    call = wire.coalesced()
    first = under_way(pool, call, wire)
    others = queue_up(pool, call, "a", "b")
    wire.error = ConnectionError("cut off")
    wire.go_on.release(2)
    for each in (first, *others):
        with pytest.raises(ConnectionError, match="cut off"):
            each.result()
    wire.error = None
    wire.go_on.release()
    assert call("c", soon()) == "to c", "and the next one goes at once"


@pytest.mark.usefixtures("_patient")
def test_where_a_thread_dies_its_others_know_nothing_and_the_next_goes_on(
    wire: Wire, pool: ThreadPoolExecutor
) -> None:
    call = wire.coalesced()
    under_way(pool, call, wire)
    a, b = queue_up(pool, call, "a", "b")
    wire.go_on.release()
    assert wire.reached.acquire(timeout=10)
    (c,) = queue_up(pool, call, "c")
    wire.error = SystemExit()
    wire.go_on.release()
    with pytest.raises(SystemExit):
        a.result()
    with pytest.raises(UnansweredError):
        b.result()
    wire.error = None
    wire.go_on.release()
    assert c.result() == "to c"


def test_nobody_waits_long_for_one_that_is_slow(wire: Wire, pool: ThreadPoolExecutor) -> None:
    call = wire.coalesced()
    slow = under_way(pool, call, wire)
    others = [pool.submit(call, what, soon()) for what in ("a", "b")]
    assert wire.reached.acquire(timeout=10), "sent beside it"
    assert not slow.done()
    wire.go_on.release(3)
    assert {each.result() for each in others} == {"to a", "to b"}
    assert slow.result() == "to first"


def test_one_that_was_too_slow_sets_off_no_other(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else, after one slow moment, there would be two under way for as long as anybody waits."""
    gates = {what: threading.Event() for what in "abc"}
    sent: list[str] = []

    def send(what: Sequence[str], _: Deadline) -> Sequence[str]:
        sent.extend(what)
        assert gates[what[0]].wait(10)
        return what

    call = Coalesced(send, MOST, len)
    slow = pool.submit(call, "a", soon())
    while sent != ["a"]:
        time.sleep(0)
    beside = pool.submit(call, "b", soon())
    while sent != ["a", "b"]:
        time.sleep(0)
    monkeypatch.setattr(coalescing, "PATIENCE", 10)
    (waits,) = queue_up(pool, call, "c")
    gates["a"].set()
    assert slow.result() == "a"
    assert sent == ["a", "b"]
    gates["b"].set()
    gates["c"].set()
    assert (beside.result(), waits.result()) == ("b", "c")


@pytest.mark.usefixtures("_patient")
def test_at_its_deadline_one_that_was_not_sent_says_so(
    wire: Wire, pool: ThreadPoolExecutor
) -> None:
    call = wire.coalesced()
    first = under_way(pool, call, wire)
    with pytest.raises(DeadlineExceededError):
        call("a", Deadline.after(0.01))
    wire.go_on.release()
    assert first.result() == "to first"
    assert wire.sent == [["first"]]


@pytest.mark.usefixtures("_patient")
def test_one_with_little_time_left_sends_for_nobody_else(
    wire: Wire, pool: ThreadPoolExecutor
) -> None:
    call = wire.coalesced()
    under_way(pool, call, wire)
    (short,) = queue_up(pool, call, "a", by=Deadline.after(coalescing.LEAST_LEFT))
    others = queue_up(pool, call, "b", "c")
    wire.go_on.release(3)
    assert [each.result() for each in (short, *others)] == ["to a", "to b", "to c"]
    assert wire.sent[1:] == [["a"], ["b", "c"]]


@pytest.mark.usefixtures("_patient")
def test_what_is_too_late_when_the_next_goes_is_not_sent(
    wire: Wire, pool: ThreadPoolExecutor
) -> None:
    call = wire.coalesced()
    under_way(pool, call, wire)
    late = coalescing._Call[str, str]("late", Deadline.after(0))  # noqa: SLF001 - as if it slept
    (leads,) = queue_up(pool, call, "a")
    call._waiting.append(late)  # noqa: SLF001
    (goes_along,) = queue_up(pool, call, "b")
    wire.go_on.release(2)
    assert (leads.result(), goes_along.result()) == ("to a", "to b")
    with pytest.raises(DeadlineExceededError):
        late.result()
    assert wire.sent[1:] == [["a", "b"]]


@pytest.mark.usefixtures("_patient")
def test_at_its_deadline_one_that_was_sent_knows_nothing(
    wire: Wire, pool: ThreadPoolExecutor
) -> None:
    call = wire.coalesced()
    under_way(pool, call, wire)
    (leads,) = queue_up(pool, call, "a")
    (goes_along,) = queue_up(pool, call, "b", by=Deadline.after(1))
    wire.go_on.release()
    with pytest.raises(UnansweredError):
        goes_along.result()
    wire.go_on.release()
    assert leads.result() == "to a"


def test_those_whose_sender_has_no_time_left_are_sent_by_another(
    wire: Wire, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "PATIENCE", 10)
    call = wire.coalesced()
    under_way(pool, call, wire)
    others = queue_up(pool, call, "a", "b", "c")

    def out_of_time(*_: object) -> list[str]:
        monkeypatch.setattr(call, "_send", wire)
        raise DeadlineExceededError

    monkeypatch.setattr(call, "_send", out_of_time)
    wire.go_on.release(3)
    with pytest.raises(DeadlineExceededError):
        others[0].result()
    assert {each.result() for each in others[1:]} == {"to b", "to c"}


def test_in_any_crowd_each_is_sent_once_and_told_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "PATIENCE", 0.002)
    sent: list[int] = []

    def send(what: Sequence[int], _: Deadline) -> list[int]:
        sent.extend(what)
        time.sleep(random.uniform(0, 0.006))  # noqa: S311 - as a network does
        return [-each for each in what]

    call = Coalesced(send, MOST, lambda _: 1)
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(lambda n: call(n, soon()), range(2000))) == [-n for n in range(2000)]
    assert sorted(sent) == list(range(2000))
    assert call._last is None  # noqa: SLF001 - nobody is waited for
