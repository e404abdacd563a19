"""The clock of a database. Times are in microseconds since the epoch, like Firestore's."""

import time
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

MICROSECONDS = 1_000_000
_NANOS_PER_MICROSECOND = 1000


def wall_clock() -> int:
    return time.time_ns() // _NANOS_PER_MICROSECOND


class Clock:
    """One database's clock: a commit time is later than all earlier commit and read times."""

    def __init__(self, now: Callable[[], int] = wall_clock, last: int = 0) -> None:
        """Starts after ``last``, the last commit of an earlier process: wall clocks may go back."""
        self._now = now
        self._last = last

    def now(self) -> int:
        """The present time. A later commit may have the same time, unlike after ``read_time``."""
        return max(self._now(), self._last)

    def commit_time(self) -> Timestamp:
        self._last = max(self._now(), self._last + 1)
        return timestamp(self._last)

    def read_time(self) -> Timestamp:
        self._last = self.now()
        return timestamp(self._last)


def timestamp(microseconds: int) -> Timestamp:
    seconds, rest = divmod(microseconds, MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=rest * _NANOS_PER_MICROSECOND)


def to_microseconds(time: Timestamp) -> int:
    return time.seconds * MICROSECONDS + time.nanos // _NANOS_PER_MICROSECOND
