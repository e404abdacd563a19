"""The traces of the specification, collected once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.specification.comparison import Collected, collect, no_pauses


@pytest.fixture(scope="session")
def collected() -> Collected:
    """It takes 20 s of processor time."""
    return collect()


@pytest.fixture
def _no_pauses() -> Iterator[None]:
    with no_pauses():
        yield
