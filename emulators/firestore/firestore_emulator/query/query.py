"""StructuredQuery: compile a query once, then run it on a view."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from firestore_emulator.model import field_paths, fields
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.messages import Cursor, Document, StructuredQuery
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.values import SortKey, reference_key, sort_key
from firestore_emulator.query import combinations, filters
from firestore_emulator.query.filters import Condition
from firestore_emulator.query.nearest import Nearest
from firestore_emulator.query.orders import Order, explicit_orders, with_implicit
from firestore_emulator.query.selector import Selector
from firestore_emulator.store.id_map import IdRange
from firestore_emulator.store.view import View


class Row(NamedTuple):
    position: tuple[SortKey, ...]  # one key for every order
    document: Document


@dataclass(frozen=True, slots=True)
class Bound:
    """A cursor: values of the first orders, and whether it is before or after equal values."""

    keys: tuple[SortKey, ...]
    before: bool

    def is_before(self, position: Sequence[SortKey], orders: Sequence[Order]) -> bool:
        for key, own, order in zip(position, self.keys, orders, strict=False):
            if key != own:
                return (key < own) == order.descending
        return self.before


@dataclass(frozen=True, slots=True)
class Query:
    selector: Selector
    where: Condition
    orders: tuple[Order, ...]
    start: Bound | None
    end: Bound | None
    offset: int
    limit: int | None
    projection: tuple[FieldPath, ...] | None
    nearest: Nearest | None = None
    clauses: int = 0  # filters and explicit orders

    @classmethod
    def compile(cls, query: StructuredQuery, summed: frozenset[FieldPath] = frozenset()) -> Self:
        """Compiles a query. Aggregated fields are its last orders, so all results have them."""
        selector = Selector.compile(query)
        where = filters.compile_where(query)
        explicit = explicit_orders(query)
        if not selector.collection_id:
            combinations.check_without_collection(where, explicit)
        projection = _projection(query)
        inequalities = filters.inequality_paths(where)
        combinations.check_inequalities(inequalities, explicit)
        combinations.check_equality_on_name(where, inequalities)
        combinations.check_summed(summed - inequalities, where, explicit)
        combinations.check_projected(summed, projection)
        return cls(
            selector=selector,
            where=where,
            orders=with_implicit(explicit, [inequalities, summed]),
            start=_bound(query.start_at, explicit) if query.HasField("start_at") else None,
            end=_bound(query.end_at, explicit) if query.HasField("end_at") else None,
            offset=_not_negative("offset", query.offset),
            limit=_not_negative("limit", query.limit.value) if query.HasField("limit") else None,
            projection=projection,
            nearest=Nearest.compile(query),
            clauses=combinations.count_clauses(where, explicit),
        )

    def check_parent(self, parent: Parent) -> None:
        """Below a document no index has all descendants: only queries by name are possible."""
        if parent.path and self.clauses >= combinations.MAX_CLAUSES:
            raise combinations.too_many_clauses(self.clauses + 1)
        by_name = not combinations.filtered_fields(self.where) and len(self.orders) == 1
        if self.selector.all_descendants and parent.path and not by_name:
            raise InvalidArgumentError(
                "collection group queries are only allowed at the root parent"
            )

    def run(self, view: View, parent: Parent) -> list[Document]:
        return [fields.project(each, self.projection) for each in self.matches(view, parent)]

    def skipped(self, view: View, parent: Parent) -> int:
        """The number of results that the offset skips."""
        if not self.offset:
            return 0
        without = replace(self, offset=0, limit=self.offset)
        return sum(1 for _ in without.matches(view, parent))

    def ranked(self, view: View, parent: Parent) -> int:
        """The number of vectors that find_nearest compares; 0 without it."""
        return 0 if self.nearest is None else sum(1 for _ in self._rows(view, parent))

    def matches(self, view: View, parent: Parent) -> Iterator[Document]:
        """The results as stored, without projection. Those of find_nearest have the distance."""
        by_name = len(self.orders) == 1  # the name is always the last of them
        found = self._scan_by_name(view, parent) if by_name else self._scan_and_sort(view, parent)
        if self.nearest is not None:
            return iter(self.nearest.closest(found))
        end = None if self.limit is None else self.offset + self.limit
        return itertools.islice(found, self.offset, end)

    def _scan_by_name(self, view: View, parent: Parent) -> Iterator[Document]:
        """Reads in name order, from the start cursor on, and only as far as iterated."""
        range_in = functools.partial(self._id_range, parent)
        descending = self.orders[0].descending
        documents = self.selector.in_name_order(view, parent, range_in, descending=descending)
        return filter(self.where.matches, documents)

    def _id_range(self, parent: Parent, path: str) -> IdRange:
        prefix = f"{parent.database}/documents/{path}/"

        def reached(bound: Bound | None, item_id: str) -> bool:
            position = (reference_key(prefix + item_id),)
            return bound is not None and bound.is_before(position, self.orders)

        def started(item_id: str) -> bool:
            return self.start is None or reached(self.start, item_id)

        def ended(item_id: str) -> bool:
            return reached(self.end, item_id)

        if not self.orders[0].descending:
            return IdRange(started, ended, descending=False)
        return IdRange(
            lambda item_id: not ended(item_id),
            lambda item_id: not started(item_id),
            descending=True,
        )

    def _scan_and_sort(self, view: View, parent: Parent) -> Iterator[Document]:
        rows = [row for row in self._rows(view, parent) if self._within_bounds(row)]
        for index, order in reversed(list(enumerate(self.orders))):
            rows.sort(key=lambda row: row.position[index], reverse=order.descending)
        return (row.document for row in rows)

    def finds(self, document: Document, parent: Parent) -> bool:
        """Whether the document is a result, disregarding offset, limit and distance."""
        if not self.selector.selects(DocumentName.parse(document.name), parent):
            return False
        row = self._row(document)
        return row is not None and self._within_bounds(row)

    def up_to(self, last: Document) -> Self:
        """The same query with an end cursor at one of its results."""
        position = self._position(last)
        return self if position is None else replace(self, end=Bound(position, before=False))

    def _rows(self, view: View, parent: Parent) -> Iterator[Row]:
        for document in self.selector.documents(view, parent):
            row = self._row(document)
            if row is not None:
                yield row

    def _row(self, document: Document) -> Row | None:
        if not self.where.matches(document):
            return None
        if self.nearest is not None and not self.nearest.can_rank(document):
            return None
        position = self._position(document)
        return None if position is None else Row(position, document)

    def _position(self, document: Document) -> tuple[SortKey, ...] | None:
        """The document's sort keys, or None if a field is absent: then it is not a result."""
        keys = []
        for order in self.orders:
            value = fields.value_of(document, order.path)
            if value is None:
                return None
            keys.append(sort_key(value))
        return tuple(keys)

    def _within_bounds(self, row: Row) -> bool:
        if self.start and not self.start.is_before(row.position, self.orders):
            return False
        return not (self.end and self.end.is_before(row.position, self.orders))


def _bound(cursor: Cursor, explicit: list[Order]) -> Bound:
    if len(cursor.values) > len(explicit):
        raise InvalidArgumentError("Cursor has too many values.")
    for value, order in zip(cursor.values, explicit, strict=False):
        if order.path == NAME:
            filters.check_name_operand(value)
    return Bound(tuple(map(sort_key, cursor.values)), cursor.before)


def _not_negative(name: str, number: int) -> int:
    if number < 0:
        raise InvalidArgumentError(f"{name} is negative")
    return number


def _projection(query: StructuredQuery) -> tuple[FieldPath, ...] | None:
    if not query.select.fields:
        return None
    return tuple(field_paths.parse(field.field_path) for field in query.select.fields)
