"""The limit of the commits of each document in a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.emulator.firestore_messages import DATABASE

from firestore_emulator.model.names import DocumentName
from firestore_emulator.transactions import pace
from firestore_emulator.transactions.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Collection


class Time:
    """A clock that only ``sleep`` moves, and each sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(round(seconds, 6))
        self.now += seconds

    def waits(self, limit: Pace, letters: Collection[str]) -> None:
        names = [DocumentName(DATABASE, "c", letter) for letter in letters]
        asyncio.run(limit.wait(names))


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def test_commits_of_one_document_are_spread(time: Time) -> None:
    limit = Pace(5, lambda: time.now)
    for letters in ("a", "b", "ab", "a", "c"):
        time.waits(limit, letters)
    assert time.sleeps == [0.2, 0.2]


def test_pause_counts_from_the_last_commit(time: Time) -> None:
    limit = Pace(5, lambda: time.now)
    time.waits(limit, "a")
    time.now += 0.15
    time.waits(limit, "a")
    time.now += 9
    time.waits(limit, "a")
    assert time.sleeps == [0.05]


def test_without_a_limit_nothing_waits(time: Time) -> None:
    limit = Pace(float("inf"), lambda: time.now)
    for _ in range(3):
        time.waits(limit, "a")
    assert time.sleeps == []


def test_documents_that_need_not_wait_are_forgotten(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MAX_NAMES", 2)
    limit = Pace(5, lambda: time.now)
    for letter in "abcdef":
        time.waits(limit, letter)
        time.now += 1
    assert limit.remembered <= 2
