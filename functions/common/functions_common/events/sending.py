"""Sends stored events, several documents at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

BATCH = 50
"""Documents whose events are sent, and recorded, together."""
CALL_SECONDS = 5.0
"""For reading or recording one batch."""
MAX_FAILURES = 3


class Published(NamedTuple):
    events: int
    """Events that the sink accepted."""
    recorded: int
    """Documents that now say how many of their events were sent."""
    failures: list[str]
    """Why events were not sent, one for each document."""


def send_each(documents: Iterable[T], send: Callable[[T], str | None]) -> list[str]:
    """Send the events of each document in turn, and return the failures.

    ``send`` returns why it failed; None if it did not. After ``MAX_FAILURES`` failures in a row the
    sink is taken to be unavailable, and the other documents are left.
    """
    failures: list[str] = []
    in_a_row = 0
    for document in documents:
        failure = send(document)
        if failure is None:
            in_a_row = 0
            continue
        failures.append(failure)
        in_a_row += 1
        if in_a_row == MAX_FAILURES:
            break
    return failures
