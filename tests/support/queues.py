"""Helpers that wait until a number of calls are queued."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functions_common.batching import Coalesced
    from inventory_function.group_commit import GroupCommit


def waiting(queue: GroupCommit | Coalesced[Any, Any]) -> int:
    return len(queue._waiting)  # noqa: SLF001 - there is no other way to know that they wait


def until_waiting(queue: GroupCommit | Coalesced[Any, Any], number: int) -> None:
    while waiting(queue) < number:
        time.sleep(0)
