"""Order's batches of new order documents (docs/adr/0021).

Orders that are created at the same time share one request, which writes each document on its own.
They queue as the requests of ``group_commit.py`` do, with two differences:

- A request that has been queued for a while overtakes: it leads a batch beside the one in flight.
- If the outcome of a batch is unknown, it is unknown to all members at once. Each of them then
  reads its document.

One request may write a document once. If a batch contains two orders with the same key, the second
has lost: it gets a conflict, and is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from specification.group_commit import (
    Failure,
    GroupCommit,
    Member,
    Memory,
    in_turn,
    note_possible,
)
from specification.processes import Call
from specification.store import write

if TYPE_CHECKING:
    from collections.abc import Generator

    from specification.documents import Order, World


class Create(NamedTuple):
    order: Order

    @property
    def key(self) -> str:
        return self.order.attempt.key

    def apply(self, world: World) -> tuple[World, bool]:
        return write(world, self.order)

    def __str__(self) -> str:
        return f"create {self.order}"


def write_each(
    memory: Memory, batch: tuple[Create, ...], writes: tuple[Create, ...]
) -> tuple[Memory, tuple[bool, ...]]:
    """Write each document on its own. False: it exists. ``batch`` is for the check alone."""
    steps = in_turn(memory.stock, writes)
    memory = note_possible(memory, batch)
    differs = steps[-1][0] != in_turn(memory.stock, batch)[-1][0]
    broken = "a batch differs from its orders in turn" if differs else ""
    memory = memory._replace(stock=steps[-1][0], broken=broken)
    return note_possible(memory, ()), tuple(result for _, result in steps)


class BatchedCreation(GroupCommit):
    def execute(  # type: ignore[override]
        self,
        operations: tuple[Create, ...],
        assume_absent: bool,  # noqa: ARG002 - a document to create is never read
    ) -> Generator[Call, tuple[bool, ...] | None, tuple[bool, ...] | Failure]:
        writes = self.writes(operations)
        results = yield Call(write_each, (operations, tuple(writes.values())), best_effort=True)
        if results is None:
            return Failure.UNKNOWN
        by_key = dict(zip(writes, results, strict=True))
        return tuple(by_key.pop(each.key, False) for each in operations)

    def writes(self, batch: tuple[Create, ...]) -> dict[str, Create]:
        """The first order of each key."""
        return {each.key: each for each in reversed(batch)}

    def after_failure(self, member: Member, failure: Failure, *, leads: bool) -> Member:  # noqa: ARG002
        return member._replace(outcome_unknown=failure is Failure.UNKNOWN).fail()
