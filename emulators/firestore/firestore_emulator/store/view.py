"""The documents of a database at one time. Good until the next commit."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.values import SortKey, reference_key
from firestore_emulator.store.history import History, is_since
from firestore_emulator.store.id_map import IdRange


class View(Protocol):
    def get(self, name: DocumentName) -> Document | None: ...

    def collection(self, path: str) -> Iterable[Document]: ...

    def in_name_order(self, path: str, span: IdRange) -> Iterator[Document]:
        """Those of one collection with ids in the span."""
        ...

    def collection_paths(self, parent: str) -> Iterator[str]:
        """Paths of the collections that have documents, at any depth under the parent's."""
        ...


@dataclass(frozen=True, slots=True)
class PastView:
    """Those of today that are old enough, and those that ended after the time."""

    today: View
    history: History
    time: int

    def get(self, name: DocumentName) -> Document | None:
        document = self.today.get(name)
        if document is not None and is_since(document, self.time):
            return document
        return self.history.get(name, self.time)

    def collection(self, path: str) -> Iterator[Document]:
        for document in self.today.collection(path):
            if is_since(document, self.time):
                yield document
        yield from self.history.collection(path, self.time)

    def in_name_order(self, path: str, span: IdRange) -> Iterator[Document]:
        today = self.today.in_name_order(path, span)
        return merged_by_name(
            [
                (document for document in today if is_since(document, self.time)),
                self.history.in_name_order(path, span, self.time),
            ],
            descending=span.descending,
        )

    def collection_paths(self, parent: str) -> Iterator[str]:
        ended = under(parent, self.history.collection_paths())
        for path in dict.fromkeys([*self.today.collection_paths(parent), *ended]):
            if any(True for _ in self.collection(path)):
                yield path


def merged_by_name(
    ordered: Sequence[Iterator[Document]], *, descending: bool
) -> Iterator[Document]:
    return heapq.merge(*ordered, key=_name_key, reverse=descending)


def _name_key(document: Document) -> SortKey:
    return reference_key(document.name)


def under(parent: str, paths: Iterable[str]) -> Iterator[str]:
    return (path for path in paths if is_under(parent, path))


def is_under(parent: str, path: str) -> bool:
    return not parent or path.startswith(f"{parent}/")
