"""The lock table: which owner holds which locks, and which requests wait for which owners.

A read lock is shared. It covers the document names of the read and, for a query, every document
that the query would find. A write lock needs its names alone, and no query of another owner may
find its documents, neither as they are nor as they will be. A request gets all its locks at the
same moment, or waits.

A write does not wait for a younger reader: the reader is aborted, as on the service, and retries
with its old age. So an idle transaction delays only younger writers, and a retry is at some moment
the oldest and wins. A plain write is as old as its request, so it waits for every earlier reader.

A read waits for a write that is being carried out. For fairness it also waits for
- a write that has waited longer: otherwise new readers could block the write forever;
- another retry that has read the same documents, after both were aborted because of them:
  otherwise the retries would make each other lose again.
If such a fairness wait would end in a deadlock, the read is granted. A deadlock of writes needs a
writer that waits for a younger reader. Such a reader has read after the write began to wait: it is
the younger owner of the cycle, and is aborted.

When locks end, the table checks only requests that wait for them (``wait_queue``). It searches
cycles of waits only from owners that started to wait, or got a lock while they wait: a new cycle
passes through one of them.

Nothing here uses a clock or tasks. The table calls a request's ``on_settled`` when its wait ends.
"""

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from itertools import chain, count

from firestore_emulator.model.names import DocumentName
from firestore_emulator.transactions.held_locks import HeldLocks
from firestore_emulator.transactions.lock_types import (
    LostWrite,
    Owner,
    ReadLock,
    Request,
    State,
    WriteLock,
)
from firestore_emulator.transactions.wait_queue import ELSEWHERE, Obstacle, WaitQueue


