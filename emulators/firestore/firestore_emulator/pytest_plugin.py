"""Fixtures for tests of what uses Firestore: pytest_plugins = ["firestore_emulator.pytest_plugin"].

The emulator is the one that the environment names or chooses (see launcher.py), with the arguments
of EMULATOR_ARGS.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from firestore_emulator.launcher import emulator


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """host:port, also in FIRESTORE_EMULATOR_HOST, where clients find it."""
    with emulator(os.environ) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address


@pytest.fixture
def firestore_project(firestore_emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    """A project of the test's own, so an empty database; also in GOOGLE_CLOUD_PROJECT."""
    project = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    return project
