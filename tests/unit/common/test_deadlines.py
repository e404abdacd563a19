import time

import pytest

from functions_common.runtime.deadlines import Deadline, DeadlineExceededError


def test_timeout_is_the_remaining_time_up_to_the_limit_of_the_call() -> None:
    deadline = Deadline.after(2)
    assert deadline.timeout(1) == 1
    assert 1 < deadline.timeout(9) <= 2


def test_timeout_raises_when_the_deadline_has_passed() -> None:
    deadline = Deadline.after(-1)
    assert deadline.passed
    with pytest.raises(DeadlineExceededError):
        deadline.timeout(1)


def test_backoff_gives_one_try_when_the_deadline_has_passed() -> None:
    assert list(Deadline.after(-1).backoff(1, 1)) == [1]


def test_backoff_pauses_longer_each_time_and_ends_with_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, pauses = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        pauses.append(seconds)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    assert list(Deadline.after(10).backoff(1, 4)) == [1, 2, 3, 4]
    assert pauses == [1, 2, 4]
