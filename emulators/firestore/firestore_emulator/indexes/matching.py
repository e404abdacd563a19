"""Which indexes a query needs of the service, and whether those that there are serve it.

The service reads a query's answer from indexes alone. It makes one of each field by itself; others
have to be defined. A query serves itself, for each AND of its where clause, from indexes that
- begin with fields that are compared with one value (by ==, IN, IS_NULL, IS_NAN) or searched for an
  element (by ARRAY_CONTAINS and ARRAY_CONTAINS_ANY), in any order, and
- go on with exactly the fields that order the answer, in their directions, the name last.
Several are merged where together they begin with all such fields; none is read backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

from firestore_emulator.model.field_paths import NAME, FieldPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from firestore_emulator.query.query import Query


class Mode(StrEnum):
    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"
    CONTAINS = "CONTAINS"


class Scope(StrEnum):
    """One collection under one parent, or all that have the same id."""

    COLLECTION = "COLLECTION"
    COLLECTION_GROUP = "COLLECTION_GROUP"


class Field(NamedTuple):
    path: FieldPath
    mode: Mode


class SingleField(NamedTuple):
    """An index of one field, as its settings tell of it."""

    scope: Scope
    mode: Mode


class Pin(NamedTuple):
    """A field that has one value, or one element, in all that an AND finds."""

    path: FieldPath
    is_element: bool


AUTOMATIC = tuple(SingleField(Scope.COLLECTION, mode) for mode in Mode)
EVERY_FIELD: FieldPath = ()  # of a collection: what other fields' settings take precedence over

# Of single fields, by collection and field; those of a map hold for what is in it.
Overrides: TypeAlias = "Mapping[tuple[str, FieldPath], Iterable[SingleField]]"


@dataclass(frozen=True, slots=True)
class Index:
    """As the service keeps it: the name is always the last of the fields."""

    collection_id: str
    scope: Scope
    fields: tuple[Field, ...]

    @classmethod
    def defined(cls, collection_id: str, scope: Scope, fields: Iterable[Field]) -> Self:
        """A definition may leave the name out."""
        given = tuple(fields)
        return cls(collection_id, scope, given if given[-1].path == NAME else _with_name(given))

    @property
    def definition(self) -> tuple[Field, ...]:
        """Without the name, where the service adds it."""
        rest = self.fields[:-1]
        return rest if rest and _with_name(rest) == self.fields else self.fields

    @property
    def single_field(self) -> Field | None:
        """If it is one of those that the service makes by itself, or that a field's settings do."""
        definition = self.definition
        return definition[0] if len(definition) == 1 and definition[0].path != NAME else None


@dataclass(frozen=True, slots=True)
class Need:
    """Of one AND."""

    collection_id: str
    scope: Scope
    pins: frozenset[Pin]
    orders: tuple[Field, ...]  # the name is the last of them

    @property
    def index(self) -> Index:
        """The one that would serve it alone."""
        head = [
            Field(path, Mode.CONTAINS if is_element else Mode.ASCENDING)
            for is_element, path in sorted((pin.is_element, pin.path) for pin in self.pins)
        ]
        return Index(self.collection_id, self.scope, (*head, *self.orders))

    def pinned_by(self, index: Index) -> frozenset[Pin] | None:
        """The pins that it begins with; None where it is of no use."""
        head, rest = index.fields[: -len(self.orders)], index.fields[-len(self.orders) :]
        found = frozenset(Pin(field.path, field.mode is Mode.CONTAINS) for field in head)
        return found if rest == self.orders and found <= self.pins else None


class Indexes:
    """Those that there are."""

    def __init__(self, composites: Iterable[Index], overrides: Overrides) -> None:
        self._composites = tuple(composites)
        self._overrides = overrides

    def serve(self, need: Need) -> bool:
        found = [pins for pins in map(need.pinned_by, self._candidates(need)) if pins is not None]
        return bool(found) and frozenset[Pin]().union(*found) == need.pins

    def of_field(self, collection_id: str, path: FieldPath) -> Iterable[SingleField]:
        for length in range(len(path), -1, -1):
            override = self._overrides.get((collection_id, path[:length]))
            if override is not None:
                return override
        return AUTOMATIC

    def _candidates(self, need: Need) -> Iterator[Index]:
        yield Index(need.collection_id, need.scope, (Field(NAME, Mode.ASCENDING),))
        for path in {field.path for field in need.index.fields} - {NAME}:
            for scope, mode in self.of_field(need.collection_id, path):
                if scope is need.scope:
                    yield Index.defined(need.collection_id, scope, [Field(path, mode)])
        for index in self._composites:
            if (index.collection_id, index.scope) == (need.collection_id, need.scope):
                yield index


def needs(query: Query) -> Iterable[Need]:
    """None of a query over collections of every id, which no index can be of."""
    selector = query.selector
    if not selector.collection_id:
        return ()
    scope = Scope.COLLECTION_GROUP if selector.all_descendants else Scope.COLLECTION
    all_needs = []
    for conditions in query.where.alternatives():
        pins = frozenset(
            Pin(condition.path, condition.is_of_elements)
            for condition in conditions
            if not condition.is_inequality and condition.path != NAME
        )
        orders = tuple(
            Field(order.path, Mode.DESCENDING if order.descending else Mode.ASCENDING)
            for order in query.orders
            if Pin(order.path, is_element=False) not in pins
        )
        all_needs.append(Need(selector.collection_id, scope, pins, orders))
    return dict.fromkeys(all_needs)


def _with_name(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    descending = fields[-1].mode is Mode.DESCENDING
    return *fields, Field(NAME, Mode.DESCENDING if descending else Mode.ASCENDING)
