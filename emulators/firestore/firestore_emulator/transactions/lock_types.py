"""The locks, their owners, and the requests for them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
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
    DEADLOCK = "deadlock"  # aborted, as the younger owner in a deadlock or in the way of a write
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
    is_aborted: bool = False  # it has lost its locks to another owner, and gets no others

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
