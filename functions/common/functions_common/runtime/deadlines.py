"""One deadline over all that a request does: no remote call outlives its caller's patience."""

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
    moment: float
    """On the monotonic clock, in seconds."""

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        return max(0.0, self.moment - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining == 0.0

    def share(self, part: float) -> Deadline:
        """An earlier one, after this part of the time left: the rest is for what comes then."""
        return Deadline.after(part * self.remaining)

    def within(self, seconds: float) -> Deadline:
        """The same deadline, or an earlier one: so many seconds from now."""
        return Deadline(min(self.moment, time.monotonic() + seconds))

    def timeout(self, most: float) -> float:
        """Seconds that one remote call may take."""
        remaining = self.remaining
        if remaining == 0.0:
            raise DeadlineExceededError
        return min(most, remaining)

    def tries(
        self,
        first_pause: float,
        longest_pause: float,
        least_pause: Callable[[], float] = lambda: 0.0,
    ) -> Iterator[int]:
        """Count tries from 1; before each further one, sleep with full jitter, longer every time.

        ``least_pause`` gives the seconds that the next pause takes at least. Ends if the deadline
        passes, or would during the pause. The first try is always given.
        """
        ceiling, count = first_pause, 1
        while True:
            yield count
            jitter = random.uniform(0, ceiling)  # noqa: S311 - nothing secret
            pause = max(jitter, least_pause())
            if pause >= self.remaining:
                return
            time.sleep(pause)
            ceiling, count = min(2 * ceiling, longest_pause), count + 1
