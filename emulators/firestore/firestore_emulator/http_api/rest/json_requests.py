"""Parse the request of an RPC from the path, the query parameters and the JSON body."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn, cast
from urllib.parse import parse_qsl

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from firestore_emulator.http_api.rest.routes import WHOLE, Route
from firestore_emulator.model.errors import InvalidArgumentError

_MAX_PARAMETERS = 10_000
_MAX_LEVELS = 300
_WELL_KNOWN = "google.protobuf."  # timestamps and wrappers, which are scalars in JSON
_BOOLEANS = {"true": True, "false": False}

# Parameters of every Google API that need no action here.
_IGNORED = frozenset({"key", "access_token", "oauth_token", "quotaUser", "prettyPrint", "$.xgafv"})

_FORMAT = frozenset({"alt", "$alt"})
# The second is of Google's client libraries over REST. No response has an enum but null.
_FORMATS = frozenset({"json", "json;enum-encoding=int"})


def parse_request(kind: type[Message], route: Route, query: str, body: bytes) -> Message:
    """Raises InvalidArgumentError."""
    descriptor = cast("Descriptor", kind.DESCRIPTOR)
    content = _query_fields(query, descriptor, route)
    try:
        if route.body_field == WHOLE:
            content |= _json_object(body)
        elif route.body_field is not None:
            content[route.body_field] = _json_object(body)
        _check(content, descriptor, "")
        request = kind()
        json_format.ParseDict(content, request, max_recursion_depth=_MAX_LEVELS)
    except RecursionError as error:
        raise InvalidArgumentError("The JSON is nested too deeply.") from error
    except json_format.ParseError as error:
        raise InvalidArgumentError(f"The JSON is not valid for the request: {error}") from error
    for path, value in route.path_fields.items():
        _set(request, path, value)
    return request


def _json_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        content = json.loads(body, parse_constant=_reject_constant)
    except ValueError as error:
        raise InvalidArgumentError(f"The body is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidArgumentError("The body must be a JSON object.")
    return content


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} must be a string: "{name}"')


def _query_fields(query: str, descriptor: Descriptor, route: Route) -> dict[str, Any]:
    """The fields of the query parameters. Their names are paths such as mask.fieldPaths."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError as error:
        raise InvalidArgumentError(f"The query parameters are not valid: {error}") from error
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in _FORMAT:
            if value not in _FORMATS:
                raise InvalidArgumentError(f"{name} is {value}, but every response is JSON.")
        elif name not in _IGNORED:
            _bind(content, descriptor, route, name, value)
    return content


def _bind(
    content: dict[str, Any], descriptor: Descriptor, route: Route, name: str, value: str
) -> None:
    *parents, last = name.split(".")
    bound = {path.partition(".")[0] for path in route.path_fields} | {route.body_field}
    for depth, part in enumerate(parents):
        field = _field(descriptor, part)
        inner = None if field is None else _nested_type(field)
        if field is None or inner is None or (depth == 0 and field.name in bound):
            raise _unknown_parameter(name)
        content = content.setdefault(field.json_name, {})
        descriptor = inner
    field = _field(descriptor, last)
    is_bound = not parents and field is not None and field.name in bound
    if field is None or is_bound or _nested_type(field) or route.body_field == WHOLE:
        raise _unknown_parameter(name)
    if _is_repeated(field):
        content.setdefault(field.json_name, []).append(_scalar(field, name, value))
    elif field.json_name in content:
        raise InvalidArgumentError(f"The query parameter {name} is there twice.")
    else:
        content[field.json_name] = _scalar(field, name, value)


def _scalar(field: FieldDescriptor, name: str, value: str) -> str | bool:
    if field.type != FieldDescriptor.TYPE_BOOL:
        return value
    if value not in _BOOLEANS:
        raise InvalidArgumentError(f"The query parameter {name} must be true or false.")
    return _BOOLEANS[value]


def _unknown_parameter(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(f'Unknown query parameter "{name}".')


def _check(content: object, descriptor: Descriptor, path: str) -> None:
    """Rejects what the parser of the library would accept silently: lists, and damaged base64."""
    if not isinstance(content, Mapping):
        raise InvalidArgumentError(f"{path} must be a JSON object.")
    for name, value in content.items():
        inner = f"{path}.{name}" if path else name
        field = _field(descriptor, name)
        if field is None:
            raise InvalidArgumentError(
                f'Unknown name "{name}" at "{path}": there is no such field.'
            )
        if value is not None:
            _check_field(value, field, inner)


def _check_field(value: object, field: FieldDescriptor, path: str) -> None:
    entry = _entry_of_map(field)
    if entry is not None:
        if not isinstance(value, Mapping):
            raise InvalidArgumentError(f"{path} must be a JSON object.")
        for key, each in value.items():
            _check_value(each, entry, f"{path}.{key}")
    elif _is_repeated(field):
        if not isinstance(value, list):
            raise InvalidArgumentError(f"{path} must be a JSON array.")
        for number, each in enumerate(value):
            _check_value(each, field, f"{path}[{number}]")
    else:
        _check_value(value, field, path)


def _check_value(value: object, field: FieldDescriptor, path: str) -> None:
    if field.type == FieldDescriptor.TYPE_BYTES:
        _check_base64(value, path)
        return
    nested = _nested_type(field)
    if nested is not None:
        _check(value, nested, path)


def _check_base64(value: object, path: str) -> None:
    try:
        text = value.replace("-", "+").replace("_", "/")  # type: ignore[attr-defined]
        base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise InvalidArgumentError(f"{path} must be a base64 string.") from error


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    """By its name in JSON or in the protocol: both are valid, as in every Google API."""
    return descriptor.fields_by_camelcase_name.get(name) or descriptor.fields_by_name.get(name)


def _is_repeated(field: FieldDescriptor) -> bool:
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    # protobuf before 6.31
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)  # type: ignore[attr-defined]


def _nested_type(field: FieldDescriptor) -> Descriptor | None:
    """The type of a field that is an object in JSON."""
    kind = field.message_type
    return None if kind is None or kind.full_name.startswith(_WELL_KNOWN) else kind


def _entry_of_map(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field of a map's values; None if the field is no map."""
    kind = field.message_type
    is_map = kind is not None and kind.GetOptions().map_entry
    return kind.fields_by_name["value"] if kind is not None and is_map else None


def _set(request: Message, path: str, value: str) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        request = getattr(request, parent)
    setattr(request, last, value)
