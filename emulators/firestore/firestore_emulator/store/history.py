"""What the documents were before they were replaced or deleted, as far back as it is kept.

A version is kept as bytes, a tenth of what the message takes. That a document was not there
needs no keeping: every version knows since when it is one.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from firestore_emulator.model.clock import MICROSECONDS, in_microseconds
from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.id_map import IdMap, IdRange

RETENTION = 60 * 60 * MICROSECONDS
MAX_BYTES = 64 * 1024 * 1024
VERSION_BYTES = 300  # of memory, that a version takes beside its own bytes


def is_since(document: Document, time: int) -> bool:
    """Whether the document was this version at the time already."""
    return in_microseconds(document.update_time) <= time


class Versions:
    """One document's, each with the time that ended it."""

    __slots__ = ("_contents", "_ends", "_first", "name")

    def __init__(self, name: DocumentName) -> None:
        self.name = name
        self._ends: list[int] = []
        self._contents: list[bytes] = []
        self._first = 0  # those before it are dropped

    def __len__(self) -> int:
        return len(self._ends) - self._first

    def append(self, content: bytes, end: int) -> None:
        self._ends.append(end)
        self._contents.append(content)

    def drop_oldest(self) -> None:
        """Cuts the lists only when half of them is dropped, so it costs what append does."""
        self._contents[self._first] = b""
        self._first += 1
        if self._first > len(self):
            del self._ends[: self._first], self._contents[: self._first]
            self._first = 0

    def at(self, time: int) -> Document | None:
        index = bisect_right(self._ends, time, lo=self._first)
        if index == len(self._ends):
            return None
        document = Document.FromString(self._contents[index])
        return document if is_since(document, time) else None


class Change(NamedTuple):
    """What one commit added: a version to each of these."""

    time: int
    grown: tuple[Versions, ...]
    size: int


class History:
    """The versions that ended within the last hour, or fewer where they take too much memory.

    Times are in microseconds, and those of changes rise.
    """

    def __init__(self, since: int, max_bytes: int = MAX_BYTES) -> None:
        self._since = since
        self._max_bytes = max_bytes
        self._size = 0
        self._changes: deque[Change] = deque()
        self._collections: dict[str, IdMap[Versions]] = {}

    def oldest(self, now: int) -> int:
        """The earliest time of which everything is known."""
        return max(self._since, now - RETENTION)

    def record(self, time: int, ended: Mapping[DocumentName, Document]) -> None:
        """The versions that a commit of that time replaced or deleted."""
        size = 0
        grown = []
        for name, document in ended.items():
            content = document.SerializeToString()
            versions = self._versions(name)
            versions.append(content, time)
            grown.append(versions)
            size += len(content) + VERSION_BYTES
        if grown:
            self._changes.append(Change(time, tuple(grown), size))
            self._size += size
        while self._size > self._max_bytes or self._is_past(time - RETENTION):
            self._drop_oldest()

    def clear(self, since: int) -> None:
        self._changes.clear()
        self._collections.clear()
        self._size = 0
        self._since = since

    def get(self, name: DocumentName, time: int) -> Document | None:
        """The document as it was at the time, if it has been another since or none."""
        collection = self._collections.get(name.collection)
        versions = collection.get(name.id) if collection else None
        return versions.at(time) if versions else None

    def collection(self, path: str, time: int) -> Iterator[Document]:
        for versions in self._collections.get(path, {}).values():
            document = versions.at(time)
            if document is not None:
                yield document

    def in_name_order(self, path: str, span: IdRange, time: int) -> Iterator[Document]:
        collection = self._collections.get(path)
        for versions in collection.in_order(span) if collection else ():
            document = versions.at(time)
            if document is not None:
                yield document

    def collection_paths(self) -> Iterator[str]:
        return iter(self._collections)

    def _versions(self, name: DocumentName) -> Versions:
        collection = self._collections.setdefault(name.collection, IdMap())
        versions = collection.get(name.id)
        if versions is None:
            versions = collection[name.id] = Versions(name)
        return versions

    def _is_past(self, time: int) -> bool:
        return bool(self._changes) and self._changes[0].time <= time

    def _drop_oldest(self) -> None:
        change = self._changes.popleft()
        self._since = change.time
        self._size -= change.size
        for versions in change.grown:
            versions.drop_oldest()
            if not versions:
                self._remove(versions.name)

    def _remove(self, name: DocumentName) -> None:
        collection = self._collections[name.collection]
        del collection[name.id]
        if not collection:
            del self._collections[name.collection]
