"""Pytest fixtures for programs that use Firestore.

Enable them by ``pytest_plugins = ["firestore_emulator.pytest_plugin"]``. The environment chooses
the emulator, and EMULATOR_ARGS has its options (see the package launcher).
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from firestore_emulator.launcher import emulator


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """HOST:PORT of the emulator. Clients find it in FIRESTORE_EMULATOR_HOST."""
    with emulator(os.environ) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address


@pytest.fixture
def firestore_project(firestore_emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    """A new project for each test, so an empty database. Also in GOOGLE_CLOUD_PROJECT."""
    project = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    return project
