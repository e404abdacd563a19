"""A batch that Firestore rejects is divided, and still ends within the time of one call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from functions_common.firestore import client, documents
from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.documents import Documents
from functions_common.firestore.errors import StoreError, StoreRejectedError, StoreUnavailableError
from functions_common.runtime.deadlines import Deadline
from functions_common.runtime.settings import FirestoreSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL_SECONDS = 0.05


class Rejecting(Documents):
    """Rejects each request that contains the poison, some time after it was sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(FirestoreConnection(FirestoreSettings("test", "(default)", None)))
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


def test_rejected_batch_is_not_divided_when_the_time_of_a_call_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "CALL_SECONDS", CALL_SECONDS)
    rejecting = Rejecting(CALL_SECONDS)
    errors = rejecting.write_each(["A", "B", "poison", "C"], Deadline.after(60))
    assert rejecting.sent == [["A", "B", "poison", "C"]]
    assert [type(error) for error in errors] == [StoreUnavailableError] * 4


def test_parts_of_a_rejected_batch_share_the_deadline_of_the_first_request() -> None:
    rejecting = Rejecting(0.01)
    errors = rejecting.write_each(["A", "B", "poison", "C"], Deadline.after(60))
    assert [type(error) for error in errors] == [type(None)] * 2 + [StoreRejectedError, type(None)]
    assert len(rejecting.ends) == 5
    assert len(set(rejecting.ends)) == 1


@pytest.mark.parametrize("seconds", [0.5, 60])
def test_deadline_within_seconds_is_never_later_than_the_original(seconds: float) -> None:
    deadline = Deadline.after(seconds)
    sooner = deadline.within(1)
    assert sooner.expires_at <= deadline.expires_at
    assert sooner.remaining <= 1
