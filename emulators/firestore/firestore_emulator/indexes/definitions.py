"""Indexes as the JSON of firestore.indexes.json, which is the Firebase CLI's.

{"indexes": [{"collectionGroup": "c", "queryScope": "COLLECTION",
              "fields": [{"fieldPath": "a", "order": "ASCENDING"}, …]}, …],
 "fieldOverrides": [{"collectionGroup": "c", "fieldPath": "a",
                     "indexes": [{"queryScope": "COLLECTION_GROUP", "order": "ASCENDING"}, …]}, …]}
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from firestore_emulator.indexes.matching import (
    EVERY_FIELD,
    Field,
    Index,
    Indexes,
    Mode,
    Scope,
    SingleField,
)
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
    """What is wrong, and where."""


def parse(content: object) -> Indexes:
    whole = _Part("", content)
    whole.check_keys("indexes", "fieldOverrides")
    composites = filter(None, map(_composite, whole["indexes"].items()))
    overrides = whole["fieldOverrides"].items() if "fieldOverrides" in whole else ()
    return Indexes(composites, dict(map(_override, overrides)))


def addition(index: Index, present: Indexes) -> Json:
    """What the file would have to say for it to be there, beside what is there."""
    field = index.single_field
    if field is None:
        return {
            "collectionGroup": index.collection_id,
            "queryScope": index.scope.value,
            "fields": [
                {"fieldPath": field_paths.written(path), **_mode_json(mode)}
                for path, mode in index.definition
            ],
        }
    # An override takes the place of all that the field had, so it repeats them.
    indexes = [*present.of_field(index.collection_id, field.path), (index.scope, field.mode)]
    return {
        "collectionGroup": index.collection_id,
        "fieldPath": field_paths.written(field.path),
        "indexes": [{"queryScope": scope.value, **_mode_json(mode)} for scope, mode in indexes],
    }


def _mode_json(mode: Mode) -> Json:
    return {"arrayConfig" if mode is Mode.CONTAINS else "order": mode.value}


@dataclass(frozen=True, slots=True)
class _Part:
    """Of the content, with what it is called where it is wrong."""

    name: str
    value: Any

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> "_Part":
        if not isinstance(self.value, dict):
            raise self.error("is no object")
        if key not in self.value:
            raise self.error(f"lacks {key}")
        return _Part(f"{self.name}.{key}".removeprefix("."), self.value[key])

    def items(self) -> Iterator["_Part"]:
        if not isinstance(self.value, list):
            raise self.error("is no array")
        for number, item in enumerate(self.value):
            yield _Part(f"{self.name}[{number}]", item)

    def check_keys(self, *known: str) -> None:
        for key in self.value if isinstance(self.value, dict) else ():
            if key not in known:
                raise self.error(f"has {key}; it can have {' and '.join(known)}")

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.error("is no text")
        return self.value

    def one_of(self, choices: type[Choice]) -> Choice:
        if self.value not in list(choices):
            raise self.error(f"is {self.value!r}; it can be {' or '.join(choices)}")
        return choices(self.value)

    def path(self) -> FieldPath:
        try:
            return field_paths.parse(self.text())
        except InvalidArgumentError as error:
            raise self.error(f"is no field path: {error}") from error

    def error(self, what: str) -> MalformedError:
        return MalformedError(f"{self.name or 'The whole'} {what}.")


def _composite(part: _Part) -> Index | None:
    """None where it is of vectors: no query here needs it."""
    fields = list(part["fields"].items())
    if any("vectorConfig" in each for each in fields):
        return None
    parsed = [Field(each["fieldPath"].path(), _mode(each)) for each in fields]
    if not parsed or (len(parsed) == 1 and parsed[0].path != NAME):
        raise part.error("has fewer than two fields; an index of one is for fieldOverrides")
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
