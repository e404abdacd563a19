"""A batch of changes that Firestore rejects is divided, and still ends in the time of one call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from functions_common.firestore import client, documents
from functions_common.firestore.client import Connection
from functions_common.firestore.documents import Documents
from functions_common.firestore.errors import StoreError, StoreRejectedError, StoreUnavailableError
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL_SECONDS = 0.05


class Rejecting(Documents):
    """Rejects each request that holds the poison, some time after it was sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Connection(FirestoreSettings("test", "(default)", None)))
        self.seconds = seconds
        self.sent: list[list[str]] = []
        self.ends: list[float] = []

    def _write_together(self, writes: Sequence[Any], deadline: Deadline) -> list[StoreError | None]:
        deadline.timeout(60)
        self.sent.append(list(writes))
        self.ends.append(deadline.expires_at)
        assert deadline.expires_at <= time.monotonic() + client.CALL_SECONDS
        time.sleep(self.seconds)
        if "poison" in writes:
            raise StoreRejectedError("rejected")
        return [None] * len(writes)


def test_a_rejected_batch_is_not_divided_when_the_time_of_a_call_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "CALL_SECONDS", CALL_SECONDS)
    rejecting = Rejecting(CALL_SECONDS)
    errors = rejecting.write_each(["A", "B", "poison", "C"], Deadline.after(60))
    assert rejecting.sent == [["A", "B", "poison", "C"]]
    assert [type(error) for error in errors] == [StoreUnavailableError] * 4


def test_every_part_of_a_rejected_batch_ends_when_its_first_request_would_have() -> None:
    rejecting = Rejecting(0.01)
    errors = rejecting.write_each(["A", "B", "poison", "C"], Deadline.after(60))
    assert [type(error) for error in errors] == [type(None)] * 2 + [StoreRejectedError, type(None)]
    assert len(rejecting.ends) == 5
    assert len(set(rejecting.ends)) == 1


@pytest.mark.parametrize("seconds", [0.5, 60])
def test_a_deadline_within_some_seconds_is_never_later(seconds: float) -> None:
    deadline = Deadline.after(seconds)
    sooner = deadline.within(1)
    assert sooner.expires_at <= deadline.expires_at
    assert sooner.remaining <= 1
