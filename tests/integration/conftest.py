from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def shop(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One order and one inventory process, shared by tests that leave them alone."""
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        yield shop


@pytest.fixture(scope="session")
def two_pairs(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(emulator, tmp_path_factory.mktemp("logs"), pairs=2) as shop:
        yield shop


@pytest.fixture
def own_shop(emulator: str, tmp_path: Path) -> Iterator[Shop]:
    """For tests that kill processes."""
    with Shop(emulator, tmp_path) as shop:
        yield shop
