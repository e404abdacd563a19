"""Limits of stored documents: validate fields, and normalize their values as the service does."""

import math
from functools import lru_cache

from firestore_emulator.model import field_paths
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.field_paths import NAME, FieldPath
from firestore_emulator.model.fields import Fields
from firestore_emulator.model.messages import Document, Value
from firestore_emulator.model.names import DocumentName, is_reserved
from firestore_emulator.model.sizes import document_size
from firestore_emulator.model.values import is_vector, vector_elements

MAX_DOCUMENT_BYTES = 1_048_576
MAX_VALUE_BYTES = 1_048_487
MAX_FIELD_NAME_BYTES = 1500
MAX_DEPTH = 20
MAX_DIMENSIONS = 2048

_ALWAYS_VALID = frozenset({"null_value", "boolean_value", "integer_value", "double_value"})
_MAX_BYTES_OF_CHARACTER = 4  # in UTF-8
_YEAR_1, _END_OF_YEAR_9999 = -62_135_596_800, 253_402_300_799
_NANOS_PER_MICROSECOND = 1000
_MAX_NANOS = 999_999_999
_MAX_LATITUDE, _MAX_LONGITUDE = 90, 180


def writable_path(text: str) -> FieldPath:
    parsed = field_paths.parse(text)
    if parsed == NAME:
        raise InvalidArgumentError("Document names cannot be written as a field.")
    return parsed


def normalize_fields(fields: Fields) -> None:
    """Cuts timestamps to microseconds. Raises InvalidArgumentError if the service would."""
    _normalize_fields(fields, depth=0)


def normalize_field(fields: Fields, name: str) -> None:
    """Like ``normalize_fields``, for one of the fields."""
    check_field_name(name)
    normalize_value(fields[name], depth=0)


def check_size(document: Document) -> None:
    if _may_be_too_large(document) and document_size(document) > MAX_DOCUMENT_BYTES:
        raise InvalidArgumentError(f"maximum entity size is {MAX_DOCUMENT_BYTES} bytes")


def _may_be_too_large(document: Document) -> bool:
    """Spares most documents the exact count: the message has a fourth of its bytes at least."""
    return document.ByteSize() > MAX_DOCUMENT_BYTES // 4


def _normalize_fields(fields: Fields, depth: int) -> None:
    _check_depth(depth)
    for name in fields:  # items() of a protobuf map takes longer
        check_field_name(name)
        normalize_value(fields[name], depth)


def normalize_value(value: Value, depth: int) -> None:
    kind = value.WhichOneof("value_type")
    if kind in _ALWAYS_VALID:
        return
    match kind:
        case "string_value":
            _check_string(value.string_value)
        case "bytes_value":
            _check_length(len(value.bytes_value))
        case "timestamp_value":
            _normalize_timestamp(value)
        case "reference_value":
            DocumentName.parse(value.reference_value)
        case "geo_point_value":
            _check_geo_point(value)
        case "array_value":
            _normalize_array(value, depth + 1)
        case "map_value" if is_vector(value.map_value):
            check_vector(value)
            _check_vector_is_ordered(value)
        case "map_value":
            _normalize_fields(value.map_value.fields, depth + 1)
        case _:
            raise InvalidArgumentError(f"Value type is not supported: {kind or 'unset'}")


def _normalize_array(value: Value, depth: int) -> None:
    _check_depth(depth)
    for element in value.array_value.values:
        if element.HasField("array_value"):
            raise InvalidArgumentError("Cannot convert an array value in an array value.")
        if element.HasField("map_value") and is_vector(element.map_value):
            raise InvalidArgumentError("Cannot convert a vector value in an array value.")
        normalize_value(element, depth)


def _normalize_timestamp(value: Value) -> None:
    time = value.timestamp_value
    if not (_YEAR_1 <= time.seconds <= _END_OF_YEAR_9999 and 0 <= time.nanos <= _MAX_NANOS):
        raise InvalidArgumentError("A timestamp is outside the years 1 to 9999.")
    rest = time.nanos % _NANOS_PER_MICROSECOND
    if rest:
        time.nanos -= rest


@lru_cache(maxsize=4096)
def check_field_name(name: str) -> None:
    """Remembers valid names: documents have few different ones. Errors are not cached."""
    if not name:
        raise InvalidArgumentError("A field name is the empty string.")
    if is_reserved(name):
        raise InvalidArgumentError(f"field name {name} is reserved")
    if len(name.encode()) > MAX_FIELD_NAME_BYTES:
        raise InvalidArgumentError(f"A field name is longer than {MAX_FIELD_NAME_BYTES} bytes.")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(f"A value is nested deeper than {MAX_DEPTH} levels.")


def _check_string(text: str) -> None:
    if len(text) > MAX_VALUE_BYTES // _MAX_BYTES_OF_CHARACTER:
        _check_length(len(text.encode()))


def _check_length(length: int) -> None:
    if length > MAX_VALUE_BYTES:
        raise InvalidArgumentError(f"A field's value is longer than {MAX_VALUE_BYTES} bytes.")


def check_vector(value: Value) -> None:
    """Raises InvalidArgumentError if the service rejects the vector, in a document or a query."""
    elements = vector_elements(value.map_value)
    if len(value.map_value.fields) != len(("__type__", "value")):
        raise InvalidArgumentError("A vector has __type__ and value, and no other entries.")
    if not elements:
        raise InvalidArgumentError("Cannot have a zero length vector.")
    if len(elements) > MAX_DIMENSIONS:
        raise InvalidArgumentError(f"Vectors must be at most {MAX_DIMENSIONS} dimensions.")
    if not all(element.HasField("double_value") for element in elements):
        raise InvalidArgumentError("Vector must only contain values of type 'double'")


def _check_vector_is_ordered(value: Value) -> None:
    if any(math.isnan(element.double_value) for element in vector_elements(value.map_value)):
        raise InvalidArgumentError("Vector cannot contain NaN values.")


def _check_geo_point(value: Value) -> None:
    point = value.geo_point_value
    if not (abs(point.latitude) <= _MAX_LATITUDE and abs(point.longitude) <= _MAX_LONGITUDE):
        raise InvalidArgumentError("A geo point is outside latitude ±90 or longitude ±180.")
