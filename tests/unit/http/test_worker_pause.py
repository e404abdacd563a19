"""A burst pauses the worker threads, within limits."""

from __future__ import annotations

import threading

import pytest

from functions_common.http_server.worker_pause import WorkerPause


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pause(clock: Clock) -> WorkerPause:
    return WorkerPause(clock)


def test_workers_wait_until_the_burst_is_over(pause: WorkerPause) -> None:
    pause.begin()
    worker = threading.Thread(target=pause.wait)
    worker.start()
    worker.join(0.05)
    assert worker.is_alive()
    pause.end()
    worker.join(5)
    assert not worker.is_alive()


def test_pause_lasts_half_a_second_at_most(pause: WorkerPause, clock: Clock) -> None:
    pause.begin()
    clock.now += 0.49
    pause.check()
    assert pause.active
    clock.now += 0.02
    pause.check()
    assert not pause.active


def test_pauses_take_a_third_of_the_time_at_most_when_the_burst_never_ends(
    pause: WorkerPause, clock: Clock
) -> None:
    paused = 0.0
    for _ in range(10_000):
        pause.begin()
        pause.check()
        clock.now += 0.01
        paused += 0.01 * pause.active
    assert 30 <= paused <= 35


def test_pause_is_not_extended_by_the_same_burst(pause: WorkerPause, clock: Clock) -> None:
    for _ in range(6):
        pause.begin()
        clock.now += 0.1
        pause.check()
    assert not pause.active
