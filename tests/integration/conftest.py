from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.clients.browser import chromium
from support.processes.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shop(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One order and one inventory process, shared by tests that do not stop them."""
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        yield shop


@pytest.fixture(scope="session")
def two_pairs(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(emulator, tmp_path_factory.mktemp("logs"), pairs=2) as shop:
        yield shop


@pytest.fixture
def own_shop(emulator: str, tmp_path: Path) -> Iterator[Shop]:
    """A shop of its own, for tests that kill processes."""
    with Shop(emulator, tmp_path) as shop:
        yield shop
