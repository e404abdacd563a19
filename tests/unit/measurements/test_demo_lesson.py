"""A run for a class: explanations, pauses and results."""

from __future__ import annotations

import asyncio
import io
import os
import re
from pathlib import Path

import pytest
from demo import __main__ as command
from demo import lesson, phases
from demo.lesson import Guide, Lesson
from demo.recording import Phase
from rich.console import Console
from support.recordings import answer, on_knative

PAGE = Path(__file__).parents[3] / "docs/classroom.md"


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def test_every_phase_has_an_explanation_and_a_part_of_the_teachers_page() -> None:
    names = {value for name, value in vars(phases).items() if name.isupper()}
    assert set(lesson.EXPLANATIONS) == names
    headings = re.findall(r"^### \d+\. (.+)$", PAGE.read_text(), re.MULTILINE)
    knative = [name for name in lesson.EXPLANATIONS if name != phases.FIRST_ORDER]
    assert [heading.lower() for heading in headings] == knative


def test_lesson_explains_a_phase_and_waits_before_it_begins() -> None:
    shown, calls = console(), []

    async def proceed() -> None:
        calls.append(text(shown))

    asyncio.run(Lesson(shown, proceed).before(phases.HOT_PRODUCT))
    assert len(calls) == 1
    assert "Next: sale of one product" in calls[0]
    assert "never below" in calls[0]


def test_run_without_a_class_waits_for_nothing() -> None:
    asyncio.run(Guide().before(phases.HOT_PRODUCT))
    Guide().after(on_knative(), on_knative().phases[0])


def test_result_of_a_phase_counts_its_orders() -> None:
    recording = on_knative()
    recording.answers.append(answer(16.0, 16.1, status=503))
    shown = console()
    Lesson(shown, lesson.after_seconds(0)).after(recording, recording.phases[2])
    assert text(shown) == (
        "Result: sale of one product took 8.00 s; 2 confirmed, 1 refused; 1 failed;"
        " p50 100 ms, p99 ≥ 40 s\n"
    )


def test_result_of_the_first_order_is_its_wait() -> None:
    recording = on_knative()
    assert lesson.result(recording, recording.phases[1]) == (
        "Result: first order, cold start took 2.00 s; 1 confirmed, 0 refused;"
        " the customer waited 2.00 s"
    )
    idle = Phase("scale to zero", 50.0, 60.0)
    assert lesson.result(recording, idle) == "Result: scale to zero took 10.0 s"


def test_enter_continues_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()

    async def press() -> None:
        waiting = asyncio.create_task(lesson.after_enter(console())())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        os.write(writing, b"\n")
        await waiting
        again = asyncio.create_task(lesson.after_enter(console())())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not again.done(), "one Enter is for one phase"
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again

    with os.fdopen(reading) as stream, os.fdopen(writing, "wb"):
        monkeypatch.setattr("sys.stdin", stream)
        asyncio.run(press())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pause", "3"], "--pause needs --classroom"),
        (["--classroom", "--pause", "-1"], "must not be negative"),
        (["--classroom"], "add --pause SECONDS"),
    ],
)
def test_wrong_options_are_rejected(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert message in capsys.readouterr().err
