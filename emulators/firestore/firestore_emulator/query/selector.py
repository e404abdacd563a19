"""The from clause of a query: which collections it reads."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import Document, StructuredQuery
from firestore_emulator.model.names import DocumentName, Parent, check_collection_id
from firestore_emulator.model.values import reference_key
from firestore_emulator.store.id_map import IdRange
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
        for path in self._paths(view, parent):
            yield from view.collection(path)

    def selects(self, name: DocumentName, parent: Parent) -> bool:
        return is_under(parent.path, name.collection) and self._has_path(name.collection, parent)

    def in_name_order(
        self, view: View, parent: Parent, range_in: Callable[[str], IdRange], *, descending: bool
    ) -> Iterator[Document]:
        """The documents within the id range of each collection. Reads only as far as iterated."""
        for group in _nested_groups(self._paths(view, parent), descending=descending):
            streams = [view.in_name_order(path, range_in(path)) for path in group]
            yield from merged_by_name(streams, descending=descending)

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
