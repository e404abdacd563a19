"""A database: its documents, its commits, and its reads at a time.

Only ``commit`` and ``clear`` change documents. A stored Document is replaced, never mutated, so a
list of documents stays a consistent snapshot. Replaced and deleted versions go to the history.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.clock import Clock, timestamp, to_microseconds
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.messages import Document, Write, WriteResult
from firestore_emulator.model.names import DocumentName, check_database
from firestore_emulator.store import writes
from firestore_emulator.store.change_feed import Change, ChangeFeed
from firestore_emulator.store.history import MAX_BYTES, History
from firestore_emulator.store.id_map import IdMap, IdRange
from firestore_emulator.store.journal import Journal, NoJournal
from firestore_emulator.store.view import PastView, View, under

# Raises InvalidArgumentError if the document cannot be stored.
CheckDocument: TypeAlias = Callable[[DocumentName, Document], None]

_NANOS_PER_MICROSECOND = 1000
_NANOS_PER_SECOND = 1_000_000_000


class Commit(NamedTuple):
    time: Timestamp
    results: list[WriteResult]


class Staged(NamedTuple):
    changes: dict[DocumentName, Change]
    results: list[WriteResult]


class Snapshot(NamedTuple):
    view: View
    time: Timestamp


class Database:
    """One database. It is itself the View of the present documents."""

    def __init__(
        self,
        name: str,
        clock: Clock | None = None,
        max_history_bytes: int = MAX_BYTES,
        journal: Journal | None = None,
        documents: Iterable[Document] | None = None,
        check: CheckDocument | None = None,
    ) -> None:
        """Starts with the given documents, whose earlier versions are lost.

        None makes a new database: it was empty at all times before.
        """
        self.name = name
        self.feed = ChangeFeed()
        self._clock = clock or Clock()
        self._journal = journal or NoJournal()
        self._check = check
        self._collections: dict[str, IdMap[Document]] = {}
        for document in documents or ():
            self._store(DocumentName.parse(document.name), document)
        self._opened = self._clock.now()
        since = 0 if documents is None else self._opened
        self._history = History(since, max_history_bytes)
        self._clear_callbacks: list[Callable[[], None]] = []

    def read(self, at: Timestamp | None = None) -> Snapshot:
        """A snapshot of now or of an earlier time. All later commits have later times."""
        now = self._clock.read_time()
        if at is None:
            return Snapshot(self, now)
        return Snapshot(self._view_at(_microseconds(at), to_microseconds(now)), at)

    def known_since(self, at: Timestamp) -> View | None:
        """The view that a client of this process had at that time.

        None if it is too old, or from another process: that one may have had other documents.
        """
        time = _microseconds(at)
        now = to_microseconds(self._clock.read_time())
        if time < max(self._opened, self._history.oldest(now)):
            return None
        return self._view_at(time, now)

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

    def in_name_order(self, path: str, id_range: IdRange) -> Iterator[Document]:
        documents = self._collections.get(path)
        return documents.in_order(id_range) if documents else iter(())

    def document_count(self) -> int:
        return sum(map(len, self._collections.values()))

    def collection_paths(self, parent: str) -> Iterator[str]:
        return under(parent, self._collections)

    def commit(self, requested: Sequence[Write]) -> Commit:
        """Applies all writes in order, or raises and applies none."""
        now = self._clock.commit_time()
        changes, results = self._stage(requested, now)
        changed = {
            name: change for name, change in changes.items() if change.after is not change.before
        }
        self._journal.commit(
            to_microseconds(now), {name: change.after for name, change in changed.items()}
        )
        replaced = {name: change.before for name, change in changed.items() if change.before}
        self._history.record(to_microseconds(now), replaced)
        for name, change in changed.items():
            self._store(name, change.after)
        self._publish(changed)
        return Commit(now, results)

    def changes(self, requested: Sequence[Write]) -> Iterable[Change]:
        """The changes that a commit of these writes would make now. Raises as the commit would."""
        now = timestamp(self._clock.now())
        return self._stage(requested, now).changes.values()

    def on_clear(self, callback: Callable[[], None]) -> None:
        self._clear_callbacks.append(callback)

    def clear(self) -> None:
        """Deletes all documents and the history: earlier times can no longer be read."""
        now = to_microseconds(self._clock.commit_time())
        self._journal.clear(now)
        gone = self._documents() if self.feed else ()
        self._collections.clear()
        self._history.clear(now)
        self._publish({DocumentName.parse(each.name): Change(each, None) for each in gone})
        for callback in self._clear_callbacks:
            callback()

    def _stage(self, requested: Sequence[Write], now: Timestamp) -> Staged:
        writes.check_form(requested)
        changes: dict[DocumentName, Change] = {}
        results = []
        for write in requested:
            name = self.document_name(writes.target_name(write))
            earlier = changes.get(name)
            stored = earlier.before if earlier else self.get(name)
            current = earlier.after if earlier else stored
            writes.check_precondition(write, current, stored)
            document, result = writes.apply(write, current, now)
            if self._check is not None and document is not None and document is not current:
                self._check(name, document)
            changes[name] = Change(stored, document)
            results.append(result)
        return Staged(changes, results)

    def _view_at(self, time: int, now: int) -> View:
        if time > now:
            raise InvalidArgumentError("The requested 'read_time' cannot be in the future.")
        if time < self._history.oldest(now):
            raise FailedPreconditionError("The requested snapshot version is too old.")
        return PastView(self, self._history, time)

    def _publish(self, changed: Mapping[DocumentName, Change]) -> None:
        if self.feed:
            for name, change in changed.items():
                self.feed.publish(name, change)

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
    """All databases by name. A database is created on first use, as in the official emulator."""

    def __init__(
        self, create: Callable[[str], Database] = Database, stored: Iterable[Database] = ()
    ) -> None:
        self._create = create
        self._databases = {database.name: database for database in stored}

    def __iter__(self) -> Iterator[Database]:
        return iter(self._databases.values())

    def __getitem__(self, name: str) -> Database:
        database = self._databases.get(name)
        if database is None:
            check_database(name)
            database = self._databases[name] = self._create(name)
        return database


def _microseconds(read_time: Timestamp) -> int:
    if not 0 <= read_time.nanos < _NANOS_PER_SECOND:
        raise InvalidArgumentError("The requested 'read_time' is not a valid timestamp.")
    if read_time.nanos % _NANOS_PER_MICROSECOND:
        raise InvalidArgumentError("timestamp cannot have more than microseconds precision")
    if to_microseconds(read_time) <= 0:
        raise InvalidArgumentError("Only timestamps past epoch are supported.")
    return to_microseconds(read_time)
