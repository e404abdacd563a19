"""A circuit breaker: while inventory is down, calls fail immediately."""

from __future__ import annotations

import threading
import time

OPEN_AFTER = 3.0
"""Seconds between the first failure and the failure that opens the circuit."""
MIN_FAILURES = 3
"""Consecutive failures before the circuit opens."""
TRIAL_EVERY = 1.0
"""Seconds between the trial calls that an open circuit allows."""


class Circuit:
    """Opens after several consecutive failures over some time; one success closes it again.

    The time counts from the end of the first failed send. Calls that wait for a slow cold start
    and time out together do not open the circuit, no matter how long they waited.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_success = float("-inf")
        self._failing_since: float | None = None
        self._failures = 0
        self._next_trial: float | None = None
        """None while the circuit is closed."""

    def allows(self) -> bool:
        """Whether a call may be sent. If open, one trial per ``TRIAL_EVERY`` seconds may."""
        with self._lock:
            if self._next_trial is None:
                return True
            now = time.monotonic()
            if now < self._next_trial:
                return False
            self._next_trial = now + TRIAL_EVERY
            return True

    def record_success(self) -> None:
        with self._lock:
            self._last_success = time.monotonic()
            self._failing_since = self._next_trial = None
            self._failures = 0

    def record_failure(self, started_at: float) -> None:
        """``started_at``: the start of the failed send, on the monotonic clock."""
        with self._lock:
            if started_at < self._last_success:
                return
            now = time.monotonic()
            self._failures += 1
            if self._failing_since is None:
                self._failing_since = now
            long_enough = now - self._failing_since >= OPEN_AFTER
            if self._failures >= MIN_FAILURES and long_enough and self._next_trial is None:
                self._next_trial = now + TRIAL_EVERY
