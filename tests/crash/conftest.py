from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.in_process.crashing import CrashingShop

if TYPE_CHECKING:
    from collections.abc import Iterator

COVERED = pytest.StashKey[list[tuple[str, int, int]]]()
"""For each flow: its remote calls, and the number of interrupted runs."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COVERED] = []


@pytest.fixture(scope="session")
def which() -> str:
    """One emulator is enough for the protocol. tests/contract compares the emulators."""
    return "given" if os.environ.get("FIRESTORE_EMULATOR_HOST") else "embedded"


@pytest.fixture(scope="session")
def shop(emulator: str) -> Iterator[CrashingShop]:
    with CrashingShop(emulator) as shop:
        yield shop


@pytest.fixture
def covered(request: pytest.FixtureRequest) -> list[tuple[str, int, int]]:
    """Figures for the summary at the end."""
    return request.config.stash[COVERED]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    flows = config.stash[COVERED]
    if flows:
        calls = sum(made for _, made, _ in flows)
        points = sum(cut for _, _, cut in flows)
        terminalreporter.write_line(
            f"crash points: {len(flows)} flows, {calls} remote calls x 4 = {points} points covered"
        )
