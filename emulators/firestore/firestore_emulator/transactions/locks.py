"""Who may read and who may write, and who waits for whom.

A read is shared: it locks the names that it asks for, and a query what it would find. A write
needs its names alone, and its documents to be found by no query of another, neither as they are
nor as they will be. Everything that one request asks for is granted at once or not at all.

A read waits for a write that is being carried out, and out of fairness for
- a write that waits since before it: otherwise new readers would keep it waiting for ever;
- another retry that has read, and lost its write of the same documents before, as this one has:
  otherwise retries would make each other lose again.
Fairness gives way where it would end in a deadlock. So only writes, each of which waits for
what the other has read, can be in one; then the younger of the owners is refused.

Nothing here tells the time or knows of tasks: a request that had to wait calls its `settled`.
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
class Read:
    names: frozenset[DocumentName] = frozenset()
    predicate: Predicate | None = None

    def meets(self, write: "Write") -> bool:
        if not self.names.isdisjoint(write.names):
            return True
        return self.predicate is not None and any(map(self.predicate, write.documents()))


class Write(Protocol):
    @property
    def names(self) -> frozenset[DocumentName]: ...

    def documents(self) -> Iterable[Document]:
        """As they are and as they would be, by what is stored now."""
        ...


@dataclass(frozen=True, slots=True)
class Lost:
    """A write that a deadlock ended, by what was stored then."""

    names: frozenset[DocumentName]
    found: tuple[Document, ...]

    def documents(self) -> Iterable[Document]:
        return self.found


class State(Enum):
    WAITING = "waiting"
    GRANTED = "granted"
    DEADLOCK = "deadlock"  # refused: the younger in one
    GONE = "gone"  # its owner ended, or the request was withdrawn


@dataclass(eq=False, slots=True)
class Place:
    """In the line of all owners; a retry takes over that of what it retries."""

    age: int | None = None  # of the first request: the lower, the earlier
    lost: Lost | None = None


@dataclass(eq=False, slots=True)
class Owner:
    """A transaction, or one write outside them."""

    place: Place = field(default_factory=Place)
    names: set[DocumentName] = field(default_factory=set)  # that it has read
    predicates: list[Predicate] = field(default_factory=list)

    @property
    def has_read(self) -> bool:
        return bool(self.names or self.predicates)


@dataclass(eq=False, slots=True)
class Request:
    owner: Owner
    wants: Read | Write
    number: int
    state: State = State.WAITING
    settled: Callable[[], None] = lambda: None


class LockTable:
    def __init__(self) -> None:
        self._numbers = count()  # of requests
        self._holders: dict[Owner, None] = {}  # who has been granted anything
        self._readers: dict[DocumentName, dict[Owner, None]] = {}
        self._querying: dict[Owner, None] = {}
        self._writing: dict[Owner, Write] = {}
        self._waiting: dict[Request, None] = {}  # in the order in which they came
        self._waiting_writes: dict[Request, Write] = {}

    @property
    def holders(self) -> KeysView[Owner]:
        return self._holders.keys()

    @property
    def waiting(self) -> KeysView[Request]:
        return self._waiting.keys()

    def request(self, owner: Owner, wants: Read | Write) -> Request:
        """A write is an owner's last request: its reads that wait are withdrawn."""
        request = Request(owner, wants, next(self._numbers))
        if owner.place.age is None:
            owner.place.age = request.number
        if not isinstance(wants, Read):
            self._end_waits(owner, State.GONE)
        if self._is_free(request):
            self._grant(request)
        else:
            self._wait(request)
            self._settle()
        return request

    def withdraw(self, request: Request) -> None:
        """Whoever asked waits no longer. What was granted stays until the owner's release."""
        if request in self._waiting:
            self._end_wait(request, State.GONE)
            self._settle()

    def release(self, *owners: Owner) -> None:
        """They have ended: they hold nothing, and wait for nothing, any more."""
        for owner in owners:
            self._drop(owner, State.GONE)
        self._settle()

    def _settle(self) -> None:
        while self._waiting and (self._grant_free() or self._let_one_in() or self._refuse_one()):
            pass

    def _grant_free(self) -> bool:
        granted = False
        for request in list(self._waiting):
            if self._is_free(request):
                self._end_wait(request, State.GRANTED)
                granted = True
        return granted

    def _let_one_in(self) -> bool:
        """A read that waits only out of fairness, and for one that waits for its own owner."""
        for request in self._waiting:
            if (
                isinstance(request.wants, Read)
                and not any(self._in_conflict(request))
                and self._cycle(request.owner, self._blockers)
            ):
                self._end_wait(request, State.GRANTED)
                return True
        return False

    def _refuse_one(self) -> bool:
        for request in self._waiting_writes:
            cycle = self._cycle(request.owner, self._in_conflict)
            if cycle:
                self._refuse(max(cycle, key=_age))
                return True
        return False

    def _refuse(self, owner: Owner) -> None:
        for request, write in self._waiting_writes.items():
            if request.owner is owner:
                owner.place.lost = Lost(write.names, tuple(write.documents()))
        self._drop(owner, State.DEADLOCK)

    def _cycle(self, start: Owner, blockers: Callable[[Request], Iterable[Owner]]) -> list[Owner]:
        """The owners of a shortest way from this one back to it; empty where there is none."""
        if start not in self._holders:  # nobody waits for it
            return []
        requests: dict[Owner, list[Request]] = {}
        for request in self._waiting:
            requests.setdefault(request.owner, []).append(request)
        came_from: dict[Owner, Owner] = {}
        to_visit = [start]
        for owner in to_visit:
            for following in chain.from_iterable(map(blockers, requests.get(owner, ()))):
                if following is start:
                    return _way(start, owner, came_from)
                if following not in came_from:
                    came_from[following] = owner
                    to_visit.append(following)
        return []

    def _is_free(self, request: Request) -> bool:
        return not self._holders or not any(self._blockers(request))

    def _blockers(self, request: Request) -> Iterator[Owner]:
        yield from self._in_conflict(request)
        yield from self._in_front(request)

    def _in_conflict(self, request: Request) -> Iterator[Owner]:
        """Those who hold what the request must not have beside them."""
        wants, own = request.wants, request.owner
        if isinstance(wants, Read):
            blockers = self._writers_met_by(wants)
        else:
            blockers = self._in_conflict_with_write(wants)
        return (owner for owner in blockers if owner is not own)

    def _writers_met_by(self, read: Read) -> Iterator[Owner]:
        for owner, write in self._writing.items():
            if read.meets(write):
                yield owner

    def _in_conflict_with_write(self, write: Write) -> Iterator[Owner]:
        for name in write.names:
            yield from self._readers.get(name, ())
        documents = list(write.documents()) if self._querying else []
        for owner in self._querying:
            if any(predicate(each) for predicate in owner.predicates for each in documents):
                yield owner
        for owner, other in self._writing.items():
            if not write.names.isdisjoint(other.names):
                yield owner

    def _in_front(self, request: Request) -> Iterator[Owner]:
        """Those for whom a read waits out of fairness."""
        read, own = request.wants, request.owner
        if not isinstance(read, Read):
            return
        for other, write in self._waiting_writes.items():
            if other.number < request.number and other.owner is not own and read.meets(write):
                yield other.owner
        if own.place.lost is None:
            return
        for owner in self._holders:
            lost = owner.place.lost
            if owner is not own and owner.has_read and lost is not None and read.meets(lost):
                yield owner

    def _grant(self, request: Request) -> None:
        request.state = State.GRANTED
        owner, wants = request.owner, request.wants
        self._holders[owner] = None
        if not isinstance(wants, Read):
            self._writing[owner] = wants
            return
        owner.names.update(wants.names)
        for name in wants.names:
            self._readers.setdefault(name, {})[owner] = None
        if wants.predicate is not None:
            owner.predicates.append(wants.predicate)
            self._querying[owner] = None

    def _wait(self, request: Request) -> None:
        self._waiting[request] = None
        if not isinstance(request.wants, Read):
            self._waiting_writes[request] = request.wants

    def _end_wait(self, request: Request, state: State) -> None:
        del self._waiting[request]
        self._waiting_writes.pop(request, None)
        request.state = state
        if state is State.GRANTED:
            self._grant(request)
        request.settled()

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


def _way(start: Owner, end: Owner, came_from: Mapping[Owner, Owner]) -> list[Owner]:
    way = [end]
    while way[-1] is not start:
        way.append(came_from[way[-1]])
    return way


def _age(owner: Owner) -> int:
    return owner.place.age or 0
