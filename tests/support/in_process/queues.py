"""Waits until calls are queued."""

from __future__ import annotations

import time
from typing import Protocol


class Queue(Protocol):
    @property
    def waiting(self) -> int: ...


def wait_until_queued(queue: Queue, number: int) -> None:
    while queue.waiting < number:
        time.sleep(0)
