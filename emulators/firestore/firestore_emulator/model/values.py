"""Firestore's order of values, as sort keys that Python compares.

Two values are equal exactly if their keys are: 1 equals 1.0, 0.0 equals -0.0, NaN equals NaN.
"""

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TypeAlias

from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.messages import MapValue, Value
from firestore_emulator.model.names import numeric_id

SortKey: TypeAlias = tuple[int, object]


_NANOS_PER_MICROSECOND = 1000
_TO_POSITIVE = 10**19  # more than any 19 digits


class Rank(IntEnum):
    NULL = 0
    BOOLEAN = 1
    NUMBER = 2
    TIMESTAMP = 3
    STRING = 4
    BYTES = 5
    REFERENCE = 6
    GEO_POINT = 7
    ARRAY = 8
    VECTOR = 9
    MAP = 10


NULL_KEY: SortKey = (Rank.NULL, None)
NAN_KEY: SortKey = (Rank.NUMBER, (0, 0.0))


def sort_key(value: Value) -> SortKey:
    kind = value.WhichOneof("value_type")
    if kind not in _KEYS:
        raise InvalidArgumentError(f"Value type is not supported: {kind or 'unset'}")
    return _KEYS[kind](value)


def nested_key(value: Value) -> SortKey:
    """The key of a value in an array or a map. It cuts timestamps to microseconds, like storage.

    An operand that is itself a timestamp keeps its nanoseconds, so it equals no stored value.
    """
    if not value.HasField("timestamp_value"):
        return sort_key(value)
    time = value.timestamp_value
    return Rank.TIMESTAMP, (time.seconds, time.nanos - time.nanos % _NANOS_PER_MICROSECOND)


def reference_key(name: str) -> SortKey:
    """Orders names by segments. A numeric id has an empty first part: it precedes every text."""
    segments = name.split("/")
    if "/__id" in name:
        segments = [part for segment in segments for part in _parts(segment)]
    return Rank.REFERENCE, tuple(segments)


def id_key(document_id: str) -> tuple[str, ...]:
    """Orders the ids of one collection as their names are ordered."""
    return _parts(document_id)


def _parts(segment: str) -> tuple[str, ...]:
    number = numeric_id(segment)
    return (segment,) if number is None else ("", f"{number + _TO_POSITIVE:020}")


def is_vector(value: MapValue) -> bool:
    marker = value.fields.get("__type__")
    return marker is not None and marker.string_value == "__vector__"


def vector_elements(value: MapValue) -> Sequence[Value]:
    """The elements of a vector, doubles if it is well formed."""
    return value.fields["value"].array_value.values if "value" in value.fields else ()


def _integer(value: Value) -> SortKey:
    return Rank.NUMBER, (1, value.integer_value)


def _double(value: Value) -> SortKey:
    number = value.double_value
    return NAN_KEY if math.isnan(number) else (Rank.NUMBER, (1, number))


def _timestamp(value: Value) -> SortKey:
    return Rank.TIMESTAMP, (value.timestamp_value.seconds, value.timestamp_value.nanos)


def _geo_point(value: Value) -> SortKey:
    return Rank.GEO_POINT, (value.geo_point_value.latitude, value.geo_point_value.longitude)


def _array(value: Value) -> SortKey:
    return Rank.ARRAY, tuple(map(nested_key, value.array_value.values))


def _map(value: Value) -> SortKey:
    fields = value.map_value.fields
    if is_vector(value.map_value):
        elements = vector_elements(value.map_value)
        return Rank.VECTOR, (len(elements), tuple(map(sort_key, elements)))
    return Rank.MAP, tuple((name, nested_key(fields[name])) for name in sorted(fields))


# Python orders strings by code point, which is the order of their UTF-8 bytes.
_KEYS: dict[str | None, Callable[[Value], SortKey]] = {
    "null_value": lambda _: NULL_KEY,
    "boolean_value": lambda value: (Rank.BOOLEAN, value.boolean_value),
    "integer_value": _integer,
    "double_value": _double,
    "timestamp_value": _timestamp,
    "string_value": lambda value: (Rank.STRING, value.string_value),
    "bytes_value": lambda value: (Rank.BYTES, value.bytes_value),
    "reference_value": lambda value: reference_key(value.reference_value),
    "geo_point_value": _geo_point,
    "array_value": _array,
    "map_value": _map,
}
