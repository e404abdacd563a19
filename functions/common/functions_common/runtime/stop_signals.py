"""Lets a command finish what it does when SIGTERM or SIGINT asks it to stop."""

from __future__ import annotations

import signal
from typing import Protocol

_KILLED = 128
"""Plus the number of a signal: the exit code of a process that the signal ended."""


class Stoppable(Protocol):
    def stop(self) -> None:
        """Finish the work in progress, and begin no more."""


class StopSignals:
    """Stops the work of a command on SIGTERM and SIGINT.

    The handlers are set before the work exists. Process 1 of a container ignores both signals
    unless it has handlers.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._work: Stoppable | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    @property
    def exit_code(self) -> int | None:
        """The exit code after a signal; None if none was received."""
        return None if self._received is None else _KILLED + self._received

    def stop_on_signal(self, work: Stoppable) -> None:
        """Stop this work on a signal; immediately if one was received already."""
        self._work = work
        if self._received is not None:
            work.stop()

    def _receive(self, number: int, _: object) -> None:
        self._received = number
        if self._work is not None:
            self._work.stop()
