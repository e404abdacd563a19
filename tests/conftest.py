"""Tests with Firestore run on the embedded emulator and, if it is installed, on the official one.

FIRESTORE_EMULATOR_HOST names another emulator, which replaces both. `make verify-firestore` sets
FIRESTORE_FORWARDER instead. Then only the tests that use a database run, on the real service.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("support")  # before its modules are imported

from support.emulator.instances import (  # noqa: E402
    FORWARDER,
    REQUIRE_INDEXES,
    in_environment,
    running,
)
from support.emulator.missing import skipped_without_official  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

EMULATORS = ["given"] if os.environ.get("FIRESTORE_EMULATOR_HOST") else ["embedded", "official"]
if os.environ.get(FORWARDER):
    EMULATORS = ["forwarder"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop the repetitions of ``one_emulator`` tests on the official emulator.

    On the real service drop the tests without a database too.
    """
    if EMULATORS == ["forwarder"]:
        items[:] = [
            item
            for item in items
            if {"emulator", "emulators"} & {*getattr(item, "fixturenames", ())}
        ]
    items[:] = [
        item
        for item in items
        if not (
            item.get_closest_marker("one_emulator")
            and isinstance(item, pytest.Function)
            and hasattr(item, "callspec")
            and item.callspec.params.get("which") == "official"
        )
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in skipped_without_official(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", params=EMULATORS)
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def emulator(which: str) -> Iterator[str]:
    """host:port of an emulator. The embedded one has only the indexes of the repository."""
    with running(which, REQUIRE_INDEXES) as address, in_environment(address):
        yield address


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Restores the loggers after the test, for commands that configure logging."""
    loggers = [logging.getLogger(name) for name in (None, "functions")]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for each, handlers, level, propagate in before:
        each.handlers, each.level, each.propagate = handlers, level, propagate
