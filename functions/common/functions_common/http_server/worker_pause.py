"""Pauses worker threads while the server's main thread processes a burst of events."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkerPause:
    """Workers begin no request until the main thread has processed a burst of events.

    Python runs one thread at a time. Without a pause, busy workers leave the main thread so little
    time that clients wait seconds for the response that the server is busy. Pauses are limited, so
    that no client can stop the workers: one pause lasts half a second at most, and all pauses
    together a third of the time.
    """

    MAX_SECONDS = 0.5
    EARNED_PER_SECOND = 0.5
    """Seconds of pause that become available in each second without a pause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = self.MAX_SECONDS
        self._changed_at = clock()
        self._over = threading.Event()
        self._over.set()

    @property
    def active(self) -> bool:
        """Worker threads wait now."""
        return not self._over.is_set()

    def begin(self) -> None:
        """Pause the workers if a pause is available. Main thread only."""
        if self.active:
            return
        now = self._clock()
        earned = (now - self._changed_at) * self.EARNED_PER_SECOND
        self._left, self._changed_at = min(self.MAX_SECONDS, self._left + earned), now
        if self._left > 0:
            self._over.clear()

    def check(self) -> None:
        """End the pause if it has lasted too long. The main thread calls this often."""
        if self.active and self._clock() - self._changed_at >= self._left:
            self.end()

    def end(self) -> None:
        """End the pause if there is one. Main thread only."""
        if self.active:
            now = self._clock()
            self._left, self._changed_at = self._left - (now - self._changed_at), now
            self._over.set()

    def wait(self) -> None:
        """Wait for the end of the pause. For worker threads."""
        if self.active:  # waiting takes a lock, which all workers share
            self._over.wait(2 * self.MAX_SECONDS)
