"""Deadlines: one time limit for all the work of a request, remote calls included."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DeadlineExceededError(Exception):
    """There is no time left to begin another remote call."""


@dataclass(frozen=True, slots=True)
class Deadline:
    expires_at: float
    """Seconds on the monotonic clock."""

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds that are left; 0 after the deadline."""
        return max(0.0, self.expires_at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining == 0.0

    def fraction(self, part: float) -> Deadline:
        """An earlier deadline, after this part (0 to 1) of the remaining time."""
        now = time.monotonic()
        return Deadline(now + part * max(0.0, self.expires_at - now))

    def within(self, seconds: float) -> Deadline:
        """The same deadline, or the given number of seconds from now if that is earlier."""
        return Deadline(min(self.expires_at, time.monotonic() + seconds))

    def timeout(self, max_seconds: float) -> float:
        """Seconds that one remote call may take. Raises DeadlineExceededError if none are left."""
        remaining = self.remaining
        if remaining == 0.0:
            raise DeadlineExceededError
        return min(max_seconds, remaining)

    def backoff(
        self,
        first_pause: float,
        max_pause: float,
        min_pause: Callable[[], float] = lambda: 0.0,
    ) -> Iterator[int]:
        """Count tries from 1, for a loop that retries. It pauses before each try but the first.

        Pauses are exponential backoff with full jitter: a random time up to ``first_pause``
        seconds, then up to twice as much each time, up to ``max_pause``. No pause is shorter than
        the result of ``min_pause``. The first try always takes place. The iterator ends if the
        next pause would last until the deadline.
        """
        ceiling, count = first_pause, 1
        while True:
            yield count
            jitter = random.uniform(0, ceiling)  # noqa: S311 - nothing secret
            pause = max(jitter, min_pause())
            if pause >= self.remaining:
                return
            time.sleep(pause)
            ceiling, count = min(2 * ceiling, max_pause), count + 1
