import time

import pytest

from functions_common.runtime.deadlines import Deadline, DeadlineExceededError


def test_a_call_gets_what_is_left_and_no_more_than_its_own_limit() -> None:
    deadline = Deadline.after(2)
    assert deadline.timeout(1) == 1
    assert 1 < deadline.timeout(9) <= 2


def test_nothing_is_begun_after_it() -> None:
    deadline = Deadline.after(-1)
    assert deadline.passed
    with pytest.raises(DeadlineExceededError):
        deadline.timeout(1)


def test_one_try_is_always_given() -> None:
    assert list(Deadline.after(-1).attempts(1, 1)) == [1]


def test_tries_pause_longer_each_time_and_end_with_the_deadline(
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
    assert list(Deadline.after(10).attempts(1, 4)) == [1, 2, 3, 4]
    assert pauses == [1, 2, 4]
