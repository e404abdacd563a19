"""A limit of the commits of each document in a second, such as the service has under load.

A commit waits with its locks, so other writers of its documents wait, too. A commit that fails
writes nothing: it does not wait, and does not make others wait.
"""

import asyncio
import math
from collections.abc import Callable, Collection

from firestore_emulator.model.names import DocumentName

MAX_NAMES = 10_000


class Pace:
    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        """``per_second``: commits of one document. Infinite: no limit."""
        self._interval = 0.0 if math.isinf(per_second) else 1 / per_second
        self._clock = clock
        self._next: dict[DocumentName, float] = {}

    @property
    def is_limited(self) -> bool:
        """Whether commits can have to wait."""
        return bool(self._interval)

    @property
    def remembered(self) -> int:
        """The number of documents whose last commit is remembered."""
        return len(self._next)

    async def wait(self, names: Collection[DocumentName]) -> None:
        """Waits until a commit of these documents is due."""
        if not self.is_limited:
            return
        now = self._clock()
        due = max((self._next.get(name, now) for name in names), default=now)
        self._forget(now)
        self._next.update(dict.fromkeys(names, max(due, now) + self._interval))
        if due > now:
            await asyncio.sleep(due - now)

    def _forget(self, now: float) -> None:
        """Forgets the documents whose next commit need not wait."""
        if len(self._next) >= MAX_NAMES:
            self._next = {name: due for name, due in self._next.items() if due > now}
