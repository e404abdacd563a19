"""A circuit breaker: when inventory stays away, callers are told at once instead of waiting."""

from __future__ import annotations

import threading
import time

OPEN_AFTER = 3.0
"""Seconds without a single success; a cold start is buffered by Knative and fails nobody."""
TRIAL_EVERY = 1.0
"""Seconds between the calls that an open circuit lets through, to see whether it is back."""


class Circuit:
    """Closed until every try has failed for a while; one success closes it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_success = float("-inf")
        self._failing_since: float | None = None
        self._next_trial: float | None = None
        """None while it is closed."""

    def allows(self) -> bool:
        """Whether to try at all. While open, one caller is let through every now and then."""
        with self._lock:
            if self._next_trial is None:
                return True
            now = time.monotonic()
            if now < self._next_trial:
                return False
            self._next_trial = now + TRIAL_EVERY
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._last_success = time.monotonic()
            self._failing_since = self._next_trial = None

    def failed(self, began: float) -> None:
        """A try that began then (on the monotonic clock) has failed now."""
        with self._lock:
            if began < self._last_success:
                return
            now = time.monotonic()
            if self._failing_since is None:
                self._failing_since = began
            if now - self._failing_since >= OPEN_AFTER and self._next_trial is None:
                self._next_trial = now + TRIAL_EVERY
