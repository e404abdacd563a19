"""Unit tests open no sockets and start no processes."""

import gc
import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest
import pytest_socket


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collection, which takes a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_sockets_and_no_processes() -> Iterator[None]:
    pytest_socket.disable_socket(allow_unix_socket=True)  # every event loop has a pair of them
    start = subprocess.Popen.__init__
    subprocess.Popen.__init__ = _refuse  # type: ignore[method-assign,assignment]
    yield
    subprocess.Popen.__init__ = start  # type: ignore[method-assign]
    pytest_socket.enable_socket()


def _refuse(_: object, command: object, **_options: object) -> NoReturn:
    pytest.fail(f"a unit test starts the process {command}; move it to tests/integration")
