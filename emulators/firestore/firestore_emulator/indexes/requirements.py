"""The indexes that a query requires, and whether a set of indexes serves it.

The service answers a query from indexes alone. It creates one for each field; users define the
others. Each AND of a query's where clause is served by an index that
- begins with the fields that the AND compares with one value (==, IN, IS_NULL, IS_NAN) or searches
  for an element (ARRAY_CONTAINS, ARRAY_CONTAINS_ANY), in any order; and
- continues with exactly the fields that order the results, in their directions. The name is last.

Several indexes are merged if together they begin with all the fields of the first kind. The
service reads no index backwards.

An AND of find_nearest is served by one vector index with exactly its fields, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from firestore_emulator.indexes.index import (
    AUTOMATIC,
    Field,
    Index,
    Mode,
    Scope,
    Vector,
    VectorIndex,
)
from firestore_emulator.model.field_paths import NAME, FieldPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from firestore_emulator.indexes.index import Overrides, SingleField
    from firestore_emulator.query.query import Query


class PrefixField(NamedTuple):
    """A field with one value, or one array element, in every result of an AND."""

    path: FieldPath
    is_element: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """The index requirement of one AND."""

    collection_id: str
    scope: Scope
    prefix: frozenset[PrefixField]
    orders: tuple[Field, ...]  # the name is the last of them
    vector: Vector | None = None  # of find_nearest

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of the index that serves this requirement alone, without the vector."""
        head = (
            Field(path, Mode.CONTAINS if is_element else Mode.ASCENDING)
            for is_element, path in sorted((field.is_element, field.path) for field in self.prefix)
        )
        return *head, *self.orders

    @property
    def index(self) -> Index | VectorIndex:
        """The index that serves this requirement alone."""
        if self.vector is None:
            return Index(self.collection_id, self.scope, self.fields)
        filtered = frozenset(field for field in self.fields if field.path != NAME)
        return VectorIndex(self.collection_id, self.scope, filtered, self.vector)

    def prefix_served_by(self, index: Index) -> frozenset[PrefixField] | None:
        """The prefix fields that the index begins with, or None if the index does not help."""
        head, rest = index.fields[: -len(self.orders)], index.fields[-len(self.orders) :]
        found = frozenset(PrefixField(field.path, field.mode is Mode.CONTAINS) for field in head)
        return found if rest == self.orders and found <= self.prefix else None


class Indexes:
    """The indexes of a database: composite and vector ones, automatic ones and their overrides."""

    def __init__(
        self,
        composites: Iterable[Index] = (),
        overrides: Overrides = MappingProxyType({}),
        vectors: Iterable[VectorIndex] = (),
    ) -> None:
        self._composites = tuple(composites)
        self._overrides = overrides
        self._vectors = frozenset(vectors)

    def serve(self, requirement: Requirement) -> bool:
        return bool(self.serving(requirement))

    def serving(self, requirement: Requirement) -> Sequence[Index | VectorIndex]:
        """The indexes that serve the requirement together; empty if none do.

        The first has the most fields of the prefix. Each other one adds fields to them.
        """
        if requirement.vector is not None:
            return [requirement.index] if requirement.index in self._vectors else []
        found = {
            index: prefix
            for index in self._candidates(requirement)
            if (prefix := requirement.prefix_served_by(index)) is not None
        }
        used: list[Index] = []
        missing = requirement.prefix
        while found and (missing or not used):
            best = max(found, key=lambda index: len(found[index] & missing))
            if used and not found[best] & missing:
                break
            used.append(best)
            missing -= found.pop(best)
        return [] if missing else used

    def of_field(self, collection_id: str, path: FieldPath) -> Iterable[SingleField]:
        for length in range(len(path), -1, -1):
            override = self._overrides.get((collection_id, path[:length]))
            if override is not None:
                return override
        return AUTOMATIC

    def of_collection(self, collection_id: str) -> Sequence[Index | VectorIndex]:
        """The composite and vector indexes of a collection."""
        defined: tuple[Index | VectorIndex, ...] = (*self._composites, *self._vectors)
        return [index for index in defined if index.collection_id == collection_id]

    def _candidates(self, requirement: Requirement) -> Iterator[Index]:
        collection_id = requirement.collection_id
        yield Index(collection_id, requirement.scope, (Field(NAME, Mode.ASCENDING),))
        for path in {field.path for field in requirement.fields} - {NAME}:
            for scope, mode in self.of_field(collection_id, path):
                if scope is requirement.scope:
                    yield Index.defined(collection_id, scope, [Field(path, mode)])
        for index in self._composites:
            if (index.collection_id, index.scope) == (collection_id, requirement.scope):
                yield index


def requirements_of(query: Query) -> Iterable[Requirement]:
    """Each requirement once. None for a query over collections of every id: it has no index."""
    selector = query.selector
    if not selector.collection_id:
        return ()
    scope = Scope.COLLECTION_GROUP if selector.all_descendants else Scope.COLLECTION
    nearest = query.nearest
    vector = None if nearest is None else Vector(nearest.path, nearest.dimension)
    found = []
    for conditions in query.where.alternatives():
        prefix = frozenset(
            PrefixField(condition.path, condition.is_array_contains)
            for condition in conditions
            if not condition.is_inequality and condition.path != NAME
        )
        orders = tuple(
            Field(order.path, Mode.DESCENDING if order.descending else Mode.ASCENDING)
            for order in query.orders
            if PrefixField(order.path, is_element=False) not in prefix
        )
        found.append(Requirement(selector.collection_id, scope, prefix, orders, vector))
    return dict.fromkeys(found)
