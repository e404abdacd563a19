"""Unit tests open no sockets and start no processes."""

import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest
import pytest_socket


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    pytest_socket.disable_socket(allow_unix_socket=True)  # every event loop has a pair of them
    yield
    pytest_socket.enable_socket()


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **_: object) -> NoReturn:
        pytest.fail(f"a unit test starts a process, {args}; move it to tests/integration")

    monkeypatch.setattr(subprocess, "Popen", refuse)
