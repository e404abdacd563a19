"""Sends stored events, several documents at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from functions_common.firestore.errors import ConflictError, StoreError
from functions_common.observability import logs
from functions_common.runtime.deadlines import Deadline, DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
R = TypeVar("R")

BATCH = 50
"""Documents whose events are sent, and recorded, together."""
CALL_SECONDS = 5.0
"""For reading or recording one batch."""
MAX_FAILURES = 3
MAX_REASON = 300


class SinkError(Exception):
    """The sink did not accept the event. It may have received it."""

    def __init__(self, reason: str, *, unavailable: bool) -> None:
        """``unavailable``: the sink would accept no other event now either."""
        super().__init__(reason)
        self.unavailable = unavailable


class Published(NamedTuple):
    events: int
    """Events that the sink accepted."""
    recorded: int
    """Documents in which it is recorded that their events were sent."""
    failures: list[str]
    """Why events were not sent or not recorded, by document."""
    unavailable: bool = False
    """The sink is unavailable, so the other documents are left."""


def send_each(
    documents: Iterable[T], send: Callable[[T], SinkError | None]
) -> tuple[list[str], bool]:
    """Send the events of each document in turn. Returns the failures.

    ``send`` returns the error of ``try_to_send``. If the sink is unavailable
    for ``MAX_FAILURES`` documents in a row, the others are left, and the second result is True. An
    event that the sink rejects, or that cannot be sent, holds up no other document.
    """
    failures: list[str] = []
    in_a_row = 0
    for document in documents:
        error = send(document)
        if error is not None:
            failures.append(str(error)[:MAX_REASON])
        in_a_row = in_a_row + 1 if error is not None and error.unavailable else 0
        if in_a_row == MAX_FAILURES:
            return failures, True
    return failures, False


def try_to_send(
    event: str, send: Callable[[R], None], request: Callable[[], R]
) -> SinkError | None:
    """Send one event. Returns why the sink did not get it, with the event's id."""
    try:
        send(request())
    except SinkError as error:
        return SinkError(f"{event}: {error}", unavailable=error.unavailable)
    except Exception as error:  # noqa: BLE001 - a damaged document can raise any
        logs.exception("Unexpected error", error, event=event)
        return SinkError(f"{event}: {type(error).__name__}: {error}", unavailable=False)
    return None


def record_sent(
    sent: Sequence[T],
    record: Callable[[Sequence[T], Deadline], Sequence[StoreError | None]],
    failures: list[str],
) -> int:
    """Record what was sent. Returns the number of documents in which it is recorded.

    Errors are added to ``failures``, apart from conflicts: a document that has changed since has
    new events. Events that are not recorded are sent again later, with the same ids.
    """
    if not sent:
        return 0
    try:
        errors = record(sent, Deadline.after(CALL_SECONDS))
    except (StoreError, DeadlineExceededError) as error:
        failures.append(f"sent, but not recorded: {error}"[:MAX_REASON])
        return 0
    failures += [
        f"sent, but not recorded: {error}"[:MAX_REASON]
        for error in errors
        if error is not None and not isinstance(error, ConflictError)
    ]
    return errors.count(None)
