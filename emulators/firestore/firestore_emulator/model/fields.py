"""Get, set and delete nested fields by field path; project documents."""

from collections.abc import Iterable, MutableMapping
from typing import TypeAlias

from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.messages import Document, Value

Fields: TypeAlias = MutableMapping[str, Value]


def get(fields: Fields, path: FieldPath) -> Value | None:
    *parents, last = path
    for segment in parents:
        value = fields.get(segment)
        if value is None:
            return None
        fields = value.map_value.fields
    return fields.get(last)


def put(fields: Fields, path: FieldPath, value: Value) -> None:
    """Sets a field. A parent that is not a map is replaced by a map."""
    *parents, last = path
    for segment in parents:
        parent = fields[segment]  # protobuf adds an absent field
        parent.map_value.SetInParent()
        fields = parent.map_value.fields
    fields[last].CopyFrom(value)


def delete(fields: Fields, path: FieldPath) -> None:
    *parents, last = path
    for segment in parents:
        value = fields.get(segment)
        if value is None:
            return
        fields = value.map_value.fields
    if last in fields:
        del fields[last]


def value_of(document: Document, path: FieldPath) -> Value | None:
    if path == NAME:
        return Value(reference_value=document.name)
    return get(document.fields, path)


def project(document: Document, paths: Iterable[FieldPath] | None) -> Document:
    """The document with these fields only. None keeps all fields."""
    if paths is None:
        return document
    projected = Document(
        name=document.name, create_time=document.create_time, update_time=document.update_time
    )
    for path in paths:
        value = get(document.fields, path)
        if value is not None:
            put(projected.fields, path, value)
    return projected
