import asyncio
from collections.abc import Callable

import pytest
from support.emulator.firestore_messages import resolve

from firestore_emulator.model.steps import TURN_SECONDS, Steps, freed, run_at_once, run_in_turns


def counting(steps: int, log: list[object]) -> Steps[str]:
    for number in range(steps):
        log.append(number)
        yield
    return "done"


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that advances with each call."""
    times = iter(number * seconds for number in range(1000))
    return lambda: next(times)


def test_steps_run_at_once() -> None:
    log: list[object] = []
    assert run_at_once(counting(3, log)) == "done"
    assert log == [0, 1, 2]


def test_other_tasks_run_between_turns() -> None:
    log: list[object] = []

    async def other() -> None:
        log.append("other")

    async def both() -> str:
        task = asyncio.create_task(other())
        clock = ticking(TURN_SECONDS)
        result = await run_in_turns(counting(3, log), lambda: log.append("pause"), clock)
        await task
        return result

    assert resolve(both()) == "done"
    assert log == [0, "pause", "other", 1, 2]


def test_short_work_does_not_pause() -> None:
    log: list[object] = []
    clock = ticking(TURN_SECONDS / 10)
    resolve(run_in_turns(counting(5, log), lambda: log.append("pause"), clock))
    assert log == [0, 1, 2, 3, 4]


def test_error_ends_the_steps() -> None:
    def failing() -> Steps[None]:
        yield
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        resolve(run_in_turns(failing()))


def test_cancelled_work_closes_its_steps() -> None:
    log: list[object] = []

    def endless() -> Steps[None]:
        try:
            while True:
                yield
        finally:
            log.append("closed")

    async def cancel() -> None:
        task = asyncio.create_task(run_in_turns(endless()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    resolve(cancel())
    assert log == ["closed"]


def test_items_are_removed_in_steps() -> None:
    items = list(range(100))
    steps = freed(items)
    next(steps)
    assert 0 < len(items) < 100
    run_at_once(steps)
    assert items == []
