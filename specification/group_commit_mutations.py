"""Mutations of the batches: each lacks one rule, and the explorer must find the mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specification.batched_creation import BatchedCreation
from specification.group_commit import (
    ABSENT,
    PRODUCT,
    Committed,
    Failure,
    GroupCommit,
    Queue,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from specification.batched_creation import Create
    from specification.documents import World
    from specification.group_commit import (
        Change,
        Documents,
        Key,
        Member,
        Result,
        StockOperation,
    )


class CommitBlindly(GroupCommit):
    """A commit names no version of the product."""

    def changes(self, found: Documents, after: World) -> Iterator[Change]:
        for change in super().changes(found, after):
            blind = change.key == PRODUCT
            yield change._replace(expected_version=None) if blind else change


class CreateBlindly(GroupCommit):
    """A new reservation is written over one that exists."""

    def changes(self, found: Documents, after: World) -> Iterator[Change]:
        for change in super().changes(found, after):
            blind = change.expected_version == ABSENT
            yield change._replace(expected_version=None) if blind else change


class RejectAssumed(GroupCommit):
    """A request is rejected as short, and its reservation was not read."""

    def must_be_read(
        self,
        operations: tuple[StockOperation, ...],  # noqa: ARG002
        results: tuple[Result, ...],  # noqa: ARG002
        found: Documents,  # noqa: ARG002
    ) -> tuple[Key, ...]:
        return ()


class TrustLostCommit(GroupCommit):
    """A commit without a response counts as carried out."""

    def is_committed(self, committed: object) -> bool:
        return committed in (Committed.YES, None)


class ForgetUnknown(GroupCommit):
    """After a commit of unknown outcome, the requests learn that nothing was changed."""

    def failure(self, *, unknown: bool) -> Failure:  # noqa: ARG002
        return Failure.UNAVAILABLE


class ForgetMembers(GroupCommit):
    """Only the leader remembers that the outcome of the commit is unknown."""

    def after_failure(self, member: Member, failure: Failure, *, leads: bool) -> Member:
        if leads:
            return super().after_failure(member, failure, leads=leads)
        return member._replace(state=State.QUEUED)


class KeepLeading(GroupCommit):
    """A batch ends, and the next request in the queue does not lead."""

    def next_leader(self, waiting: tuple[str, ...]) -> Queue:
        return Queue("", waiting)


class LastWriteWins(BatchedCreation):
    """The last order of each key is written, and the first one gets its result."""

    def writes(self, batch: tuple[Create, ...]) -> dict[str, Create]:
        return {each.key: each for each in batch}


class HideLostBatch(BatchedCreation):
    """A batch of unknown outcome counts as not carried out."""

    def after_failure(self, member: Member, failure: Failure, *, leads: bool) -> Member:  # noqa: ARG002
        return member.fail()


GROUP_COMMIT: dict[str, Callable[[], GroupCommit]] = {
    "commit-blindly": CommitBlindly,
    "create-blindly": CreateBlindly,
    "reject-assumed": RejectAssumed,
    "trust-lost-commit": TrustLostCommit,
    "forget-unknown": ForgetUnknown,
    "forget-members": ForgetMembers,
    "keep-leading": KeepLeading,
}
BATCHED_CREATION: dict[str, Callable[[], GroupCommit]] = {
    "last-write-wins": LastWriteWins,
    "hide-lost-batch": HideLostBatch,
}
