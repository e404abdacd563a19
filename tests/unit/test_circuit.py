import time

import pytest

from order_function.inventory.circuit import MIN_FAILURES, OPEN_AFTER, TRIAL_EVERY, Circuit
from order_function.inventory.client import LONGEST_CALL


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def fail_for(circuit: Circuit, clock: Clock, seconds: float) -> None:
    """``MIN_FAILURES`` in this time, the last at its end."""
    for _ in range(MIN_FAILURES - 1):
        circuit.failed(clock.now)
    clock.now += seconds
    circuit.failed(clock.now)


def test_it_stays_closed_through_passing_failures(clock: Clock) -> None:
    circuit = Circuit()
    for _ in range(9):
        fail_for(circuit, clock, OPEN_AFTER - 0.1)
        circuit.succeeded()
    assert circuit.allows()


def test_it_opens_when_nothing_has_succeeded_for_a_while(clock: Clock) -> None:
    circuit = Circuit()
    fail_for(circuit, clock, OPEN_AFTER)
    assert not circuit.allows()


def test_it_stays_closed_when_one_call_times_out(clock: Clock) -> None:
    """As long as the longest call, twice over: a cold start of inventory may take that long."""
    circuit = Circuit()
    began, clock.now = clock.now, clock.now + 2 * LONGEST_CALL
    circuit.failed(began)
    assert circuit.allows()


def test_it_stays_closed_when_many_calls_time_out_together(clock: Clock) -> None:
    """All of them waited for the same cold start."""
    circuit = Circuit()
    began, clock.now = clock.now, clock.now + LONGEST_CALL
    for _ in range(64):
        circuit.failed(began)
        clock.now += OPEN_AFTER / 100
    assert circuit.allows()


def test_it_stays_closed_when_few_calls_fail_over_a_long_time(clock: Clock) -> None:
    circuit = Circuit()
    for _ in range(MIN_FAILURES - 1):
        circuit.failed(clock.now)
        clock.now += 10 * OPEN_AFTER
    assert circuit.allows()


def test_a_success_starts_the_count_again(clock: Clock) -> None:
    circuit = Circuit()
    for _ in range(MIN_FAILURES - 1):
        circuit.failed(clock.now)
    clock.now += OPEN_AFTER
    circuit.succeeded()
    circuit.failed(clock.now)
    assert circuit.allows()


def test_a_try_that_began_before_the_last_success_says_nothing(clock: Clock) -> None:
    circuit = Circuit()
    began = clock.now
    clock.now += OPEN_AFTER
    circuit.succeeded()
    circuit.failed(began)
    assert circuit.allows()


def test_while_open_one_caller_at_a_time_may_try(clock: Clock) -> None:
    circuit = Circuit()
    fail_for(circuit, clock, OPEN_AFTER)
    for _ in range(3):
        clock.now += TRIAL_EVERY
        assert [circuit.allows() for _ in range(5)] == [True, False, False, False, False]
        circuit.failed(clock.now)


def test_one_success_closes_it(clock: Clock) -> None:
    circuit = Circuit()
    fail_for(circuit, clock, OPEN_AFTER)
    clock.now += TRIAL_EVERY
    assert circuit.allows()
    circuit.succeeded()
    assert all(circuit.allows() for _ in range(5))
