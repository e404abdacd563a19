"""Index definitions: composite indexes, and the settings of single fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

from firestore_emulator.model.field_paths import NAME, FieldPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Mode(StrEnum):
    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"
    CONTAINS = "CONTAINS"


class Scope(StrEnum):
    """One collection under one parent, or all collections with the same id."""

    COLLECTION = "COLLECTION"
    COLLECTION_GROUP = "COLLECTION_GROUP"


class Field(NamedTuple):
    path: FieldPath
    mode: Mode


class Vector(NamedTuple):
    """A field with vectors. An index contains those of one dimension."""

    path: FieldPath
    dimension: int


class SingleField(NamedTuple):
    """An index of one field, as the settings of that field define it."""

    scope: Scope
    mode: Mode


AUTOMATIC = tuple(SingleField(Scope.COLLECTION, mode) for mode in Mode)
EVERY_FIELD: FieldPath = ()  # settings of a collection; those of one field take precedence

# Single-field settings by collection and field. Settings of a map hold for the fields in it.
Overrides: TypeAlias = "Mapping[tuple[str, FieldPath], Iterable[SingleField]]"


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the service keeps it: its last field is always the document name."""

    collection_id: str
    scope: Scope
    fields: tuple[Field, ...]

    @classmethod
    def defined(cls, collection_id: str, scope: Scope, fields: Iterable[Field]) -> Self:
        """From a definition, which may omit the name."""
        given = tuple(fields)
        return cls(collection_id, scope, given if given[-1].path == NAME else _with_name(given))

    @property
    def definition(self) -> tuple[Field, ...]:
        """The fields, without the name if the service adds it."""
        rest = self.fields[:-1]
        return rest if rest and _with_name(rest) == self.fields else self.fields

    @property
    def single_field(self) -> Field | None:
        """The field of a single-field index (automatic or by an override), else None."""
        definition = self.definition
        return definition[0] if len(definition) == 1 and definition[0].path != NAME else None


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """An index for find_nearest: the vectors of a field, by the values of other fields."""

    collection_id: str
    scope: Scope
    fields: frozenset[Field]  # the filtered and ordered fields, without the name
    vector: Vector


def _with_name(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    descending = fields[-1].mode is Mode.DESCENDING
    return *fields, Field(NAME, Mode.DESCENDING if descending else Mode.ASCENDING)
