"""StructuredQuery: compile a query once, then run it on a view."""

import functools
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from firestore_emulator.model import field_paths, fields
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.messages import Cursor, Document, StructuredQuery
from firestore_emulator.model.names import DocumentName, Parent
from firestore_emulator.model.steps import ITEMS, Steps, run_at_once
from firestore_emulator.model.values import SortKey, reference_key, sort_key
from firestore_emulator.query import combinations, filters
from firestore_emulator.query.filters import Condition
from firestore_emulator.query.nearest import Nearest
from firestore_emulator.query.orders import Order, explicit_orders, with_implicit
from firestore_emulator.query.plan import Plan, definition_of, plan_of
from firestore_emulator.query.selector import Selector
from firestore_emulator.store.database import Database
from firestore_emulator.store.id_map import IdRange
from firestore_emulator.store.ordered_index import Entry, Span
from firestore_emulator.store.ordered_indexes import IndexScope
from firestore_emulator.store.sorting import first_in_steps
from firestore_emulator.store.view import View


class Found(NamedTuple):
    documents: list[Document]  # as stored; those of find_nearest have the distance
    skipped: int  # results that the offset skips
    ranked: int  # vectors that find_nearest compares; 0 without it


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
    plan: Plan
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
        orders = with_implicit(explicit, [inequalities, summed])
        return cls(
            selector=selector,
            where=where,
            orders=orders,
            plan=plan_of(where, orders),
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

    def matches(self, view: View, parent: Parent) -> list[Document]:
        """The results without projection."""
        return run_at_once(self.execute(view, parent)).documents

    def prepare(self, database: Database, parent: Parent) -> Steps[None]:
        """Sorts what ``execute`` reads in order. Without it, execute finds the same results."""
        scope = self.selector.index_scope(parent)
        if scope is None:
            return
        if self._is_by_name and not scope.is_group:
            yield from self.sort_names(database, parent)
        else:
            yield from database.build_index(scope, self.plan.definition)

    def sort_names(self, database: Database, parent: Parent) -> Steps[None]:
        """The part of ``prepare`` that builds no index."""
        scope = self.selector.index_scope(parent)
        if scope is not None and self._is_by_name and not scope.is_group:
            yield from database.sort_ids(scope.path)

    def execute(self, view: View, parent: Parent) -> Steps[Found]:
        """The results are those of the present view, even if it changes during a pause."""
        ordered = self._in_order(view, parent)
        if ordered is None:
            found = yield from self._scan_and_sort(view, parent)
        else:
            found = yield from self._first_of(ordered)
        if self.nearest is not None:
            closest = yield from self.nearest.closest(found)
            return Found(closest, 0, len(found))
        return Found(found[self.offset :], min(self.offset, len(found)), 0)

    @property
    def _is_by_name(self) -> bool:
        """Whether the sorted ids of a collection serve as its index."""
        return not self.plan.definition.fields

    @property
    def _end(self) -> int | None:
        return None if self.limit is None else self.offset + self.limit

    def _in_order(self, view: View, parent: Parent) -> Iterator[Document] | None:
        """Documents that include all results, in their order. None if no order helps."""
        scope = self.selector.index_scope(parent)
        if scope is not None and (scope.is_group or not self._is_by_name):
            found = self._by_index(view, scope)
            if found is not None:
                return found
        if len(self.orders) > 1:
            return None
        range_in = functools.partial(self._id_range, parent)
        descending = self.orders[0].descending  # the name is the only order
        return self.selector.in_name_order(view, parent, range_in, descending=descending)

    def _by_index(self, view: View, scope: IndexScope) -> Iterator[Document] | None:
        parts = []
        for span in self.plan.spans:
            part = view.by_index(scope, self.plan.definition, self._cut(span))
            if part is None:
                return None
            parts.append(part)
        if len(parts) == 1:
            return (entry[-1] for entry in parts[0])
        descending = self.orders[0].descending
        entries = heapq.merge(*parts, key=self.plan.order_keys, reverse=descending)
        return _without_repetitions(entry[-1] for entry in entries)

    def _cut(self, span: Span) -> Span:
        """Applies what the plan leaves to tests: the cursors, and filters on the name."""
        span = replace(span, descending=self.orders[0].descending)
        if not (self.start or self.end or self.orders[0].path == NAME):
            return span
        return replace(
            span,
            has_begun=lambda document: self._has_begun(self._position(document) or ()),
            has_ended=lambda document: self._has_ended(self._position(document) or ()),
        )

    def _first_of(self, ordered: Iterator[Document]) -> Steps[list[Document]]:
        """Looks at no more documents than necessary for the limit."""
        found: list[Document] = []
        if self._end == 0:
            return found
        for number, document in enumerate(ordered, 1):
            if self._accepts(document):
                found.append(document)
                if len(found) == self._end:
                    break
            if number % ITEMS == 0:
                yield
        return found

    def _scan_and_sort(self, view: View, parent: Parent) -> Steps[list[Document]]:
        definition = definition_of(self.orders)
        entries: list[Entry] = []
        for number, document in enumerate(self.selector.documents(view, parent), 1):
            if self._accepts(document) and self._is_within_cursors(document):
                entries += definition.entries(document)
            if number % ITEMS == 0:
                yield
        ordered = yield from first_in_steps(
            entries, self._end, descending=self.orders[0].descending
        )
        return [entry[-1] for entry in ordered]

    def _id_range(self, parent: Parent, path: str) -> IdRange:
        prefix = f"{parent.database}/documents/{path}/"
        return IdRange(
            lambda item_id: self._has_begun((reference_key(prefix + item_id),)),
            lambda item_id: self._has_ended((reference_key(prefix + item_id),)),
            self.orders[0].descending,
        )

    def _has_begun(self, position: Sequence[SortKey]) -> bool:
        """False, then True along the first order, taken as ascending."""
        descending = self.orders[0].descending
        cursor = self.end if descending else self.start
        begun = cursor is None or cursor.is_before(position, self.orders) != descending
        return begun and self.plan.limits.has_begun(position[0])

    def _has_ended(self, position: Sequence[SortKey]) -> bool:
        """False, then True along the first order, taken as ascending."""
        descending = self.orders[0].descending
        cursor = self.start if descending else self.end
        ended = cursor is not None and cursor.is_before(position, self.orders) != descending
        return ended or self.plan.limits.has_ended(position[0])

    def finds(self, document: Document, parent: Parent) -> bool:
        """Whether the document is a result, disregarding offset, limit and distance."""
        return (
            self.selector.selects(DocumentName.parse(document.name), parent)
            and self._accepts(document)
            and self._is_within_cursors(document)
        )

    def up_to(self, last: Document) -> Self:
        """The same query with an end cursor at one of its results."""
        position = self._position(last)
        return self if position is None else replace(self, end=Bound(position, before=False))

    def _accepts(self, document: Document) -> bool:
        if not self.where.matches(document):
            return False
        return self.nearest is None or self.nearest.can_rank(document)

    def _position(self, document: Document) -> tuple[SortKey, ...] | None:
        """The document's sort keys, or None if a field is absent: then it is not a result."""
        keys = []
        for order in self.orders:
            value = fields.value_of(document, order.path)
            if value is None:
                return None
            keys.append(sort_key(value))
        return tuple(keys)

    def _is_within_cursors(self, document: Document) -> bool:
        """False for a document without a field of the orders."""
        position = self._position(document)
        if position is None or (self.start and not self.start.is_before(position, self.orders)):
            return False
        return not (self.end and self.end.is_before(position, self.orders))


def _without_repetitions(documents: Iterable[Document]) -> Iterator[Document]:
    """A document with several of the elements searched for has entries in several parts."""
    last = ""
    for document in documents:
        if document.name != last:
            yield document
        last = document.name


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
