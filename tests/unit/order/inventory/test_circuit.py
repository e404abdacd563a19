import time

import pytest

from order_function.inventory.circuit import MIN_FAILURES, OPEN_AFTER, TRIAL_EVERY, Circuit
from order_function.inventory.client import CALL_TIMEOUT_SECONDS


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
    """``MIN_FAILURES`` failures in this time, the last at its end."""
    for _ in range(MIN_FAILURES - 1):
        circuit.record_failure(clock.now)
    clock.now += seconds
    circuit.record_failure(clock.now)


def test_the_circuit_stays_closed_when_failures_are_short(clock: Clock) -> None:
    circuit = Circuit()
    for _ in range(9):
        fail_for(circuit, clock, OPEN_AFTER - 0.1)
        circuit.record_success()
    assert circuit.allows()


def test_the_circuit_opens_when_calls_fail_for_long_enough(clock: Clock) -> None:
    circuit = Circuit()
    fail_for(circuit, clock, OPEN_AFTER)
    assert not circuit.allows()


def test_the_circuit_stays_closed_when_one_call_times_out(clock: Clock) -> None:
    """A call that takes twice ``CALL_TIMEOUT_SECONDS``, as during a cold start of inventory."""
    circuit = Circuit()
    began, clock.now = clock.now, clock.now + 2 * CALL_TIMEOUT_SECONDS
    circuit.record_failure(began)
    assert circuit.allows()


def test_the_circuit_stays_closed_when_many_calls_time_out_together(clock: Clock) -> None:
    """All calls wait for the same cold start."""
    circuit = Circuit()
    began, clock.now = clock.now, clock.now + CALL_TIMEOUT_SECONDS
    for _ in range(64):
        circuit.record_failure(began)
        clock.now += OPEN_AFTER / 100
    assert circuit.allows()


def test_the_circuit_stays_closed_when_few_calls_fail_over_a_long_time(clock: Clock) -> None:
    circuit = Circuit()
    for _ in range(MIN_FAILURES - 1):
        circuit.record_failure(clock.now)
        clock.now += 10 * OPEN_AFTER
    assert circuit.allows()


def test_a_success_starts_the_count_again(clock: Clock) -> None:
    circuit = Circuit()
    for _ in range(MIN_FAILURES - 1):
        circuit.record_failure(clock.now)
    clock.now += OPEN_AFTER
    circuit.record_success()
    circuit.record_failure(clock.now)
    assert circuit.allows()


def test_a_failure_is_ignored_when_its_call_began_before_the_last_success(clock: Clock) -> None:
    circuit = Circuit()
    began = clock.now
    clock.now += OPEN_AFTER
    circuit.record_success()
    circuit.record_failure(began)
    assert circuit.allows()


def test_one_caller_at_a_time_is_allowed_when_the_circuit_is_open(clock: Clock) -> None:
    circuit = Circuit()
    fail_for(circuit, clock, OPEN_AFTER)
    for _ in range(3):
        clock.now += TRIAL_EVERY
        assert [circuit.allows() for _ in range(5)] == [True, False, False, False, False]
        circuit.record_failure(clock.now)


def test_one_success_closes_the_circuit(clock: Clock) -> None:
    circuit = Circuit()
    fail_for(circuit, clock, OPEN_AFTER)
    clock.now += TRIAL_EVERY
    assert circuit.allows()
    circuit.record_success()
    assert all(circuit.allows() for _ in range(5))
