"""The queue of a batcher, so that a test can wait until calls are queued."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from functions_common.batching import Batcher

if TYPE_CHECKING:
    from inventory_function.group_commit import GroupCommit


def queued(queue: GroupCommit | Batcher[Any, Any]) -> int:
    batcher = queue if isinstance(queue, Batcher) else queue._batcher  # noqa: SLF001
    return len(batcher._queue)  # noqa: SLF001 - no public method shows the queue


def wait_until_queued(queue: GroupCommit | Batcher[Any, Any], number: int) -> None:
    while queued(queue) < number:
        time.sleep(0)
