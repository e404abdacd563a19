"""The from clause of a query: which collections it reads."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Document, StructuredQuery
from firestore_emulator.model.names import DocumentName, Parent, check_collection_id
from firestore_emulator.model.values import reference_key
from firestore_emulator.store.id_map import IdRange
from firestore_emulator.store.ordered_indexes import IndexScope
from firestore_emulator.store.view import View, is_under, merged_by_name


@dataclass(frozen=True, slots=True)
class Selector:
    collection_id: str  # empty: collections of every id
    all_descendants: bool

    @classmethod
    def compile(cls, query: StructuredQuery) -> Self:
        selectors = query.from_
        if len(selectors) > 1:
            raise InvalidArgumentError(
                "StructuredQuery.from cannot have more than one collection selector."
            )
        if not selectors:
            return cls("", all_descendants=False)
        if selectors[0].collection_id:
            check_collection_id(selectors[0].collection_id)
        return cls(selectors[0].collection_id, selectors[0].all_descendants)

    def documents(self, view: View, parent: Parent) -> Iterator[Document]:
        collections = [view.collection(path) for path in self._paths(view, parent)]
        return itertools.chain.from_iterable(collections)

    def index_scope(self, parent: Parent) -> IndexScope | None:
        """The scope of an index with exactly the selected documents, if there can be one."""
        if not self.collection_id or (self.all_descendants and parent.path):
            return None
        if self.all_descendants:
            return IndexScope(self.collection_id, is_group=True)
        return IndexScope(parent.collection(self.collection_id), is_group=False)

    def selects(self, name: DocumentName, parent: Parent) -> bool:
        return is_under(parent.path, name.collection) and self._has_path(name.collection, parent)

    def in_name_order(
        self, view: View, parent: Parent, range_in: Callable[[str], IdRange], *, descending: bool
    ) -> Iterator[Document]:
        """The documents within the id range of each collection. Reads only as far as iterated."""
        streams = [
            [view.in_name_order(path, range_in(path)) for path in group]
            for group in _nested_groups(self._paths(view, parent), descending=descending)
        ]
        return itertools.chain.from_iterable(
            merged_by_name(each, descending=descending) for each in streams
        )

    def _paths(self, view: View, parent: Parent) -> Iterable[str]:
        if self.collection_id and not self.all_descendants:
            return [parent.collection(self.collection_id)]
        return [path for path in view.collection_paths(parent.path) if self._has_path(path, parent)]

    def _has_path(self, path: str, parent: Parent) -> bool:
        above, _, collection_id = path.rpartition("/")
        of_depth = self.all_descendants or above == parent.path
        return of_depth and self.collection_id in {"", collection_id}


def _nested_groups(paths: Iterable[str], *, descending: bool) -> Iterable[list[str]]:
    """Groups of collection paths, in name order.

    A group has a collection and those nested in it: the names of their documents interleave.
    """
    groups: list[list[str]] = []
    for path in sorted(paths, key=reference_key):
        if groups and path.startswith(f"{groups[-1][0]}/"):
            groups[-1].append(path)
        else:
            groups.append([path])
    return reversed(groups) if descending else groups
