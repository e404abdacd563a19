"""The documents. A commit is the only thing that changes them.

A stored Document is never mutated, only replaced, so whoever holds one, or a list of them
taken at one time, holds a consistent snapshot. What is replaced or deleted goes to the history.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.clock import Clock, in_microseconds, timestamp
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.messages import Document, Write, WriteResult
from firestore_emulator.model.names import DocumentName, check_database
from firestore_emulator.store import writes
from firestore_emulator.store.change_feed import Change, Feed
from firestore_emulator.store.history import MAX_BYTES, History
from firestore_emulator.store.id_map import IdMap, IdRange
from firestore_emulator.store.journal import InMemory, Journal
from firestore_emulator.store.view import PastView, View, under

_NANOS_PER_MICROSECOND = 1000
_NANOS_PER_SECOND = 1_000_000_000


class Commit(NamedTuple):
    time: Timestamp
    results: list[WriteResult]


class Staged(NamedTuple):
    changes: dict[DocumentName, Change]
    results: list[WriteResult]


class Reading(NamedTuple):
    view: View
    time: Timestamp


class Database:
    """Is itself the view of what there is now."""

    def __init__(
        self,
        name: str,
        clock: Clock | None = None,
        max_history_bytes: int = MAX_BYTES,
        journal: Journal | None = None,
        documents: Iterable[Document] = (),
    ) -> None:
        """The documents are those that it begins with."""
        self.name = name
        self.feed = Feed()
        self._clock = clock or Clock()
        self._journal = journal or InMemory()
        self._collections: dict[str, IdMap[Document]] = {}
        for document in documents:
            self._store(DocumentName.parse(document.name), document)
        self._history = History(self._clock.now(), max_history_bytes)
        self._when_cleared: list[Callable[[], None]] = []

    def read(self, at: Timestamp | None = None) -> Reading:
        """Of now, or of an earlier time. No commit to come is of the reading's time or before."""
        now = self._clock.read_time()
        if at is None:
            return Reading(self, now)
        return Reading(self._view_at(_microseconds(at), in_microseconds(now)), at)

    def document_name(self, name: str) -> DocumentName:
        parsed = DocumentName.parse(name)
        if parsed.database != self.name:
            raise InvalidArgumentError(f'Document "{name}" is not in database "{self.name}".')
        return parsed

    def get(self, name: DocumentName) -> Document | None:
        documents = self._collections.get(name.collection)
        return documents.get(name.id) if documents else None

    def collection(self, path: str) -> Iterable[Document]:
        return self._collections.get(path, {}).values()

    def in_name_order(self, path: str, span: IdRange) -> Iterator[Document]:
        documents = self._collections.get(path)
        return documents.in_order(span) if documents else iter(())

    def collection_paths(self, parent: str) -> Iterator[str]:
        return under(parent, self._collections)

    def commit(self, requested: Sequence[Write]) -> Commit:
        """Carries out all of them in order, or raises and carries out none."""
        now = self._clock.commit_time()
        changes, results = self._stage(requested, now)
        changed = {
            name: change for name, change in changes.items() if change.after is not change.before
        }
        self._journal.commit(
            in_microseconds(now), {name: change.after for name, change in changed.items()}
        )
        ended = {name: change.before for name, change in changed.items() if change.before}
        self._history.record(in_microseconds(now), ended)
        for name, change in changed.items():
            self._store(name, change.after)
        self._tell(changed)
        return Commit(now, results)

    def changes(self, requested: Sequence[Write]) -> Iterable[Change]:
        """What a commit of these would make of the documents now; or it raises as that would."""
        now = timestamp(self._clock.now())
        return self._stage(requested, now).changes.values()

    def on_clear(self, callback: Callable[[], None]) -> None:
        self._when_cleared.append(callback)

    def clear(self) -> None:
        """Forgets what was before, too: it can no longer be read at its time."""
        now = in_microseconds(self._clock.commit_time())
        self._journal.clear(now)
        gone = self._documents() if self.feed else ()
        self._collections.clear()
        self._history.clear(now)
        self._tell({DocumentName.parse(each.name): Change(each, None) for each in gone})
        for callback in self._when_cleared:
            callback()

    def _stage(self, requested: Sequence[Write], now: Timestamp) -> Staged:
        writes.check_form(requested)
        changes: dict[DocumentName, Change] = {}
        results = []
        for write in requested:
            name = self.document_name(writes.target(write))
            earlier = changes.get(name)
            stored = earlier.before if earlier else self.get(name)
            current = earlier.after if earlier else stored
            writes.check(write, current, stored)
            document, result = writes.apply(write, current, now)
            changes[name] = Change(stored, document)
            results.append(result)
        return Staged(changes, results)

    def _view_at(self, time: int, now: int) -> View:
        if time > now:
            raise InvalidArgumentError("The requested 'read_time' cannot be in the future.")
        if time < self._history.oldest(now):
            raise FailedPreconditionError("The requested snapshot version is too old.")
        return PastView(self, self._history, time)

    def _tell(self, changed: Mapping[DocumentName, Change]) -> None:
        if self.feed:
            for name, change in changed.items():
                self.feed.tell(name, change)

    def _documents(self) -> list[Document]:
        return [each for documents in self._collections.values() for each in documents.values()]

    def _store(self, name: DocumentName, document: Document | None) -> None:
        if document is not None:
            self._collections.setdefault(name.collection, IdMap())[name.id] = document
        elif documents := self._collections.get(name.collection):
            documents.pop(name.id, None)
            if not documents:
                del self._collections[name.collection]


class Databases:
    """Every database that is asked for exists, as in the official emulator."""

    def __init__(
        self, make: Callable[[str], Database] = Database, kept: Iterable[Database] = ()
    ) -> None:
        self._make = make
        self._databases = {database.name: database for database in kept}

    def __iter__(self) -> Iterator[Database]:
        return iter(self._databases.values())

    def __getitem__(self, name: str) -> Database:
        database = self._databases.get(name)
        if database is None:
            check_database(name)
            database = self._databases[name] = self._make(name)
        return database


def _microseconds(read_time: Timestamp) -> int:
    if not 0 <= read_time.nanos < _NANOS_PER_SECOND:
        raise InvalidArgumentError("The requested 'read_time' is not a valid timestamp.")
    if read_time.nanos % _NANOS_PER_MICROSECOND:
        raise InvalidArgumentError("timestamp cannot have more than microseconds precision")
    return in_microseconds(read_time)
