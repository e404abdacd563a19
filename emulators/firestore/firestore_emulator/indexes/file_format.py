"""The JSON of firestore.indexes.json, a format of the Firebase CLI: parse and write it.

{"indexes": [{"collectionGroup": "c", "queryScope": "COLLECTION",
              "fields": [{"fieldPath": "a", "order": "ASCENDING"}, …]}, …],
 "fieldOverrides": [{"collectionGroup": "c", "fieldPath": "a",
                     "indexes": [{"queryScope": "COLLECTION_GROUP", "order": "ASCENDING"}, …]}, …]}
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from firestore_emulator.indexes.index import (
    EVERY_FIELD,
    Field,
    Index,
    Mode,
    Scope,
    SingleField,
    Vector,
    VectorIndex,
)
from firestore_emulator.indexes.requirements import Indexes
from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath

Json: TypeAlias = dict[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)

_WILDCARD = "*"


class _Order(StrEnum):
    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"


class _ArrayConfig(StrEnum):
    CONTAINS = "CONTAINS"


class MalformedError(ValueError):
    """The message names the part of the file and its error."""


def parse(content: object) -> Indexes:
    root = _Part("", content)
    root.check_keys("indexes", "fieldOverrides")
    indexes = list(map(_index, root["indexes"].items()))
    overrides = root["fieldOverrides"].items() if "fieldOverrides" in root else ()
    return Indexes(
        [each for each in indexes if isinstance(each, Index)],
        dict(map(_override, overrides)),
        [each for each in indexes if isinstance(each, VectorIndex)],
    )


def addition(index: Index | VectorIndex, present: Indexes) -> Json:
    """The JSON that adds the index to a file that has the present ones."""
    if isinstance(index, VectorIndex):
        return _vector_addition(index)
    field = index.single_field
    if field is None:
        return {
            "collectionGroup": index.collection_id,
            "queryScope": index.scope.value,
            "fields": [
                {"fieldPath": field_paths.to_text(path), **_mode_json(mode)}
                for path, mode in index.definition
            ],
        }
    # An override replaces all indexes of the field, so it repeats the present ones.
    indexes = [*present.of_field(index.collection_id, field.path), (index.scope, field.mode)]
    return {
        "collectionGroup": index.collection_id,
        "fieldPath": field_paths.to_text(field.path),
        "indexes": [{"queryScope": scope.value, **_mode_json(mode)} for scope, mode in indexes],
    }


def _vector_addition(index: VectorIndex) -> Json:
    """The fields are sorted by their paths: their order makes no difference."""
    path, dimension = index.vector
    vector = {"dimension": dimension, "flat": {}}
    return {
        "collectionGroup": index.collection_id,
        "queryScope": index.scope.value,
        "fields": [
            *(
                {"fieldPath": field_paths.to_text(field.path), **_mode_json(field.mode)}
                for field in sorted(index.fields)
            ),
            {"fieldPath": field_paths.to_text(path), "vectorConfig": vector},
        ],
    }


def _mode_json(mode: Mode) -> Json:
    return {"arrayConfig" if mode is Mode.CONTAINS else "order": mode.value}


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the file, with the name that error messages give it."""

    name: str
    value: Any

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> "_Part":
        if not isinstance(self.value, dict):
            raise self.error("must be an object")
        if key not in self.value:
            raise self.error(f"has no {key}")
        return _Part(f"{self.name}.{key}".removeprefix("."), self.value[key])

    def items(self) -> Iterator["_Part"]:
        if not isinstance(self.value, list):
            raise self.error("must be an array")
        for number, item in enumerate(self.value):
            yield _Part(f"{self.name}[{number}]", item)

    def check_keys(self, *known: str) -> None:
        for key in self.value if isinstance(self.value, dict) else ():
            if key not in known:
                raise self.error(f"has the unknown key {key}; known keys: {', '.join(known)}")

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.error("must be a non-empty string")
        return self.value

    def number(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 1:
            raise self.error("must be a positive integer")
        return self.value

    def one_of(self, choices: type[Choice]) -> Choice:
        if self.value not in list(choices):
            raise self.error(f"is {self.value!r}; it must be {' or '.join(choices)}")
        return choices(self.value)

    def path(self) -> FieldPath:
        try:
            return field_paths.parse(self.text())
        except InvalidArgumentError as error:
            raise self.error(f"is not a field path: {error}") from error

    def error(self, predicate: str) -> MalformedError:
        return MalformedError(f"{self.name or 'The file'} {predicate}.")


def _index(part: _Part) -> Index | VectorIndex:
    fields = list(part["fields"].items())
    vectors = [each for each in fields if "vectorConfig" in each]
    return _vector_index(part, fields, vectors[0]) if vectors else _composite(part, fields)


def _vector_index(part: _Part, fields: list[_Part], vector: _Part) -> VectorIndex:
    others = [each for each in fields if each is not vector]
    parsed = [Field(each["fieldPath"].path(), _mode(each)) for each in others]
    return VectorIndex(
        part["collectionGroup"].text(),
        part["queryScope"].one_of(Scope),
        frozenset(field for field in parsed if field.path != NAME),
        Vector(vector["fieldPath"].path(), vector["vectorConfig"]["dimension"].number()),
    )


def _composite(part: _Part, fields: list[_Part]) -> Index:
    parsed = [Field(each["fieldPath"].path(), _mode(each)) for each in fields]
    if not parsed or (len(parsed) == 1 and parsed[0].path != NAME):
        raise part.error("has fewer than two fields; define single-field indexes in fieldOverrides")
    return Index.defined(part["collectionGroup"].text(), part["queryScope"].one_of(Scope), parsed)


def _override(part: _Part) -> tuple[tuple[str, FieldPath], list[SingleField]]:
    path = part["fieldPath"]
    return (
        part["collectionGroup"].text(),
        EVERY_FIELD if path.value == _WILDCARD else path.path(),
    ), [
        SingleField(each["queryScope"].one_of(Scope), _mode(each))
        for each in part["indexes"].items()
    ]


def _mode(part: _Part) -> Mode:
    if "arrayConfig" in part:
        return Mode(part["arrayConfig"].one_of(_ArrayConfig))
    return Mode(part["order"].one_of(_Order))
