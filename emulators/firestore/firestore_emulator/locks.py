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
from itertools import count
from typing import Protocol, TypeAlias

from firestore_emulator.messages import Document
from firestore_emulator.names import DocumentName

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
    names: set[DocumentName] = field(default_factory=set)
    predicates: list[Predicate] = field(default_factory=list)
    writing: Write | None = None

    @property
    def has_read(self) -> bool:
        return bool(self.names or self.predicates)


@dataclass(eq=False, slots=True)
class Request:
    owner: Owner
    wants: Read | Write
    state: State = State.WAITING
    settled: Callable[[], None] = lambda: None


class LockTable:
    def __init__(self) -> None:
        self._ages = count()
        self._holders: dict[Owner, None] = {}  # who has been granted anything
        self._readers: dict[DocumentName, dict[Owner, None]] = {}
        self._querying: dict[Owner, None] = {}
        self._writing: dict[Owner, None] = {}
        self._waiting: dict[Request, None] = {}  # in the order in which they came

    @property
    def holders(self) -> KeysView[Owner]:
        return self._holders.keys()

    @property
    def waiting(self) -> KeysView[Request]:
        return self._waiting.keys()

    def request(self, owner: Owner, wants: Read | Write) -> Request:
        """A write is an owner's last request: its reads that wait are withdrawn."""
        if owner.place.age is None:
            owner.place.age = next(self._ages)
        if not isinstance(wants, Read):
            self._end_waits(owner, State.GONE)
        request = Request(owner, wants)
        if self._is_free(request):
            self._grant(request)
        else:
            self._waiting[request] = None
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
        edges = self._edges(self._blockers)
        for request in self._waiting:
            if not any(self._in_conflict(request)) and _cycle(request.owner, edges):
                self._end_wait(request, State.GRANTED)
                return True
        return False

    def _refuse_one(self) -> bool:
        edges = self._edges(self._in_conflict)
        for owner in edges:
            cycle = _cycle(owner, edges)
            if cycle:
                self._refuse(max(cycle, key=_age))
                return True
        return False

    def _refuse(self, owner: Owner) -> None:
        for request in self._waiting:
            if request.owner is owner and not isinstance(request.wants, Read):
                write = request.wants
                owner.place.lost = Lost(write.names, tuple(write.documents()))
        self._drop(owner, State.DEADLOCK)

    def _edges(
        self, blockers: Callable[[Request], Iterable[Owner]]
    ) -> dict[Owner, dict[Owner, None]]:
        edges: dict[Owner, dict[Owner, None]] = {}
        for request in self._waiting:
            edges.setdefault(request.owner, {}).update(dict.fromkeys(blockers(request)))
        return edges

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
        for owner in self._writing:
            if owner.writing is not None and read.meets(owner.writing):
                yield owner

    def _in_conflict_with_write(self, write: Write) -> Iterator[Owner]:
        for name in write.names:
            yield from self._readers.get(name, ())
        documents = list(write.documents()) if self._querying else []
        for owner in self._querying:
            if any(predicate(each) for predicate in owner.predicates for each in documents):
                yield owner
        for owner in self._writing:
            if owner.writing is not None and not write.names.isdisjoint(owner.writing.names):
                yield owner

    def _in_front(self, request: Request) -> Iterator[Owner]:
        """Those for whom a read waits out of fairness."""
        read, own = request.wants, request.owner
        if not isinstance(read, Read):
            return
        for earlier in self._waiting:
            if earlier is request:
                break
            if earlier.owner is not own and _goes_first(earlier, request):
                yield earlier.owner
        if own.place.lost is not None:
            for owner in self._holders:
                if owner is not own and owner.has_read and _lost_what(owner, read):
                    yield owner

    def _grant(self, request: Request) -> None:
        request.state = State.GRANTED
        owner, wants = request.owner, request.wants
        self._holders[owner] = None
        if not isinstance(wants, Read):
            owner.writing = wants
            self._writing[owner] = None
            return
        owner.names.update(wants.names)
        for name in wants.names:
            self._readers.setdefault(name, {})[owner] = None
        if wants.predicate is not None:
            owner.predicates.append(wants.predicate)
            self._querying[owner] = None

    def _end_wait(self, request: Request, state: State) -> None:
        del self._waiting[request]
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
        owner.writing = None
        for holders in (self._holders, self._querying, self._writing):
            holders.pop(owner, None)


def _goes_first(earlier: Request, read: Request) -> bool:
    """Of two that wait."""
    wanted = read.wants
    if not isinstance(wanted, Read):
        return False
    if isinstance(earlier.wants, Read):
        return read.owner.place.lost is not None and _lost_what(earlier.owner, wanted)
    return wanted.meets(earlier.wants)


def _lost_what(owner: Owner, read: Read) -> bool:
    return owner.place.lost is not None and read.meets(owner.place.lost)


def _cycle(start: Owner, edges: Mapping[Owner, Iterable[Owner]]) -> list[Owner]:
    """The owners of a shortest way from this one back to it; empty where there is none."""
    came_from: dict[Owner, Owner] = {}
    to_visit = [start]
    for owner in to_visit:
        for following in edges.get(owner, ()):
            if following is start:
                way = [owner]
                while way[-1] is not start:
                    way.append(came_from[way[-1]])
                return way
            if following not in came_from:
                came_from[following] = owner
                to_visit.append(following)
    return []


def _age(owner: Owner) -> int:
    return owner.place.age or 0
