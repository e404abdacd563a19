"""A view that records which documents are read from it in name order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from firestore_emulator.model.messages import Document
from firestore_emulator.model.names import DocumentName
from firestore_emulator.store.id_map import IdRange
from firestore_emulator.store.ordered_index import Definition, Entry, Span
from firestore_emulator.store.ordered_indexes import IndexScope
from firestore_emulator.store.view import View


@dataclass
class Watched:
    view: View
    taken: list[str] = field(default_factory=list)

    def get(self, name: DocumentName) -> Document | None:
        raise AssertionError(name)

    def collection(self, path: str) -> Iterable[Document]:
        raise AssertionError(path)

    def in_name_order(self, path: str, span: IdRange) -> Iterator[Document]:
        for document in self.view.in_name_order(path, span):
            self.taken.append(document.name)
            yield document

    def by_index(
        self, scope: IndexScope, definition: Definition, span: Span
    ) -> Iterator[Entry] | None:
        return self.view.by_index(scope, definition, span)

    def collection_paths(self, parent: str) -> Iterator[str]:
        return self.view.collection_paths(parent)
