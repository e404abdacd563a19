"""The sizes of names, values and documents, as the service counts them.

https://firebase.google.com/docs/firestore/storage-size. Where that page is not exact, these are the
sizes of the official emulator: an empty array or map is 1 byte, and a map has no overhead.
"""

from collections.abc import Callable

from firestore_emulator.model.fields import Fields
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.names import numeric_id
from firestore_emulator.model.values import is_vector, vector_elements

_DOCUMENT_OVERHEAD = 32
_NAME_OVERHEAD = 16
_NUMBER = 8
_EMPTY = 1


def document_size(document: Document) -> int:
    return name_size(document.name) + _fields_size(document.fields) + _DOCUMENT_OVERHEAD


def name_size(name: str) -> int:
    """The size of a document name. The project and the database do not count."""
    path = name.partition("/documents/")[2]
    ids = path.split("/")
    sizes = (_string(each) if numeric_id(each) is None else _NUMBER for each in ids)
    return sum(sizes) + _NAME_OVERHEAD


def value_size(value: Value) -> int:
    kind = value.WhichOneof("value_type")
    return _SIZES[kind](value) if kind in _SIZES else 0


def _string(text: str) -> int:
    return len(text.encode()) + 1


def _fields_size(fields: Fields) -> int:
    return sum(_string(name) + value_size(fields[name]) for name in fields)


def _array(value: Value) -> int:
    return sum(map(value_size, value.array_value.values)) or _EMPTY


def _map(value: Value) -> int:
    if is_vector(value.map_value):
        return _NUMBER * len(vector_elements(value.map_value))
    return _fields_size(value.map_value.fields) or _EMPTY


_SIZES: dict[str | None, Callable[[Value], int]] = {
    "null_value": lambda _: 1,
    "boolean_value": lambda _: 1,
    "integer_value": lambda _: _NUMBER,
    "double_value": lambda _: _NUMBER,
    "timestamp_value": lambda _: _NUMBER,
    "string_value": lambda value: _string(value.string_value),
    "bytes_value": lambda value: len(value.bytes_value),
    "reference_value": lambda value: name_size(value.reference_value),
    "geo_point_value": lambda _: 2 * _NUMBER,
    "array_value": _array,
    "map_value": _map,
}
