"""A database: its documents, its commits, and its reads at a time.

Only ``commit`` and ``clear`` change documents. A stored Document is replaced, never mutated, so a
list of documents stays a consistent snapshot. Replaced and deleted versions go to the history.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model.clock import Clock, timestamp, to_microseconds
from firestore_emulator.model.errors import FailedPreconditionError, InvalidArgumentError
from firestore_emulator.model.garbage import lasting_objects
from firestore_emulator.model.messages import Document, Write, WriteResult
from firestore_emulator.model.names import DocumentName, check_database
from firestore_emulator.model.steps import ITEMS, Steps, run_at_once
from firestore_emulator.store import staging, writes
from firestore_emulator.store.change_feed import Change, ChangeFeed
from firestore_emulator.store.history import MAX_BYTES, History
from firestore_emulator.store.id_map import IdMap, IdRange
from firestore_emulator.store.journal import Journal, NoJournal
from firestore_emulator.store.ordered_index import Definition, Entry, Span
from firestore_emulator.store.ordered_indexes import (
    MAX_CHANGES,
    MAX_ENTRIES,
    MIN_DOCUMENTS,
    IndexScope,
    OrderedIndexes,
)
from firestore_emulator.store.staging import Checked, Staged
from firestore_emulator.store.view import PastView, View, under

# Raises InvalidArgumentError if the document cannot be stored.
CheckDocument: TypeAlias = Callable[[DocumentName, Document], None]

_NANOS_PER_MICROSECOND = 1000
_NANOS_PER_SECOND = 1_000_000_000


class Commit(NamedTuple):
    time: Timestamp
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
        self._indexes = OrderedIndexes()
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

    def by_index(
        self, scope: IndexScope, definition: Definition, span: Span
    ) -> Iterator[Entry] | None:
        index = self._indexes.find(scope, definition)
        return None if index is None else index.read(span)

    def document_count(self) -> int:
        return sum(map(len, self._collections.values()))

    def collection_paths(self, parent: str) -> Iterator[str]:
        return under(parent, self._collections)

    def build_index(self, scope: IndexScope, definition: Definition) -> Steps[None]:
        """Builds the index, unless it exists or the scope has too few or too many documents."""
        if self._indexes.find(scope, definition) is not None:
            return
        collections = [self._collections[path] for path in self._paths_in(scope)]
        if MIN_DOCUMENTS <= sum(map(len, collections)) <= MAX_ENTRIES:
            documents = [each for documents in collections for each in documents.values()]
            with lasting_objects():
                yield from self._indexes.build(scope, definition, documents)

    def sort_ids(self, path: str) -> Steps[None]:
        """Prepares ``in_name_order`` for the collection."""
        if path in self._collections:
            yield from self._collections[path].sort()

    def share(self) -> None:
        """Lets iterators continue on the present documents, whatever is committed from now on."""
        self._indexes.share()
        for documents in self._collections.values():
            documents.share()

    def commit(self, requested: Sequence[Write]) -> Commit:
        """Applies all writes in order, or raises and applies none."""
        return self.commit_checked(writes.checked(requested))

    def commit_checked(self, checked: Iterable[Write]) -> Commit:
        """Like ``commit``, for writes that ``check`` has returned."""
        now = self._clock.commit_time()
        staged = run_at_once(self._stage(checked, now))
        self._apply(staged, now)
        return Commit(now, staged.results)

    def names_of(self, requested: Iterable[Write]) -> Steps[frozenset[DocumentName]]:
        """The names of their documents. Raises InvalidArgumentError."""
        names = set()
        for number, write in enumerate(requested, 1):
            names.add(self.document_name(writes.target_name(write)))
            if number % ITEMS == 0:
                yield
        return frozenset(names)

    def check(self, requested: Iterable[Write]) -> Steps[Checked]:
        """Raises InvalidArgumentError if a write can never be applied."""
        checker = writes.Checker()
        checked = Checked()
        for write in requested:
            name = self.document_name(writes.target_name(write))
            checked.add(name, checker.checked(write))
            yield
        return checked

    def stage(self, checked: Checked) -> Steps[Staged]:
        """Prepares a commit of many stageable writes. Changes nothing, and may raise.

        The documents of the writes must not change until ``commit_staged``.
        """
        staged = yield from self._stage(checked.writes, staging.NO_TIME)
        yield from staging.find_timed(staged, checked)
        return staged

    def commit_staged(self, staged: Staged) -> Timestamp:
        """Applies the staged writes at once, as ``commit`` does, and returns the commit time.

        Their results do not have it yet.
        """
        now = self._clock.commit_time()
        staging.set_times(staged, now)
        self._apply(staged, now)
        return now

    def changes(self, requested: Sequence[Write]) -> Iterable[Change]:
        """The changes that a commit of these writes would make now. Raises as the commit would."""
        now = timestamp(self._clock.now())
        return run_at_once(self._stage(writes.checked(requested), now)).changes.values()

    def on_clear(self, callback: Callable[[], None]) -> None:
        self._clear_callbacks.append(callback)

    def clear(self) -> list[Document]:
        """Deletes all documents and the history: earlier times can no longer be read.

        Returns the documents, so that the caller can free their memory in steps.
        """
        now = to_microseconds(self._clock.commit_time())
        self._journal.clear(now)
        gone = self._documents()
        self._collections = {}
        self._indexes.clear()
        self._history.clear(now)
        if self.feed:
            self._publish({DocumentName.parse(each.name): Change(each, None) for each in gone})
        for callback in self._clear_callbacks:
            callback()
        return gone

    def _stage(self, checked: Iterable[Write], now: Timestamp) -> Steps[Staged]:
        changes: dict[DocumentName, Change] = {}
        results = []
        for write in checked:
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
            yield
        changed, replaced = {}, {}
        for name, change in changes.items():
            if change.after is not change.before:
                changed[name] = change
                if change.before is not None:
                    replaced[name] = change.before.SerializeToString()
                yield
        return Staged(changes, changed, results, replaced, [])

    def _apply(self, staged: Staged, now: Timestamp) -> None:
        time, changed = to_microseconds(now), staged.changed
        self._journal.commit(time, {name: change.after for name, change in changed.items()})
        self._history.record(time, staged.replaced)
        self._indexes.update(changed)
        if len(changed) > MAX_CHANGES:
            for path in {name.collection for name in changed} & self._collections.keys():
                self._collections[path].forget_order()
        for name, change in changed.items():
            self._store(name, change.after)
        self._publish(changed)

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

    def _paths_in(self, scope: IndexScope) -> Iterable[str]:
        if not scope.is_group:
            return [scope.path] if scope.path in self._collections else []
        return scope.among(self._collections)

    def _documents(self) -> list[Document]:
        return [each for documents in self._collections.values() for each in documents.values()]

    def _store(self, name: DocumentName, document: Document | None) -> None:
        documents = self._collections.get(name.collection)
        if document is not None:
            if documents is None:
                documents = self._collections[name.collection] = IdMap()
            documents[name.id] = document
        elif documents:
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
