"""The worker threads of the HTTP server and their queue."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from functions_common.http_server.connection import Limits
from functions_common.http_server.worker_pool import WorkerPool

SECONDS = 10.0


class Task:
    """Stands for a connection with one request."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.queued_at = 0.0
        self.began, self.may_end, self.ended = (threading.Event() for _ in range(3))
        self.thread: threading.Thread | None = None
        self.cancelled = False
        self._error = error

    def service(self) -> None:
        self.thread = threading.current_thread()
        self.began.set()
        assert self.may_end.wait(SECONDS)
        self.ended.set()
        if self._error:
            raise self._error

    def cancel(self) -> None:
        self.cancelled = True

    def run(self, pool: Any) -> Task:
        self.may_end.set()
        assert pool.add_task(self)
        assert self.ended.wait(SECONDS)
        return self


def limits(queued: int = 10, queue_seconds: float = 60.0) -> Limits:
    return Limits(1.0, 1.0, 1.0, 1.0, 10, queued, queue_seconds)


def pool_of(threads: int, **named: Any) -> Any:
    return WorkerPool(threads, limits(**named))


def busy(pool: Any, number: int) -> list[Task]:
    tasks = [Task() for _ in range(number)]
    for task in tasks:
        assert pool.add_task(task)
        assert task.began.wait(SECONDS)
    return tasks


def test_requests_beyond_the_threads_wait_in_order() -> None:
    pool = pool_of(1)
    (running,) = busy(pool, 1)
    second, third = Task(), Task()
    assert pool.add_task(second)
    assert pool.add_task(third)
    assert not second.began.is_set()
    running.may_end.set()
    assert second.began.wait(SECONDS)
    assert not third.began.is_set()
    second.may_end.set()
    third.may_end.set()
    assert third.ended.wait(SECONDS)
    pool.shutdown(SECONDS)


def test_a_full_queue_takes_no_request() -> None:
    pool = pool_of(1, queued=1)
    (running,) = busy(pool, 1)
    queued = Task()
    assert pool.add_task(queued)
    assert not pool.add_task(Task())
    for task in (running, queued):
        task.may_end.set()
    assert queued.ended.wait(SECONDS)
    pool.shutdown(SECONDS)


def test_a_request_that_waited_too_long_leaves_the_queue() -> None:
    pool = pool_of(1, queue_seconds=0.0)
    (running,) = busy(pool, 1)
    queued = Task()
    assert pool.add_task(queued)
    assert list(pool.overdue()) == [queued]
    assert list(pool.overdue()) == []
    running.may_end.set()
    pool.shutdown(SECONDS)
    assert not queued.began.is_set()


@pytest.mark.parametrize("error", [ValueError("a fault"), SystemExit(1)])
def test_an_error_does_not_end_the_thread(error: BaseException) -> None:
    pool = pool_of(1)
    Task(error).run(pool)
    Task().run(pool)
    pool.shutdown(SECONDS)


def test_shutdown_ends_all_threads_and_cancels_what_waits() -> None:
    pool = pool_of(2)
    running, other = busy(pool, 2)
    queued = Task()
    assert pool.add_task(queued)
    stopping = threading.Thread(target=pool.shutdown, args=(SECONDS,))
    stopping.start()
    running.may_end.set()
    other.may_end.set()
    stopping.join(SECONDS)
    for task in (running, other):
        assert task.thread
        assert not task.thread.is_alive()
    assert queued.cancelled
    assert not queued.began.is_set()


def test_a_thread_that_ends_gets_no_further_request() -> None:
    pool = pool_of(2)
    first, second = busy(pool, 2)
    pool.shutdown(0.0)
    first.may_end.set()
    assert first.thread
    first.thread.join(SECONDS)
    late = Task()
    late.may_end.set()
    assert pool.add_task(late)  # it waits: only the second thread is left
    assert not late.began.is_set()
    second.may_end.set()
    assert late.ended.wait(SECONDS)
