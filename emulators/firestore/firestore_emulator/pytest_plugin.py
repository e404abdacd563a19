"""Pytest fixtures for programs that use Firestore.

Pytest finds this plugin if the package is installed. From a checkout, enable it by
``pytest_plugins = ["firestore_emulator.pytest_plugin"]``. The environment chooses the emulator, and
EMULATOR_ARGS has its options (see the package launcher).

Every pytest run imports this module, so it imports nothing that a run without the fixtures lacks.
"""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ProjectFactory(Protocol):
    """Returns the id of a new project at each call."""

    def __call__(self, prefix: str = "test") -> str: ...


@pytest.fixture(scope="session")
def firestore_emulator_options() -> Sequence[str]:
    """Options of the emulator that is started. Override this fixture to set them."""
    return ()


@pytest.fixture(scope="session")
def firestore_emulator(firestore_emulator_options: Sequence[str]) -> Iterator[str]:
    """HOST:PORT of the emulator. Clients find it in FIRESTORE_EMULATOR_HOST.

    It starts with the first test that needs it, and ends with the session. Each worker of
    pytest-xdist is a session with an emulator of its own.
    """
    from firestore_emulator.launcher import LauncherError, emulator  # noqa: PLC0415

    with ExitStack() as stack:
        try:
            started = emulator(os.environ, options=firestore_emulator_options)
            address = stack.enter_context(started)
        except LauncherError as error:
            pytest.fail(str(error), pytrace=False)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address


@pytest.fixture(scope="session")
def firestore_project_factory(firestore_emulator: str) -> ProjectFactory:  # noqa: ARG001
    """Makes projects, each with an empty database, for fixtures of any scope.

    It does not change the environment. Pass the project to the client.
    """

    def make(prefix: str = "test") -> str:
        return f"{prefix}-{uuid.uuid4().hex[:12]}"

    return make


@pytest.fixture
def firestore_project(
    firestore_project_factory: ProjectFactory, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A new project for each test, so an empty database. Also in GOOGLE_CLOUD_PROJECT."""
    project = firestore_project_factory()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    return project
