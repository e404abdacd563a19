"""The threads of the code make and finish the batches of the specification.

The interleavings have every outcome of every call in them: commits that are lost or late, requests
that end at their deadline while they are queued or in flight, and a new leader after each batch.
"""

from __future__ import annotations

import pytest
from support.specification.batches import compare_threads
from support.specification.comparison import CREATION, GROUP_COMMIT, Collected

pytestmark = [pytest.mark.usefixtures("_no_pauses"), pytest.mark.timeout(900)]


@pytest.mark.parametrize(("flow", "minimum"), [(GROUP_COMMIT, 500), (CREATION, 100)])
def test_threads_follow_every_interleaving(flow: str, minimum: int, collected: Collected) -> None:
    assert len(collected.batches[flow]) > minimum
    for interleaving in collected.batches[flow]:
        compare_threads(interleaving)
