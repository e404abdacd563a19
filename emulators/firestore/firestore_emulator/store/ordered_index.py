"""A sorted list of the documents of a collection or a collection group, by some of their fields.

An entry is a tuple: a sort key for each field of the definition, the key of the name, and the
document. Names differ, so a comparison of two entries never reaches the documents. A document
without one of the fields has no entry.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from firestore_emulator.model import fields
from firestore_emulator.model.field_paths import FieldPath
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.values import SortKey, reference_key, sort_key
from firestore_emulator.store.change_feed import Change

Entry: TypeAlias = tuple[Any, ...]

_ROOT = 5  # projects, P, databases, D, documents


class Descending:
    """A sort key in reverse order. Sorting and bisecting compare by < and == only."""

    __slots__ = ("key",)

    def __init__(self, key: SortKey) -> None:
        self.key = key

    def __lt__(self, other: "Descending") -> bool:
        return other.key < self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


class IndexedField(NamedTuple):
    path: FieldPath
    descending: bool = False
    is_element: bool = False  # an entry for each distinct element of an array


class Definition(NamedTuple):
    fields: tuple[IndexedField, ...]
    name_descending: bool = False

    def entries(self, document: Document) -> Iterable[Entry]:
        parts: list[Iterable[object]] = []
        for field in self.fields:
            value = fields.get(document.fields, field.path)
            if value is None:
                return ()
            parts.append(_keys(value, field))
        path = document.name.split("/", _ROOT)[_ROOT]
        parts.append([_directed(reference_key(path), descending=self.name_descending)])
        parts.append([document])
        return itertools.product(*parts)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an index: the entries that begin with keys from ``low`` to ``high``.

    The two tests cut the part further. Along the index each is first False and then True.
    """

    low: Entry
    high: Entry
    without_low: bool = False
    without_high: bool = False
    has_begun: Callable[[Document], bool] | None = None
    has_ended: Callable[[Document], bool] | None = None
    descending: bool = False


class OrderedIndex:
    """Reads continue on the entries that they began with, if ``share`` is called in between."""

    def __init__(self, definition: Definition, entries: list[Entry]) -> None:
        self.definition = definition
        self.changes_since_read = 0
        self._entries = entries
        self._is_shared = False

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, span: Span) -> Iterator[Entry]:
        self.changes_since_read = 0
        entries = self._entries
        first, end = _first(entries, span), _end(entries, span)
        if span.has_begun is not None:
            first = _cut(entries, span.has_begun, first, end)
        if span.has_ended is not None:
            end = _cut(entries, span.has_ended, first, end)
        indices = range(first, end)
        return map(entries.__getitem__, reversed(indices) if span.descending else indices)

    def share(self) -> None:
        """The next change makes a copy of the entries."""
        self._is_shared = True

    def replace(self, change: Change) -> None:
        if self._is_shared:
            self._entries = list(self._entries)
            self._is_shared = False
        self.changes_since_read += 1
        old, new = self._by_keys(change.before), self._by_keys(change.after)
        for keys in old.keys() - new.keys():
            del self._entries[bisect_left(self._entries, keys)]
        for keys, entry in new.items():
            position = bisect_left(self._entries, keys)
            if keys in old:
                self._entries[position] = entry
            else:
                self._entries.insert(position, entry)

    def _by_keys(self, document: Document | None) -> dict[Entry, Entry]:
        if document is None:
            return {}
        return {entry[:-1]: entry for entry in self.definition.entries(document)}


def _keys(value: Value, field: IndexedField) -> Iterable[object]:
    if field.is_element:
        return set(map(sort_key, value.array_value.values))
    return [_directed(sort_key(value), descending=field.descending)]


def _directed(key: SortKey, *, descending: bool) -> object:
    return Descending(key) if descending else key


def _first(entries: list[Entry], span: Span) -> int:
    if span.without_low:
        return _after(entries, span.low)
    return bisect_left(entries, span.low)


def _end(entries: list[Entry], span: Span) -> int:
    if span.without_high:
        return bisect_left(entries, span.high)
    return _after(entries, span.high)


def _after(entries: list[Entry], keys: Entry) -> int:
    """The position after all entries that begin with the keys."""
    return bisect_right(entries, keys, key=lambda entry: entry[: len(keys)])


def _cut(entries: list[Entry], test: Callable[[Document], bool], first: int, end: int) -> int:
    if first >= end:
        return first
    return bisect_left(entries, True, first, end, key=lambda entry: test(entry[-1]))
