"""A view: the documents of a database at one time. It is valid until the next commit.

An iterator of a view stays valid after a commit if ``Database.share`` was called before it.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.model.values import SortKey, reference_key
from firestore_emulator.store.history import History, existed_at
from firestore_emulator.store.id_map import IdRange
from firestore_emulator.store.ordered_index import Definition, Entry, OrderedIndex, Span
from firestore_emulator.store.ordered_indexes import IndexScope


class View(Protocol):
    def get(self, name: DocumentName) -> Document | None: ...

    def collection(self, path: str) -> Iterable[Document]: ...

    def in_name_order(self, path: str, id_range: IdRange) -> Iterator[Document]:
        """The documents of one collection with ids in the range."""
        ...

    def by_index(
        self, scope: IndexScope, definition: Definition, span: Span
    ) -> Iterator[Entry] | None:
        """The entries of the span, in its direction. None without such an index."""
        ...

    def collection_paths(self, parent: str) -> Iterator[str]:
        """The paths of the non-empty collections at any depth below the parent's path."""
        ...


@dataclass(frozen=True, slots=True)
class PastView:
    """The view at an earlier time: present versions that are old enough, and ended ones."""

    current: View
    history: History
    time: int

    def get(self, name: DocumentName) -> Document | None:
        document = self.current.get(name)
        if document is not None and existed_at(document, self.time):
            return document
        return self.history.get(name, self.time)

    def collection(self, path: str) -> Iterator[Document]:
        present = self.current.collection(path)
        return chain(
            (document for document in present if existed_at(document, self.time)),
            self.history.collection(path, self.time),
        )

    def by_index(
        self, scope: IndexScope, definition: Definition, span: Span
    ) -> Iterator[Entry] | None:
        """The history has no index: its versions of that time are sorted for each call."""
        present = self.current.by_index(scope, definition, span)
        if present is None:
            return None
        ended = OrderedIndex(
            definition,
            sorted(
                entry
                for path in scope.among(self.history.collection_paths())
                for document in self.history.collection(path, self.time)
                for entry in definition.entries(document)
            ),
        )
        existing = (entry for entry in present if existed_at(entry[-1], self.time))
        return heapq.merge(existing, ended.read(span), reverse=span.descending)

    def in_name_order(self, path: str, id_range: IdRange) -> Iterator[Document]:
        current = self.current.in_name_order(path, id_range)
        return merged_by_name(
            [
                (document for document in current if existed_at(document, self.time)),
                self.history.in_name_order(path, id_range, self.time),
            ],
            descending=id_range.descending,
        )

    def collection_paths(self, parent: str) -> Iterator[str]:
        past = under(parent, list(self.history.collection_paths()))
        for path in dict.fromkeys([*self.current.collection_paths(parent), *past]):
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
