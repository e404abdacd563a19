"""What Firestore bills for a call, by the price list of the Standard edition.

The rules are those of the emulator (``firestore_emulator.service.usage``), read from the messages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from costs.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ENTRIES_PER_READ = 1000
_OK = 0


def of_call(method: str, request: Any, responses: Sequence[Any]) -> Usage:  # noqa: ANN401 - untyped
    """The usage of a call that succeeded. ``responses``: one, or those of a stream."""
    if method in ("Commit", "BatchWrite", "CreateDocument", "UpdateDocument", "DeleteDocument"):
        return _written(method, request, responses)
    return Usage(reads=_reads(method, responses), round_trips=1)


def of_writes(method: str, request: Any) -> Usage:  # noqa: ANN401 - untyped
    """The most that a call can write and delete."""
    if method == "DeleteDocument":
        return Usage(deletes=1)
    if method in ("CreateDocument", "UpdateDocument"):
        return Usage(writes=1)
    return _counted(request.writes) if method in ("Commit", "BatchWrite") else Usage()


def _written(method: str, request: Any, responses: Sequence[Any]) -> Usage:  # noqa: ANN401
    one = Usage(round_trips=1)
    if method == "BatchWrite":
        statuses = responses[0].status
        return one + _counted(
            write for write, each in zip(request.writes, statuses, strict=True) if each.code == _OK
        )
    return one + of_writes(method, request)


def _counted(writes: Iterable[Any]) -> Usage:
    deleted = [write.HasField("delete") for write in writes]
    return Usage(writes=deleted.count(False), deletes=deleted.count(True))


def _reads(method: str, responses: Sequence[Any]) -> int:
    match method:
        case "GetDocument":
            return 1
        case "BatchGetDocuments":  # a missing document is a read too
            return sum(bool(each.WhichOneof("result")) for each in responses)
        case "RunQuery":
            documents: int = sum(each.HasField("document") for each in responses)
            skipped = sum(int(each.skipped_results) for each in responses)
            return max(1, documents + skipped)
        case "RunAggregationQuery":
            counted = [
                value.integer_value
                for each in responses
                for value in each.result.aggregate_fields.values()
            ]
            return max(1, math.ceil(max(counted, default=0) / _ENTRIES_PER_READ))
        case "ListDocuments":
            return max(1, len(responses[0].documents))
        case "ListCollectionIds" | "PartitionQuery":
            return 1
        case _:  # a transaction that begins or ends
            return 0
