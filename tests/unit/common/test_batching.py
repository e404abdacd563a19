"""The batcher: who shares a batch, who leads it, and what each caller gets."""

from __future__ import annotations

import math
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.in_process.deadlines import AdjustableDeadline
from support.in_process.queues import wait_until_queued
from support.stores.builders import soon
from support.waiting import wait_until

from functions_common.batching import RETRY, Batcher, QueueFullError, Retry, UnknownResultError
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_WEIGHT = 10
MIN_LEFT_TO_SHARE = 1.0
MIN_LEFT = 2.0


class Processor:
    """Returns ``to <item>`` for each item. Each batch waits for one permit of ``proceed``."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started = threading.Semaphore(0)
        self.proceed = threading.Semaphore(0)
        self.error: BaseException | None = None
        self.unfinished: set[str] = set()
        """Items that go back into the queue, each once."""

    def __call__(self, items: Sequence[str], deadline: Deadline) -> list[str | Retry]:
        deadline.timeout(1)
        self.batches.append(list(items))
        self.started.release()
        assert self.proceed.acquire(timeout=10)
        if self.error is not None:
            raise self.error
        results: list[str | Retry] = []
        for item in items:
            results.append(RETRY if item in self.unfinished else f"to {item}")
            self.unfinished.discard(item)
        return results

    def batcher(self, **limits: float) -> Batcher[str, str]:
        """Items weigh as much as they have characters."""
        return Batcher(self, len, MAX_WEIGHT, min_left_to_share=MIN_LEFT_TO_SHARE, **limits)  # type: ignore[arg-type]


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
def pool(processor: Processor) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool
        processor.proceed.release(20)  # for the batches of a failed test


def submit_in_order(
    pool: ThreadPoolExecutor,
    batcher: Batcher[str, str],
    *items: str,
    deadline: Deadline | None = None,
) -> list[Future[str]]:
    """Submit each item when the one before it is in the queue."""
    futures = []
    for item in items:
        before = batcher.waiting
        futures.append(pool.submit(batcher.submit, item, deadline or soon()))
        wait_until_queued(batcher, before + 1)
    return futures


def start_first_batch(
    pool: ThreadPoolExecutor, batcher: Batcher[str, str], processor: Processor
) -> Future[str]:
    first = pool.submit(batcher.submit, "first", soon())
    assert processor.started.acquire(timeout=10)
    return first


def test_single_item_starts_without_delay(processor: Processor) -> None:
    processor.proceed.release()
    assert processor.batcher().submit("a", soon()) == "to a"
    assert processor.batches == [["a"]]


def test_queued_items_share_the_next_batch_and_each_gets_its_own_result(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    first = start_first_batch(pool, batcher, processor)
    others = submit_in_order(pool, batcher, "a", "b", "c")
    processor.proceed.release(2)
    assert [each.result() for each in (first, *others)] == ["to first", "to a", "to b", "to c"]
    assert processor.batches == [["first"], ["a", "b", "c"]]


def test_batch_holds_at_most_the_maximum_weight_unless_one_item_weighs_more(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    start_first_batch(pool, batcher, processor)
    others = submit_in_order(pool, batcher, "four", "sixsix", "two", "beyond all bounds", "x")
    processor.proceed.release(5)
    assert [each.result() for each in others][3] == "to beyond all bounds"
    assert processor.batches[1:] == [["four", "sixsix"], ["two"], ["beyond all bounds"], ["x"]]


def test_leader_hands_over_after_one_batch(processor: Processor, pool: ThreadPoolExecutor) -> None:
    batcher = processor.batcher()
    first = start_first_batch(pool, batcher, processor)
    (second,) = submit_in_order(pool, batcher, "a")
    processor.proceed.release()
    assert first.result() == "to first", "while the batch of its successor is in flight"
    assert not second.done()
    processor.proceed.release()
    assert second.result() == "to a"


def test_batches_are_processed_in_threads_of_their_callers(pool: ThreadPoolExecutor) -> None:
    threads: list[int] = []

    def process_batch(items: Sequence[int], _: Deadline) -> Sequence[int]:
        threads.append(threading.get_ident())
        time.sleep(0.001)
        return items

    batcher = Batcher(process_batch, lambda _: 1, MAX_WEIGHT)

    def submit(item: int) -> int:
        batcher.submit(item, soon())
        return threading.get_ident()

    before = threading.active_count()
    callers = set(pool.map(submit, range(200)))
    assert set(threads) <= callers
    assert threading.active_count() <= before + len(callers)


def test_error_of_a_batch_is_raised_to_every_caller_of_the_batch(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    first = start_first_batch(pool, batcher, processor)
    others = submit_in_order(pool, batcher, "a", "b")
    processor.error = ConnectionError("cut off")
    processor.proceed.release(2)
    for each in (first, *others):
        with pytest.raises(ConnectionError, match="cut off"):
            each.result()
    processor.error = None
    processor.proceed.release()
    assert batcher.submit("c", soon()) == "to c", "the next item starts without delay"


@pytest.mark.parametrize("results", [[], ["to a", "to nobody"]])
def test_wrong_number_of_results_is_an_error_of_every_caller(
    pool: ThreadPoolExecutor, results: list[str]
) -> None:
    batcher = Batcher[str, str](lambda _items, _deadline: results, len, MAX_WEIGHT)
    with pytest.raises(ValueError, match="zip"):
        pool.submit(batcher.submit, "a", soon()).result()


def test_results_are_unknown_and_the_next_batch_starts_when_the_leaders_thread_ends(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    start_first_batch(pool, batcher, processor)
    a, b = submit_in_order(pool, batcher, "a", "b")
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    (c,) = submit_in_order(pool, batcher, "c")
    processor.error = SystemExit()
    processor.proceed.release()
    with pytest.raises(SystemExit):
        a.result()
    with pytest.raises(UnknownResultError, match=r"^the leader's thread ended without a result$"):
        b.result()
    processor.error = None
    processor.proceed.release()
    assert c.result() == "to c"


def test_unfinished_items_come_first_in_the_next_batch(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    start_first_batch(pool, batcher, processor)
    a, b, c = submit_in_order(pool, batcher, "a", "b", "c")
    processor.unfinished = {"b", "c"}
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    (d,) = submit_in_order(pool, batcher, "d")
    processor.proceed.release(2)
    assert [each.result() for each in (a, b, c, d)] == ["to a", "to b", "to c", "to d"]
    assert processor.batches[1:] == [["a", "b", "c"], ["b", "c", "d"]]


def test_leader_leads_again_while_its_own_item_is_unfinished(processor: Processor) -> None:
    processor.unfinished = {"a"}
    processor.proceed.release(2)
    assert processor.batcher().submit("a", soon()) == "to a"
    assert processor.batches == [["a"], ["a"]]


def test_item_is_rejected_when_the_queue_is_full(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    sizes = {"large": 9}
    batcher = Batcher[str, str](
        processor, len, MAX_WEIGHT, size=lambda item: sizes.get(item, 1), max_queued=2
    )
    start_first_batch(pool, batcher, processor)
    (large,) = submit_in_order(pool, batcher, "large")  # an empty queue takes an item of any size
    with pytest.raises(QueueFullError, match=r"^the queue is full: 9 are queued$") as full:
        batcher.submit("a", soon())
    assert full.value.queued == 9
    processor.proceed.release(2)
    assert large.result() == "to large"
    processor.proceed.release()
    assert batcher.submit("a", soon()) == "to a", "there is room again"


def rejects(batcher: Batcher[str, str], queued: int) -> bool:
    """The queue has no room for one more item, because this number is queued."""
    with pytest.raises(QueueFullError) as full:
        batcher.submit("one more", Deadline.after(1))
    return full.value.queued == queued


def test_processed_items_leave_room_in_the_queue(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher(max_queued=3)
    start_first_batch(pool, batcher, processor)
    submit_in_order(pool, batcher, "a", "b", "does not fit")
    assert rejects(batcher, queued=3)
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    submit_in_order(pool, batcher, "c", "d")
    assert processor.batches == [["first"], ["a", "b"]]
    assert rejects(batcher, queued=3)


def test_unfinished_items_take_room_in_the_queue(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher(max_queued=4)
    start_first_batch(pool, batcher, processor)
    submit_in_order(pool, batcher, "a", "four", "five5")
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    submit_in_order(pool, batcher, "does not fit")
    processor.unfinished = {"four", "five5"}
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    assert processor.batches == [["first"], ["a", "four", "five5"], ["four", "five5"]]
    submit_in_order(pool, batcher, "b", "c", "d")
    assert rejects(batcher, queued=4)


def test_item_that_left_at_its_deadline_leaves_room_and_starts_no_batch(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    sizes = {"late": 2, "same size": 2}
    batcher = Batcher[str, str](
        processor, len, MAX_WEIGHT, size=lambda item: sizes.get(item, 1), max_queued=3
    )
    start_first_batch(pool, batcher, processor)
    late = pool.submit(batcher.submit, "late", Deadline.after(0.1))
    wait_until_queued(batcher, 1)
    submit_in_order(pool, batcher, "a")
    with pytest.raises(DeadlineExceededError):
        late.result()
    assert not processor.started.acquire(timeout=0.05), "the first batch is still in flight"
    submit_in_order(pool, batcher, "same size")
    assert rejects(batcher, queued=3)


def test_batches_never_overlap_by_default(processor: Processor, pool: ThreadPoolExecutor) -> None:
    batcher = processor.batcher()
    start_first_batch(pool, batcher, processor)
    (waits,) = submit_in_order(pool, batcher, "a")
    assert not processor.started.acquire(timeout=0.05)
    assert len(processor.batches) == 1
    processor.proceed.release(2)
    assert waits.result() == "to a"


def test_waiter_starts_a_batch_beside_a_slow_one(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher(overtake_after=0.1)
    slow = start_first_batch(pool, batcher, processor)
    others = [pool.submit(batcher.submit, item, soon()) for item in ("a", "b")]
    assert processor.started.acquire(timeout=10), "started beside the slow batch"
    assert not slow.done()
    processor.proceed.release(3)
    assert {each.result() for each in others} == {"to a", "to b"}
    assert slow.result() == "to first"


def test_unfinished_item_waits_again_before_it_starts_a_batch_beside_another(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher(overtake_after=30)
    start_first_batch(pool, batcher, processor)
    deadline = AdjustableDeadline.after(60)
    (leads,) = submit_in_order(pool, batcher, "a", deadline=deadline)
    (waits,) = submit_in_order(pool, batcher, "b")
    processor.unfinished = {"a", "b"}
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    deadline.leave(MIN_LEFT_TO_SHARE)  # so that the next batch has the leader's item only
    processor.proceed.release()
    assert processor.started.acquire(timeout=10)
    assert not processor.started.acquire(timeout=0.05), "only the batch of the leader is in flight"
    processor.proceed.release(2)
    assert (leads.result(), waits.result()) == ("to a", "to b")
    assert processor.batches == [["first"], ["a", "b"], ["a"], ["b"]]


def test_slow_leader_that_was_overtaken_does_not_hand_over(pool: ThreadPoolExecutor) -> None:
    """Otherwise, after one slow moment, two batches are in flight while there are waiters."""
    gates = {item: threading.Event() for item in "abc"}
    sent: list[str] = []

    def process_batch(items: Sequence[str], _: Deadline) -> Sequence[str]:
        sent.extend(items)
        assert gates[items[0]].wait(10)
        return items

    batcher = Batcher[str, str](process_batch, len, MAX_WEIGHT, overtake_after=0.1)
    slow = pool.submit(batcher.submit, "a", soon())
    wait_until(lambda: sent == ["a"])
    beside = pool.submit(batcher.submit, "b", soon())
    wait_until(lambda: sent == ["a", "b"])
    batcher.overtake_after = 10  # no further batch starts beside another
    (waits,) = submit_in_order(pool, batcher, "c")
    gates["a"].set()
    assert slow.result() == "a"
    assert sent == ["a", "b"]
    gates["b"].set()
    gates["c"].set()
    assert (beside.result(), waits.result()) == ("b", "c")


def test_unfinished_items_of_an_overtaken_batch_are_processed_without_delay(
    pool: ThreadPoolExecutor,
) -> None:
    """The batch that overtook has ended, so no leader is left to hand over."""
    gates = {item: threading.Event() for item in "ab"}
    batches: list[str] = []

    def process_batch(items: Sequence[str], _: Deadline) -> Sequence[str | Retry]:
        batches.append(items[0])
        assert gates[items[0]].wait(10)
        return [RETRY] if batches.count("a") == 1 and items[0] == "a" else items

    batcher = Batcher[str, str](process_batch, len, MAX_WEIGHT, overtake_after=0.01)
    slow = pool.submit(batcher.submit, "a", soon())
    wait_until(lambda: batches == ["a"])
    gates["b"].set()
    assert batcher.submit("b", soon()) == "b"
    batcher.overtake_after = 10  # only a hand-over starts the next batch
    gates["a"].set()
    assert slow.result(5) == "a"
    assert batches == ["a", "b", "a"]


def test_queued_item_is_reported_as_not_sent_at_its_deadline(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    first = start_first_batch(pool, batcher, processor)
    with pytest.raises(DeadlineExceededError, match=r"^still queued at the deadline$"):
        batcher.submit("a", Deadline.after(0.01))
    processor.proceed.release()
    assert first.result() == "to first"
    assert processor.batches == [["first"]]


def test_item_is_not_started_when_less_than_the_minimum_is_left(processor: Processor) -> None:
    with pytest.raises(DeadlineExceededError, match=r"^no time left to begin$"):
        processor.batcher(min_left=1).submit("a", Deadline.after(0.5))
    assert not processor.batches


def test_leader_with_little_time_left_processes_its_own_item_only(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    start_first_batch(pool, batcher, processor)
    deadline = AdjustableDeadline.after(60)
    (short,) = submit_in_order(pool, batcher, "a", deadline=deadline)
    others = submit_in_order(pool, batcher, "b", "c")
    deadline.leave(MIN_LEFT_TO_SHARE)
    processor.proceed.release(3)
    assert [each.result() for each in (short, *others)] == ["to a", "to b", "to c"]
    assert processor.batches[1:] == [["a"], ["b", "c"]]


def test_leader_shares_its_batch_until_its_deadline_by_default(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = Batcher[str, str](processor, len, MAX_WEIGHT)
    start_first_batch(pool, batcher, processor)
    deadline = AdjustableDeadline.after(60)
    futures = submit_in_order(pool, batcher, "a", deadline=deadline)
    futures += submit_in_order(pool, batcher, "b")
    deadline.leave(0.01)
    processor.proceed.release(2)
    assert [each.result() for each in futures] == ["to a", "to b"]
    assert processor.batches[1:] == [["a", "b"]]


def test_late_item_is_left_out_of_the_batch(processor: Processor, pool: ThreadPoolExecutor) -> None:
    batcher = processor.batcher(min_left=MIN_LEFT)
    start_first_batch(pool, batcher, processor)
    deadline = AdjustableDeadline.after(60)
    (leads,) = submit_in_order(pool, batcher, "a", deadline=Deadline.after(60))
    (late,) = submit_in_order(pool, batcher, "late", deadline=deadline)
    (goes_along,) = submit_in_order(pool, batcher, "b", deadline=Deadline.after(60))
    deadline.leave(MIN_LEFT)  # as if "late" had waited for long
    processor.proceed.release(2)
    assert (leads.result(), goes_along.result()) == ("to a", "to b")
    with pytest.raises(DeadlineExceededError, match=r"^too long in the queue$"):
        late.result()
    assert processor.batches[1:] == [["a", "b"]]


def test_late_waiter_does_not_become_the_leader(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher(min_left=MIN_LEFT)
    start_first_batch(pool, batcher, processor)
    deadline = AdjustableDeadline.after(60)
    (late,) = submit_in_order(pool, batcher, "late", deadline=deadline)
    (leads,) = submit_in_order(pool, batcher, "a", deadline=Deadline.after(60))
    deadline.leave(MIN_LEFT)  # as if "late" had waited for long
    processor.proceed.release(2)
    assert leads.result() == "to a"
    with pytest.raises(DeadlineExceededError):
        late.result()
    assert processor.batches[1:] == [["a"]]


def test_result_is_unknown_at_the_deadline_when_the_batch_is_in_flight(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    batcher = processor.batcher()
    start_first_batch(pool, batcher, processor)
    (leads,) = submit_in_order(pool, batcher, "a")
    (goes_along,) = submit_in_order(pool, batcher, "b", deadline=Deadline.after(1))
    (patient,) = submit_in_order(pool, batcher, "c")
    processor.proceed.release()
    with pytest.raises(UnknownResultError, match=r"^in flight at the deadline$"):
        goes_along.result()
    processor.proceed.release()
    assert (leads.result(), patient.result()) == ("to a", "to c")


def test_other_items_are_processed_by_the_next_leader_when_the_leaders_deadline_passes(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    def process_batch(items: Sequence[str], deadline: Deadline) -> list[str | Retry]:
        if items[0] == "a":
            raise DeadlineExceededError
        return processor(items, deadline)

    batcher = Batcher(process_batch, len, MAX_WEIGHT)
    start_first_batch(pool, batcher, processor)
    others = submit_in_order(pool, batcher, "a", "b", "c")
    processor.proceed.release(3)
    with pytest.raises(DeadlineExceededError):
        others[0].result()
    assert [each.result() for each in others[1:]] == ["to b", "to c"]
    assert processor.batches[1:] == [["b", "c"]]


def test_wait_in_the_queue_is_surrounded_by_its_context(
    processor: Processor, pool: ThreadPoolExecutor
) -> None:
    waits: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        waits.append("began")
        yield
        waits.append("ended")

    batcher = Batcher[str, str](processor, len, MAX_WEIGHT, while_waiting=waiting)
    first = start_first_batch(pool, batcher, processor)
    (second,) = submit_in_order(pool, batcher, "a")
    assert waits == ["began"]
    processor.proceed.release(2)
    assert (first.result(), second.result()) == ("to first", "to a")
    assert waits == ["began", "ended"]


CALLERS = 24


@pytest.mark.parametrize("overtake_after", [math.inf, 0.002])
def test_every_item_is_processed_once_and_gets_its_own_result(overtake_after: float) -> None:
    processed: list[int] = []
    in_flight = peak = 0
    lock = threading.Lock()
    retried: set[int] = set()

    def process_batch(items: Sequence[int], _: Deadline) -> list[int | Retry]:
        nonlocal in_flight, peak
        with lock:
            in_flight += 1
            peak = max(peak, in_flight)
        time.sleep(random.uniform(0, 0.006))  # noqa: S311 - as a network does
        results: list[int | Retry] = []
        with lock:
            in_flight -= 1
            for item in items:
                if item % 7 == 0 and item not in retried:
                    retried.add(item)
                    results.append(RETRY)
                else:
                    processed.append(item)
                    results.append(-item)
        return results

    batcher = Batcher(
        process_batch, lambda _: 1, MAX_WEIGHT, max_queued=CALLERS, overtake_after=overtake_after
    )
    with ThreadPoolExecutor(CALLERS) as pool:
        results = list(pool.map(lambda n: batcher.submit(n, soon()), range(2000)))
    assert results == [-n for n in range(2000)]
    assert sorted(processed) == list(range(2000))
    assert peak == 1 or overtake_after < math.inf
    assert batcher.waiting == 0
