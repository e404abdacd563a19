"""The lock table: which owner holds which locks, and which requests wait for which owners.

A read lock is shared. It covers the document names of the read and, for a query, every document
that the query would find. A write lock needs its names alone, and no query of another owner may
find its documents, neither as they are nor as they will be. A request gets all its locks at the
same moment, or waits.

A read waits for a write that is being carried out. For fairness it also waits for
- a write that has waited longer: otherwise new readers could block the write forever;
- another retry that has read the same documents, after both lost their write of them to a
  deadlock: otherwise the retries would make each other lose again.
If such a fairness wait would end in a deadlock, the read is granted. So only writes can deadlock,
each waiting for documents that the other has read. Then the younger of the owners is aborted.

Nothing here uses a clock or tasks. The table calls a request's ``on_settled`` when its wait ends.
"""

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, count
from typing import Protocol, TypeAlias

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName

Predicate: TypeAlias = Callable[[Document], bool]


@dataclass(frozen=True, slots=True)
class ReadLock:
    names: frozenset[DocumentName] = frozenset()
    predicate: Predicate | None = None

    def conflicts_with(self, write: "WriteLock") -> bool:
        if not self.names.isdisjoint(write.names):
            return True
        return self.predicate is not None and any(map(self.predicate, write.documents()))


class WriteLock(Protocol):
    @property
    def names(self) -> frozenset[DocumentName]: ...

    def documents(self) -> Iterable[Document]:
        """The documents before and after the write, given the present database."""
        ...


@dataclass(frozen=True, slots=True)
class LostWrite:
    """A write that a deadlock ended, with its documents as of that moment."""

    names: frozenset[DocumentName]
    found: tuple[Document, ...]

    def documents(self) -> Iterable[Document]:
        return self.found


class State(Enum):
    WAITING = "waiting"
    GRANTED = "granted"
    DEADLOCK = "deadlock"  # aborted as the younger owner in a deadlock
    GONE = "gone"  # the owner ended, or the request was withdrawn


@dataclass(eq=False, slots=True)
class QueuePosition:
    """An owner's position among all owners. A retry takes over that of its aborted transaction."""

    age: int | None = None  # number of the first request: the lower, the older
    lost: LostWrite | None = None


@dataclass(eq=False, slots=True)
class Owner:
    """A transaction, or one write outside transactions."""

    position: QueuePosition = field(default_factory=QueuePosition)
    names: set[DocumentName] = field(default_factory=set)  # names with a read lock
    predicates: list[Predicate] = field(default_factory=list)

    @property
    def has_read(self) -> bool:
        return bool(self.names or self.predicates)


@dataclass(eq=False, slots=True)
class Request:
    owner: Owner
    lock: ReadLock | WriteLock
    number: int
    state: State = State.WAITING
    on_settled: Callable[[], None] = lambda: None


