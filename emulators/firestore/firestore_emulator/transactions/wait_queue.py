"""The waiting requests, and which of them to check when locks end.

A request waits at one of its obstacles: a document name, or ``ELSEWHERE`` if it conflicts with a
query. Each name has a queue for each kind of request. If the oldest request of a queue cannot get
the name, the others cannot either. The exception is a request of the owner that blocks them. So it
is enough to check the first request of each queue: N requests for one document take N checks.
"""

import heapq
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import count
from typing import TypeAlias

from firestore_emulator.model.names import DocumentName
from firestore_emulator.transactions.held_locks import HeldLocks
from firestore_emulator.transactions.lock_types import Owner, ReadLock, Request, WriteLock


class Elsewhere(Enum):
    ELSEWHERE = auto()


ELSEWHERE = Elsewhere.ELSEWHERE
Obstacle: TypeAlias = DocumentName | Elsewhere


class Kind(Enum):
    WRITE = auto()
    READ = auto()
    RETRY = auto()  # a read of an owner that has lost a write


Key: TypeAlias = tuple[Kind, DocumentName]


class WaitQueue:
    def __init__(self) -> None:
        self.requests: dict[Request, None] = {}  # oldest first
        self.writes: dict[Request, WriteLock] = {}
        self.of_owner: dict[Owner, dict[Request, None]] = {}
        self.writes_at: dict[DocumentName, dict[Request, None]] = {}
        self.elsewhere: dict[Request, None] = {}
        self._keys: dict[Request, Key | None] = {}
        self._queues: dict[Key, list[tuple[int, int, Request]]] = {}
        self._entries = count()
        self._freed: set[DocumentName] = set()

    def add(self, request: Request, obstacle: Obstacle) -> None:
        self.requests[request] = None
        self.of_owner.setdefault(request.owner, {})[request] = None
        if not isinstance(request.lock, ReadLock):
            self.writes[request] = request.lock
            for name in request.lock.names:
                self.writes_at.setdefault(name, {})[request] = None
        self.place(request, obstacle)

    def place(self, request: Request, obstacle: Obstacle) -> None:
        """Lets the request wait at this obstacle."""
        key = key_of(request, obstacle)
        self._keys[request] = key
        if key is None:
            self.elsewhere[request] = None
        else:
            self.elsewhere.pop(request, None)
            entry = (request.number, next(self._entries), request)
            heapq.heappush(self._queues.setdefault(key, []), entry)

    def remove(self, request: Request) -> None:
        del self.requests[request]
        del self._keys[request]
        self.elsewhere.pop(request, None)
        of_owner = self.of_owner[request.owner]
        del of_owner[request]
        if not of_owner:
            del self.of_owner[request.owner]
        write = self.writes.pop(request, None)
        if write is None:
            return
        for name in write.names:
            writes = self.writes_at[name]
            del writes[request]
            if not writes:
                del self.writes_at[name]

    def writes_in_the_way(self, read: ReadLock) -> Iterator[Request]:
        """The waiting writes that conflict with the read."""
        if read.predicate is None:
            for name in read.names:
                yield from self.writes_at.get(name, ())
            return
        for request, write in self.writes.items():
            if read.conflicts_with(write):
                yield request

    def free(self, names: Iterable[DocumentName]) -> None:
        """Notes the names at which a lock or a waiting write has ended."""
        self._freed.update(names)

    def forget_left(self) -> None:
        """Forgets what is left of requests that have left the queue. It must be empty."""
        self._queues.clear()
        self._freed.clear()

    def candidates(self, held: HeldLocks) -> "Candidates":
        freed, self._freed = self._freed, set()
        return Candidates(self, held, freed)

    def key(self, request: Request) -> Key | None:
        return self._keys[request]

    def first(self, key: Key) -> Request | None:
        """The oldest request of a queue. Entries of requests that left it are dropped."""
        queue = self._queues.get(key)
        while queue:
            request = queue[0][2]
            if request in self.requests and self._keys[request] == key:
                return request
            heapq.heappop(queue)
        self._queues.pop(key, None)
        return None


class Candidates:
    """The requests that may be free now, the oldest first."""

    def __init__(self, queue: WaitQueue, held: HeldLocks, freed: Iterable[DocumentName]) -> None:
        self._queue = queue
        self._heap: list[tuple[int, int, Request, Key | None]] = []
        self._entries = count()
        self._taken: Key | None = None
        for name in freed:
            for kind in Kind:
                self._offer_first((kind, name))
            for owners in (held.readers.get(name, {}), held.losers_at.get(name, {})):
                if len(owners) == 1:  # it blocks all requests but its own
                    for request in queue.of_owner.get(next(iter(owners)), ()):
                        self._offer(request, None)
        for request in queue.elsewhere:
            self._offer(request, None)

    def take(self) -> Request | None:
        if self._taken is not None:  # its first request has left the queue
            self._offer_first(self._taken)
            self._taken = None
        while self._heap:
            _, _, request, key = heapq.heappop(self._heap)
            if request in self._queue.requests:
                self._taken = key
                return request
            if key is not None:  # it was granted under another key
                self._offer_first(key)
        return None

    def put_back(self, request: Request, obstacle: Obstacle) -> None:
        """The taken request still waits. At the same obstacle, so does the rest of its queue."""
        key = key_of(request, obstacle)
        if key != self._queue.key(request):
            self._queue.place(request, obstacle)
        if key == self._taken:
            self._taken = None

    def _offer_first(self, key: Key) -> None:
        request = self._queue.first(key)
        if request is not None:
            self._offer(request, key)

    def _offer(self, request: Request, key: Key | None) -> None:
        heapq.heappush(self._heap, (request.number, next(self._entries), request, key))


def key_of(request: Request, obstacle: Obstacle) -> Key | None:
    if isinstance(obstacle, Elsewhere):
        return None
    if not isinstance(request.lock, ReadLock):
        return Kind.WRITE, obstacle
    return (Kind.READ if request.owner.position.lost is None else Kind.RETRY), obstacle
