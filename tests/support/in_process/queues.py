"""Waits until calls are queued."""

from __future__ import annotations

from typing import Protocol

from support.waiting import wait_until


class Queue(Protocol):
    @property
    def waiting(self) -> int: ...


def wait_until_queued(queue: Queue, number: int) -> None:
    wait_until(lambda: queue.waiting >= number, f"{number} calls were not queued")