class LockTable:
    def __init__(self) -> None:
        self._numbers = count()  # of requests
        self._holders: dict[Owner, None] = {}
        self._readers: dict[DocumentName, dict[Owner, None]] = {}
        self._querying: dict[Owner, None] = {}
        self._writing: dict[Owner, WriteLock] = {}
        self._waiting: dict[Request, None] = {}  # oldest first
        self._waiting_writes: dict[Request, WriteLock] = {}

    @property
    def holders(self) -> KeysView[Owner]:
        return self._holders.keys()

    @property
    def waiting(self) -> KeysView[Request]:
        return self._waiting.keys()

    def request(self, owner: Owner, lock: ReadLock | WriteLock) -> Request:
        """Grants the lock or queues the request.

        A write is the last request of its owner: it withdraws the owner's waiting reads.
        """
        request = Request(owner, lock, next(self._numbers))
        if owner.position.age is None:
            owner.position.age = request.number
        if not isinstance(lock, ReadLock):
            self._end_waits(owner, State.GONE)
        if self._is_free(request):
            self._grant(request)
        else:
            self._wait(request)
            self._settle()
        return request

    def withdraw(self, request: Request) -> None:
        """Ends the wait of a request. A granted lock stays until the owner's release."""
        if request in self._waiting:
            self._end_wait(request, State.GONE)
            self._settle()

    def release(self, *owners: Owner) -> None:
        """Releases all locks of the owners and ends their waits."""
        for owner in owners:
            self._drop(owner, State.GONE)
        self._settle()

    def _settle(self) -> None:
        while self._waiting and (
            self._grant_free() or self._grant_one_unfair_read() or self._break_one_deadlock()
        ):
            pass

    def _grant_free(self) -> bool:
        granted = False
        for request in list(self._waiting):
            if self._is_free(request):
                self._end_wait(request, State.GRANTED)
                granted = True
        return granted

    def _grant_one_unfair_read(self) -> bool:
        """Grants a read that waits only for fairness, and only for a request behind its owner."""
        for request in self._waiting:
            if (
                isinstance(request.lock, ReadLock)
                and not any(self._conflict_blockers(request))
                and self._cycle(request.owner, self._blockers)
            ):
                self._end_wait(request, State.GRANTED)
                return True
        return False

    def _break_one_deadlock(self) -> bool:
        for request in self._waiting_writes:
            cycle = self._cycle(request.owner, self._conflict_blockers)
            if cycle:
                self._abort(max(cycle, key=_age))
                return True
        return False

    def _abort(self, owner: Owner) -> None:
        for request, write in self._waiting_writes.items():
            if request.owner is owner:
                owner.position.lost = LostWrite(write.names, tuple(write.documents()))
        self._drop(owner, State.DEADLOCK)

    def _cycle(self, start: Owner, blockers: Callable[[Request], Iterable[Owner]]) -> list[Owner]:
        """The owners of a shortest cycle of waits through this one; empty without a cycle."""
        if start not in self._holders:  # no request waits for it
            return []
        requests: dict[Owner, list[Request]] = {}
        for request in self._waiting:
            requests.setdefault(request.owner, []).append(request)
        came_from: dict[Owner, Owner] = {}
        to_visit = [start]
        for owner in to_visit:
            for following in chain.from_iterable(map(blockers, requests.get(owner, ()))):
                if following is start:
                    return _path(start, owner, came_from)
                if following not in came_from:
                    came_from[following] = owner
                    to_visit.append(following)
        return []

    def _is_free(self, request: Request) -> bool:
        return not self._holders or not any(self._blockers(request))

    def _blockers(self, request: Request) -> Iterator[Owner]:
        yield from self._conflict_blockers(request)
        yield from self._fairness_blockers(request)

    def _conflict_blockers(self, request: Request) -> Iterator[Owner]:
        """The owners of granted locks that conflict with the request."""
        lock, own = request.lock, request.owner
        if isinstance(lock, ReadLock):
            blockers = self._read_conflicts(lock)
        else:
            blockers = self._write_conflicts(lock)
        return (owner for owner in blockers if owner is not own)

    def _read_conflicts(self, read: ReadLock) -> Iterator[Owner]:
        for owner, write in self._writing.items():
            if read.conflicts_with(write):
                yield owner

    def _write_conflicts(self, write: WriteLock) -> Iterator[Owner]:
        for name in write.names:
            yield from self._readers.get(name, ())
        documents = list(write.documents()) if self._querying else []
        for owner in self._querying:
            if any(predicate(each) for predicate in owner.predicates for each in documents):
                yield owner
        for owner, other in self._writing.items():
            if not write.names.isdisjoint(other.names):
                yield owner

    def _fairness_blockers(self, request: Request) -> Iterator[Owner]:
        """The owners for which a read waits out of fairness."""
        read, own = request.lock, request.owner
        if not isinstance(read, ReadLock):
            return
        for other, write in self._waiting_writes.items():
            is_older = other.number < request.number
            if is_older and other.owner is not own and read.conflicts_with(write):
                yield other.owner
        if own.position.lost is None:
            return
        for owner in self._holders:
            lost = owner.position.lost
            if owner is own or not owner.has_read or lost is None:
                continue
            if read.conflicts_with(lost):
                yield owner

    def _grant(self, request: Request) -> None:
        request.state = State.GRANTED
        owner, lock = request.owner, request.lock
        self._holders[owner] = None
        if not isinstance(lock, ReadLock):
            self._writing[owner] = lock
            return
        owner.names.update(lock.names)
        for name in lock.names:
            self._readers.setdefault(name, {})[owner] = None
        if lock.predicate is not None:
            owner.predicates.append(lock.predicate)
            self._querying[owner] = None

    def _wait(self, request: Request) -> None:
        self._waiting[request] = None
        if not isinstance(request.lock, ReadLock):
            self._waiting_writes[request] = request.lock

    def _end_wait(self, request: Request, state: State) -> None:
        del self._waiting[request]
        self._waiting_writes.pop(request, None)
        request.state = state
        if state is State.GRANTED:
            self._grant(request)
        request.on_settled()

    def _end_waits(self, owner: Owner, state: State) -> None:
        for request in [each for each in self._waiting if each.owner is owner]:
            self._end_wait(request, state)

    def _drop(self, owner: Owner, state: State) -> None:
        self._end_waits(owner, state)
        for name in owner.names:
            readers = self._readers[name]
            del readers[owner]
            if not readers:
                del self._readers[name]
        owner.names.clear()
        owner.predicates.clear()
        self._holders.pop(owner, None)
        self._querying.pop(owner, None)
        self._writing.pop(owner, None)


def _path(start: Owner, end: Owner, came_from: Mapping[Owner, Owner]) -> list[Owner]:
    path = [end]
    while path[-1] is not start:
        path.append(came_from[path[-1]])
    return path


def _age(owner: Owner) -> int:
    return owner.position.age or 0
