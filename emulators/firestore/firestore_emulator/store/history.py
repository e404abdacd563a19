"""The replaced and deleted versions of documents, for reads at an earlier time.

A version is kept as bytes, which take a tenth of the memory of the message. The absence of a
document is not recorded: each version has the time at which it began.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from firestore_emulator.model.clock import MICROSECONDS, to_microseconds
from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.id_map import IdMap, IdRange

RETENTION = 60 * 60 * MICROSECONDS
MAX_BYTES = 64 * 1024 * 1024
VERSION_BYTES = 300  # memory that a version takes in addition to its own bytes


def existed_at(document: Document, time: int) -> bool:
    """Whether this version of the document already existed at the time."""
    return to_microseconds(document.update_time) <= time


class Versions:
    """The versions of one document, each with the time that ended it."""

    __slots__ = ("_contents", "_ends", "_first", "name")

    def __init__(self, name: DocumentName) -> None:
        self.name = name
        self._ends: list[int] = []
        self._contents: list[bytes] = []
        self._first = 0  # index of the oldest version; the ones before it are dropped

    def __len__(self) -> int:
        return len(self._ends) - self._first

    def append(self, content: bytes, end: int) -> None:
        self._ends.append(end)
        self._contents.append(content)

    def drop_oldest(self) -> None:
        """Cuts the lists only when half of them is dropped, so it is as cheap as append."""
        self._contents[self._first] = b""
        self._first += 1
        if self._first > len(self):
            del self._ends[: self._first], self._contents[: self._first]
            self._first = 0

    def at(self, time: int) -> Document | None:
        content = self.content_at(time)
        return None if content is None else _existing(content, time)

    def content_at(self, time: int) -> bytes | None:
        """The version that ended first after the time. It may have begun after the time too."""
        index = bisect_right(self._ends, time, lo=self._first)
        return None if index == len(self._ends) else self._contents[index]


class Addition(NamedTuple):
    """The versions that one commit added to the history: one to each of these documents."""

    time: int
    grown: tuple[Versions, ...]
    size: int


class History:
    """The versions that ended within the last hour, or fewer if they exceed ``max_bytes``.

    Times are in microseconds. Each recorded time is later than the one before.
    """

    def __init__(self, since: int, max_bytes: int = MAX_BYTES) -> None:
        self._since = since
        self._max_bytes = max_bytes
        self._size = 0
        self._additions: deque[Addition] = deque()
        self._collections: dict[str, IdMap[Versions]] = {}

    def oldest(self, now: int) -> int:
        """The earliest time that can be read."""
        return max(self._since, now - RETENTION)

    def record(self, time: int, replaced: Mapping[DocumentName, bytes]) -> None:
        """Adds the versions, serialized, that a commit of that time replaced or deleted."""
        size = 0
        grown = []
        for name, content in replaced.items():
            versions = self._versions(name)
            versions.append(content, time)
            grown.append(versions)
            size += len(content) + VERSION_BYTES
        if grown:
            self._additions.append(Addition(time, tuple(grown), size))
            self._size += size
        while self._size > self._max_bytes or self._is_past(time - RETENTION):
            self._drop_oldest()

    def clear(self, since: int) -> None:
        self._additions.clear()
        self._collections.clear()
        self._size = 0
        self._since = since

    def get(self, name: DocumentName, time: int) -> Document | None:
        """The ended version of that time. None if the document had none, or it has not ended."""
        collection = self._collections.get(name.collection)
        versions = collection.get(name.id) if collection else None
        return versions.at(time) if versions else None

    def collection(self, path: str, time: int) -> Iterator[Document]:
        """Later changes of the history do not change the documents."""
        return _documents(self._collections.get(path, {}).values(), time)

    def in_name_order(self, path: str, id_range: IdRange, time: int) -> Iterator[Document]:
        """Later changes of the history do not change the documents."""
        collection = self._collections.get(path)
        return _documents(collection.in_order(id_range) if collection else (), time)

    def collection_paths(self) -> Iterator[str]:
        return iter(self._collections)

    def _versions(self, name: DocumentName) -> Versions:
        collection = self._collections.setdefault(name.collection, IdMap())
        versions = collection.get(name.id)
        if versions is None:
            versions = collection[name.id] = Versions(name)
        return versions

    def _is_past(self, time: int) -> bool:
        return bool(self._additions) and self._additions[0].time <= time

    def _drop_oldest(self) -> None:
        addition = self._additions.popleft()
        self._since = addition.time
        self._size -= addition.size
        for versions in addition.grown:
            versions.drop_oldest()
            if not versions:
                self._remove(versions.name)

    def _remove(self, name: DocumentName) -> None:
        collection = self._collections[name.collection]
        del collection[name.id]
        if not collection:
            del self._collections[name.collection]


def _documents(collection: Iterable[Versions], time: int) -> Iterator[Document]:
    contents = [versions.content_at(time) for versions in collection]
    existing = (_existing(content, time) for content in contents if content is not None)
    return (document for document in existing if document is not None)


def _existing(content: bytes, time: int) -> Document | None:
    document = Document.FromString(content)
    return document if existed_at(document, time) else None