class LockTable:
    def __init__(self) -> None:
        self._numbers = count()  # of requests
        self._held = HeldLocks()
        self._queue = WaitQueue()
        # Owners through which a deadlock may have come up since the last search.
        self._suspects: dict[Owner, None] = {}

    @property
    def holders(self) -> KeysView[Owner]:
        return self._held.owners.keys()

    @property
    def waiting(self) -> KeysView[Request]:
        return self._queue.requests.keys()

    def request(self, owner: Owner, lock: ReadLock | WriteLock) -> Request:
        """Grants the lock or queues the request. An aborted owner gets nothing.

        A write is the last request of its owner: it withdraws the owner's waiting reads.
        """
        request = Request(owner, lock, next(self._numbers))
        if owner.is_aborted:
            request.state = State.DEADLOCK
            return request
        if owner.position.age is None:
            owner.position.age = request.number
        if not isinstance(lock, ReadLock):
            self._end_waits(owner, State.GONE)
            self._abort_younger_readers(request)
        obstacle = self._obstacle(request)
        if obstacle is None:
            self._grant(request)
            self._settle()
        else:
            self._queue.add(request, obstacle)
            self._suspects[owner] = None
            self._settle()
        return request

    def withdraw(self, request: Request) -> None:
        """Ends the wait of a request. A granted lock stays until the owner's release."""
        if request in self._queue.requests:
            self._end_wait(request, State.GONE)
            self._settle()

    def release(self, *owners: Owner) -> None:
        """Releases all locks of the owners and ends their waits."""
        queries = self._held.querying or self._queue.elsewhere
        if queries and any(owner in self._held.writing for owner in owners):
            # Documents have changed, so other queries may conflict with the queued writes.
            self._suspects.update(dict.fromkeys(self._queue.of_owner))
        for owner in owners:
            self._drop(owner, State.GONE)
        self._settle()

    def _settle(self) -> None:
        if self._queue.requests:
            self._grant_free()
            self._break_cycles()
        else:
            self._suspects.clear()
            self._queue.forget_left()

    def _break_cycles(self) -> None:
        while any(self._cycle(each, self._blockers) for each in self._suspects):
            if not (self._grant_one_unfair_read() or self._break_one_deadlock()):
                return  # a running write is in the cycle, and ends it
            self._grant_free()
        self._suspects.clear()

    def _grant_free(self) -> None:
        """Grants what became free, the oldest first. It looks only where a lock has ended."""
        candidates = self._queue.candidates(self._held)
        while (request := candidates.take()) is not None:
            obstacle = self._obstacle(request)
            if obstacle is None:
                self._end_wait(request, State.GRANTED)
            else:
                candidates.put_back(request, obstacle)

    def _grant_one_unfair_read(self) -> bool:
        """Grants a read that waits only for fairness, and only for a request behind its owner."""
        for request in self._queue.requests:
            if (
                isinstance(request.lock, ReadLock)
                and not any(self._conflict_blockers(request))
                and self._cycle(request.owner, self._blockers)
            ):
                self._end_wait(request, State.GRANTED)
                return True
        return False

    def _break_one_deadlock(self) -> bool:
        for request in self._queue.writes:
            cycle = self._cycle(request.owner, self._conflict_blockers)
            if cycle:
                self._abort(max(cycle, key=_age))
                return True
        return False

    def _abort_younger_readers(self, write: Request) -> None:
        """A write that is being carried out is not aborted, however young its owner is.

        The aborted reader will probably write what it has read. So it counts as a loser of this
        write, and its retry reads after the other losers.
        """
        lock, age = write.lock, _age(write.owner)
        for owner in dict.fromkeys(self._conflict_blockers(write)):
            if owner not in self._held.writing and _age(owner) > age:
                if not isinstance(lock, ReadLock):
                    owner.position.lost = LostWrite(lock.names, tuple(lock.documents()))
                self._abort(owner)

    def _abort(self, owner: Owner) -> None:
        for request in self._queue.of_owner.get(owner, ()):
            if not isinstance(request.lock, ReadLock):
                lost = LostWrite(request.lock.names, tuple(request.lock.documents()))
                owner.position.lost = lost
        owner.is_aborted = True
        self._drop(owner, State.DEADLOCK)

    def _cycle(self, start: Owner, blockers: Callable[[Request], Iterable[Owner]]) -> list[Owner]:
        """The owners of a shortest cycle of waits through this one; empty without a cycle."""
        if not self._may_be_awaited(start):
            return []
        came_from: dict[Owner, Owner] = {}
        to_visit = [start]
        for owner in to_visit:
            requests = self._queue.of_owner.get(owner, ())
            for following in chain.from_iterable(map(blockers, requests)):
                if following is start:
                    return _path(start, owner, came_from)
                if following not in came_from:
                    came_from[following] = owner
                    to_visit.append(following)
        return []

    def _may_be_awaited(self, owner: Owner) -> bool:
        """Whether the owner waits and another request could wait for it."""
        own = self._queue.of_owner.get(owner)
        if own is None or owner not in self._held.owners:
            return False
        if owner.position.lost is not None or (owner.predicates and self._queue.writes):
            return True
        newest = next(reversed(self._queue.requests))
        if any(not isinstance(each.lock, ReadLock) and each is not newest for each in own):
            return True  # a newer read may wait for its write
        return any(
            request.owner is not owner
            for name in owner.names
            for request in self._queue.writes_at.get(name, ())
        )

    def _obstacle(self, request: Request) -> Obstacle | None:
        """Something that the request must wait for, or None if it is free."""
        lock, owner, held = request.lock, request.owner, self._held
        if not held.owners:
            return None
        if not isinstance(lock, ReadLock):
            for name in lock.names:
                readers = held.readers.get(name, {})
                if name in held.writers or len(readers) > (owner in readers):
                    return name
            return ELSEWHERE if held.querying and any(self._blockers(request)) else None
        for name in lock.names:
            if name in held.writers or self._is_behind_a_write(request, name):
                return name
            losers = held.losers_at.get(name, {})
            if owner.position.lost is not None and len(losers) > (owner in losers):
                return name
        return ELSEWHERE if lock.predicate is not None and any(self._blockers(request)) else None

    def _is_behind_a_write(self, read: Request, name: DocumentName) -> bool:
        for write in self._queue.writes_at.get(name, ()):
            if write.number > read.number:
                return False
            if write.owner is not read.owner:
                return True
        return False

    def _blockers(self, request: Request) -> Iterator[Owner]:
        yield from self._conflict_blockers(request)
        yield from self._fairness_blockers(request)

    def _conflict_blockers(self, request: Request) -> Iterator[Owner]:
        """The owners of granted locks that conflict with the request."""
        lock, own = request.lock, request.owner
        if isinstance(lock, ReadLock):
            blockers = self._held.conflicts_of_read(lock)
        else:
            blockers = self._held.conflicts_of_write(lock)
        return (owner for owner in blockers if owner is not own)

    def _fairness_blockers(self, request: Request) -> Iterator[Owner]:
        """The owners for which a read waits out of fairness."""
        read, own = request.lock, request.owner
        if not isinstance(read, ReadLock):
            return
        for other in self._queue.writes_in_the_way(read):
            if other.number < request.number and other.owner is not own:
                yield other.owner
        if own.position.lost is not None:
            yield from (each for each in self._held.losers_in_the_way(read) if each is not own)

    def _grant(self, request: Request) -> None:
        request.state = State.GRANTED
        self._held.add(request.owner, request.lock)
        if request.owner in self._queue.of_owner:
            self._suspects[request.owner] = None

    def _end_wait(self, request: Request, state: State) -> None:
        self._queue.remove(request)
        request.state = state
        if state is State.GRANTED:
            self._grant(request)
        elif not isinstance(request.lock, ReadLock):
            self._queue.free(request.lock.names)
        request.on_settled()

    def _end_waits(self, owner: Owner, state: State) -> None:
        for request in list(self._queue.of_owner.get(owner, ())):
            self._end_wait(request, state)

    def _drop(self, owner: Owner, state: State) -> None:
        self._end_waits(owner, state)
        self._queue.free(self._held.remove(owner))
        self._suspects.pop(owner, None)


def _path(start: Owner, end: Owner, came_from: Mapping[Owner, Owner]) -> list[Owner]:
    path = [end]
    while path[-1] is not start:
        path.append(came_from[path[-1]])
    return path


def _age(owner: Owner) -> int:
    return owner.position.age or 0
