"""Pauses worker threads while the server's main thread deals with a burst of events."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkerPause:
    """Lets the main thread deal with a burst of events before workers begin further requests.

    Python runs one thread at a time. Without a pause, busy workers leave the main thread so little
    time that clients wait seconds for the response that the server is busy. Pauses are limited, so
    that no client can stop the workers: half a second at once, and at most a third of the time.
    """

    LONGEST = 0.5
    """Seconds."""
    EARNED = 0.5
    """Seconds of pause for each second without one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = self.LONGEST
        self._changed_at = clock()
        self._over = threading.Event()
        self._over.set()

    @property
    def under_way(self) -> bool:
        """Whether worker threads wait now."""
        return not self._over.is_set()

    def begin(self) -> None:
        """Pause the workers, if there is time left for a pause; main thread only."""
        if self.under_way:
            return
        now = self._clock()
        earned = (now - self._changed_at) * self.EARNED
        self._left, self._changed_at = min(self.LONGEST, self._left + earned), now
        if self._left > 0:
            self._over.clear()

    def check(self) -> None:
        """End the pause if it has lasted too long; main thread only, often."""
        if self.under_way and self._clock() - self._changed_at >= self._left:
            self.end()

    def end(self) -> None:
        """End the pause if there is one; main thread only."""
        if self.under_way:
            now = self._clock()
            self._left, self._changed_at = self._left - (now - self._changed_at), now
            self._over.set()

    def wait(self) -> None:
        """Wait until no pause is under way; worker threads."""
        self._over.wait(2 * self.LONGEST)
