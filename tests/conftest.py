"""What speaks to Firestore runs on the embedded emulator and, where it is found, the official one.

FIRESTORE_EMULATOR_HOST names another, which then is the only one.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from support.emulators import REQUIRE_INDEXES, in_environment, running

if TYPE_CHECKING:
    from collections.abc import Iterator

EMULATORS = ["given"] if os.environ.get("FIRESTORE_EMULATOR_HOST") else ["embedded", "official"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop the repetitions of ``one_emulator`` tests on the official emulator."""
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


@pytest.fixture(scope="session", params=EMULATORS)
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def emulator(which: str) -> Iterator[str]:
    """host:port of an emulator, the embedded one with the indexes of the repository alone."""
    with running(which, REQUIRE_INDEXES) as address, in_environment(address):
        yield address


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Afterwards; for commands, which set logging up for a process of their own."""
    loggers = [logging.getLogger(name) for name in (None, "functions")]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for each, handlers, level, propagate in before:
        each.handlers, each.level, each.propagate = handlers, level, propagate
