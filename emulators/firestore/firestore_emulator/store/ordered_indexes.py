"""The ordered indexes of a database. Queries build them, commits maintain them.

Memory and work are bounded. If there are too many indexes or entries, the least recently read index
is dropped. An index is also dropped if it changed more often since its last read than it has
entries, and if a commit of many documents changes it. The next query that needs it builds it again.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.steps import Steps
from firestore_emulator.store.change_feed import Change
from firestore_emulator.store.ordered_index import Definition, OrderedIndex
from firestore_emulator.store.sorting import sorted_in_steps

MIN_DOCUMENTS = 64  # a scan of fewer is fast enough
MAX_ENTRIES = 1_000_000  # about 400 bytes each, if the values are short
MAX_INDEXES = 64
MAX_CHANGES = 1000  # of one commit


class IndexScope(NamedTuple):
    """One collection, or all collections with one id."""

    path: str  # of the collection, or the id
    is_group: bool

    def among(self, paths: Iterable[str]) -> Iterable[str]:
        """The paths of the scope's collections."""
        if not self.is_group:
            return [path for path in paths if path == self.path]
        return [path for path in paths if path.rpartition("/")[2] == self.path]


class OrderedIndexes:
    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries = 0
        self._indexes: dict[IndexScope, dict[Definition, OrderedIndex]] = {}
        self._recent: dict[tuple[IndexScope, Definition], None] = {}  # least recently read first
        self._building: dict[tuple[IndexScope, Definition], list[Change]] = {}

    def find(self, scope: IndexScope, definition: Definition) -> OrderedIndex | None:
        found = self._indexes.get(scope, {}).get(definition)
        if found is not None:
            del self._recent[scope, definition]
            self._recent[scope, definition] = None
        return found

    def build(
        self, scope: IndexScope, definition: Definition, documents: list[Document]
    ) -> Steps[None]:
        """Does nothing if another query is building the index, or if it would be too large."""
        key = (scope, definition)
        if key in self._building:
            return
        changes = self._building[key] = []
        try:
            entries = yield from sorted_in_steps(
                entry for document in documents for entry in definition.entries(document)
            )
            if self._building.get(key) is changes and len(entries) <= self._max_entries:
                index = OrderedIndex(definition, entries)
                for change in changes:
                    index.replace(change)
                self._add(scope, index)
        finally:
            if self._building.get(key) is changes:
                del self._building[key]

    def update(self, changed: Mapping[DocumentName, Change]) -> None:
        if not self._indexes and not self._building:
            return
        if len(changed) > MAX_CHANGES:
            for collection in {name.collection for name in changed}:
                for scope in _scopes_of(collection):
                    self._drop_all(scope)
            return
        for name, change in changed.items():
            for scope in _scopes_of(name.collection):
                self._replace(scope, change)
        self._make_room()

    def clear(self) -> None:
        self._indexes.clear()
        self._entries = 0
        self._recent.clear()
        self._building.clear()

    def share(self) -> None:
        for definitions in self._indexes.values():
            for index in definitions.values():
                index.share()

    def _replace(self, scope: IndexScope, change: Change) -> None:
        for index in list(self._indexes.get(scope, {}).values()):
            self._entries -= len(index)
            index.replace(change)
            self._entries += len(index)
            if index.changes_since_read > len(index) + MIN_DOCUMENTS:
                self._drop(scope, index.definition)
        for (building, _), changes in self._building.items():
            if building == scope:
                changes.append(change)

    def _add(self, scope: IndexScope, index: OrderedIndex) -> None:
        self._indexes.setdefault(scope, {})[index.definition] = index
        self._recent[scope, index.definition] = None
        self._entries += len(index)
        self._make_room()

    def _make_room(self) -> None:
        while len(self._recent) > MAX_INDEXES or self._entries > self._max_entries:
            self._drop(*next(iter(self._recent)))

    def _drop_all(self, scope: IndexScope) -> None:
        """Drops the indexes of the scope, even those that are being built."""
        for definition in list(self._indexes.get(scope, ())):
            self._drop(scope, definition)
        for key in [key for key in self._building if key[0] == scope]:
            del self._building[key]

    def _drop(self, scope: IndexScope, definition: Definition) -> None:
        del self._recent[scope, definition]
        self._entries -= len(self._indexes[scope].pop(definition))
        if not self._indexes[scope]:
            del self._indexes[scope]


def _scopes_of(collection: str) -> Iterable[IndexScope]:
    yield IndexScope(collection, is_group=False)
    yield IndexScope(collection.rpartition("/")[2], is_group=True)
