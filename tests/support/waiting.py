"""Wait for a condition that another thread or process brings about."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20.0
"""Far above the time that any condition takes, so that only a failure reaches it."""


def wait_until(
    condition: Callable[[], object], failure: str = "it did not happen", seconds: float = SECONDS
) -> None:
    """Wait until the condition is true. AssertionError with the failure if the time is over."""
    late = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < late, f"{failure} within {seconds:.0f} s"
        time.sleep(0.001)
