from collections.abc import Iterator

import pytest
from support.emulator.instances import running


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An embedded emulator: these tests are about its own server."""
    with running("embedded") as started:
        yield started
