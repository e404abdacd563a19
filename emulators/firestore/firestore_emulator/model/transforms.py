"""Check field transforms, and apply them to the fields of a new version of a document."""

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from firestore_emulator.model import fields, validation
from firestore_emulator.model.errors import InvalidArgumentError
from firestore_emulator.model.fields import Fields
from firestore_emulator.model.messages import DocumentTransform, Value
from firestore_emulator.model.values import nested_key

Transform: TypeAlias = DocumentTransform.FieldTransform

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
_NANOS_PER_MILLISECOND = 1_000_000


def check(transform: Transform) -> None:
    """Raises InvalidArgumentError if the transform is malformed for every document."""
    validation.writable_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    if kind is None:
        raise InvalidArgumentError("Operation type must be specified for field transformation.")
    if kind == "set_to_server_value" and transform.set_to_server_value != Transform.REQUEST_TIME:
        raise InvalidArgumentError("set_to_server_value must be REQUEST_TIME.")
    if kind in _NUMBERS and not _is_number(getattr(transform, kind)):
        raise InvalidArgumentError("Input must be int64 or double.")


def apply(transform: Transform, target: Fields, now: Timestamp) -> Value:
    """Applies a transform that passed ``check``. Returns its transform_result."""
    path = validation.writable_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    old = fields.get(target, path)
    if kind == "set_to_server_value":
        new = _server_value(now)
    elif kind in _ARRAYS:
        new = _ARRAYS[kind](old, transform)
    else:
        new = _combine(_NUMBERS[str(kind)], old, getattr(transform, kind))
    fields.put(target, path, new)
    return Value(null_value=0) if kind in _ARRAYS else _copy(new)


def _copy(value: Value) -> Value:
    """A copy that a later transform of the same field does not change."""
    copy = Value()
    copy.CopyFrom(value)
    return copy


def _server_value(now: Timestamp) -> Value:
    """The commit time, cut to milliseconds as in the service."""
    nanos = now.nanos - now.nanos % _NANOS_PER_MILLISECOND
    return Value(timestamp_value=Timestamp(seconds=now.seconds, nanos=nanos))


def _combine(combine: Callable[[Value, Value], Value], old: Value | None, operand: Value) -> Value:
    return combine(old, operand) if old is not None and _is_number(old) else operand


def _is_number(value: Value) -> bool:
    return value.WhichOneof("value_type") in {"integer_value", "double_value"}


def _number(value: Value) -> float:
    return value.integer_value if value.HasField("integer_value") else value.double_value


def _increment(old: Value, operand: Value) -> Value:
    if old.HasField("integer_value") and operand.HasField("integer_value"):
        total = old.integer_value + operand.integer_value
        return Value(integer_value=max(MIN_INTEGER, min(MAX_INTEGER, total)))
    return Value(double_value=float(_number(old)) + float(_number(operand)))


def _maximum(old: Value, operand: Value) -> Value:
    if math.isnan(_number(old)):
        return old
    return operand if math.isnan(_number(operand)) or _number(operand) > _number(old) else old


def _minimum(old: Value, operand: Value) -> Value:
    if math.isnan(_number(old)):
        return old
    return operand if math.isnan(_number(operand)) or _number(operand) < _number(old) else old


def _append_missing(old: Value | None, transform: Transform) -> Value:
    new = _array(_elements(old))
    seen = set(map(nested_key, new.array_value.values))
    for element in transform.append_missing_elements.values:
        key = nested_key(element)
        if key not in seen:
            seen.add(key)
            new.array_value.values.append(element)
    return new


def _remove_all(old: Value | None, transform: Transform) -> Value:
    removed = set(map(nested_key, transform.remove_all_from_array.values))
    return _array(element for element in _elements(old) if nested_key(element) not in removed)


def _elements(old: Value | None) -> Iterable[Value]:
    return old.array_value.values if old is not None else ()


def _array(elements: Iterable[Value]) -> Value:
    array = Value()
    array.array_value.SetInParent()
    array.array_value.values.extend(elements)
    return array


_NUMBERS = {"increment": _increment, "maximum": _maximum, "minimum": _minimum}
_ARRAYS = {"append_missing_elements": _append_missing, "remove_all_from_array": _remove_all}
