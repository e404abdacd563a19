"""Requests become typed values here, or are refused naming the field.

Two stages, two statuses. Shape first (names and JSON types, by msgspec): 400. Then values
(bounds, patterns, decimals): 422, with every wrong field listed.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from werkzeug.exceptions import RequestEntityTooLarge

from functions_common import money
from functions_common.described import ID_PATTERN, KEY_PATTERN, MAX_ID, MAX_KEY, as_schema
from functions_common.problems import (
    InvalidField,
    InvalidValueError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
)
from functions_common.routing import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Request

T = TypeVar("T")

Number = int | Decimal
"""A JSON number as it was written. Whether a fraction is acceptable is a question of value."""

MAX_BODY = 64 * 1024

UNREADABLE = (OSError,)
"""A server raises these while a body is read that breaks off. Ours reads bodies before."""

_ID = re.compile(ID_PATTERN)
_KEY = re.compile(KEY_PATTERN)
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_NUMBER = 100
_PLACE = re.compile(r" - at `\$(.*)`$")
_MEMBER = re.compile(r"(missing required|unknown) field `(.*)`$", re.DOTALL)
_OF_MEMBERS = {"missing required": "is missing", "unknown": "is not known here"}
_JSON_TYPES = {
    "int | decimal": "number",
    "str": "string",
    "str | null": "string or null",
    "bool": "true or false",
}
_LONGEST_DETAIL = 200

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    Annotated[str, as_schema(maxLength=MAX_KEY, pattern=KEY_PATTERN)],
    "A fresh one, a UUID say, for each thing that is meant to happen once",
)


def is_id(text: str) -> bool:
    return len(text) <= MAX_ID and bool(_ID.fullmatch(text))


def loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON, keeping decimals exact. Raises ``ValueError`` for what RFC 8259 leaves open.

    Duplicate keys, NaN and Infinity are refused, as is what is not UTF-8; so are nesting too deep
    and numbers too long to be meant.
    """
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_members,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_not_a_number,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if _CONTROL_OR_SURROGATE.search("".join(members)):
        raise ValueError("a key holds a control character, or half a character")
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:128]!r} appears twice in one object")
    return members


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number has more than {_LONGEST_NUMBER} digits")
    return int(digits)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"the number {text[:_LONGEST_NUMBER]} is beyond all bounds") from error


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def shaped(value: object, shape: type[T]) -> T:
    """The parsed JSON as a msgspec type; raises ``msgspec.ValidationError``."""
    if shape not in _known:
        _get_to_know(shape)
    return msgspec.convert(value, shape, builtin_types=(Decimal,))


_known: set[type] = set()
_one_at_a_time = threading.Lock()


def _get_to_know(shape: type) -> None:
    """Have msgspec look the type through, with nobody beside.

    It does so when a type is first used, and not safely: where many threads were first at once, as
    in a new process that a burst has waited for, the process crashed (msgspec 0.22).
    """
    with _one_at_a_time:
        with suppress(msgspec.ValidationError):
            msgspec.convert(None, shape, builtin_types=(Decimal,))
        _known.add(shape)


def body(request: Request, shape: type[T]) -> T:
    """The request's JSON body in the given shape (a msgspec Struct)."""
    if request.mimetype != "application/json":
        detail = "The body must be JSON, sent as application/json"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Type"))
    try:
        data = request.get_data(cache=False)
    except UNREADABLE as error:
        detail = "The body cannot be read"
        raise MalformedRequestError(InvalidField(detail, pointer="#")) from error
    if len(data) > MAX_BODY:  # sent in chunks; of a length, it was refused before
        raise RequestEntityTooLarge
    try:
        value = loads(data)
    except ValueError as error:  # includes bytes that are not UTF-8
        detail = f"The body is not valid JSON: {error}"
        raise MalformedRequestError(InvalidField(detail, pointer="#")) from error
    try:
        return shaped(value, shape)
    except msgspec.ValidationError as error:
        raise MalformedRequestError(_misshapen(str(error))) from error


def _misshapen(message: str) -> InvalidField:
    place = _PLACE.search(message)
    detail = message[: place.start()] if place else message
    path = re.sub(r"\[(\d+)\]", r".\1", place[1]) if place else ""
    member = _MEMBER.search(detail)
    pointer = "#" + path.replace(".", "/") + (f"/{_escaped(member[2])}" if member else "")
    if member:
        detail = _OF_MEMBERS[member[1]]
    for python, json_type in _JSON_TYPES.items():
        detail = detail.replace(f"`{python}`", json_type)
    return InvalidField(f"{pointer}: {detail[:_LONGEST_DETAIL]}", pointer=pointer)


def _escaped(member: str) -> str:
    """A member's name in a JSON pointer (RFC 6901)."""
    return member[:_LONGEST_DETAIL].replace("~", "~0").replace("/", "~1")


class Checks:
    """Collects what is wrong with a request's values, then refuses them all at once."""

    def __init__(self) -> None:
        self._errors: list[InvalidField] = []

    def require(self, condition: object, detail: str, **place: str) -> bool:
        """Note the detail against the place (pointer, parameter or header) unless it holds."""
        if not condition:
            where = next(iter(place.values()))
            self._errors.append(InvalidField(f"{where}: {detail}", **place))
        return bool(condition)

    def identifier(self, text: str, **place: str) -> str:
        detail = "must be 1 to 128 characters of A-Z a-z 0-9 . _ - and not '.', '..' or '__…__'"
        self.require(is_id(text), detail, **place)
        return text

    def integer(self, number: Number, least: int, most: int, **place: str) -> int:
        """A whole number within bounds; ``least`` stands in for one that is not."""
        whole = isinstance(number, int) and least <= number <= most
        self.require(whole, f"must be a whole number from {least:,} to {most:,}", **place)
        return int(number) if whole else least

    def money(self, amount: Number, most: int, currency: str, **place: str) -> int:
        """An amount in minor units, from 0 to ``most`` of them; 0 stands in for one that is not."""
        largest = money.to_wire(most, currency)
        bounds = f"must be a number from 0 to {largest:,}"
        if not self.require(0 <= amount <= largest, bounds, **place):
            return 0
        try:
            return money.to_minor(amount, currency)
        except ValueError as error:
            self.require(False, str(error), **place)
            return 0

    def text(self, text: str, most: int, **place: str) -> str:
        """One line for people: 1 to ``most`` characters of valid Unicode, no control characters."""
        detail = f"must be 1 to {most} characters, not blank, without control characters"
        fine = text.strip() and len(text) <= most and not _CONTROL_OR_SURROGATE.search(text)
        self.require(fine, detail, **place)
        return text

    def done(self) -> None:
        if self._errors:
            raise InvalidValueError(*self._errors)


def query(request: Request, *allowed: str) -> Mapping[str, str]:
    """The query parameters, each once; an unknown name is refused, since it is a typing error."""
    try:
        given = request.args
    except UnicodeDecodeError as error:  # gunicorn lets none in; another server may
        detail = "The query is not UTF-8; percent-encode what is not ASCII"
        raise MalformedRequestError(InvalidField(detail)) from error
    for name, values in given.lists():
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            detail = f"{name[:128]}: there is no such parameter here (known: {known})"
            raise MalformedRequestError(InvalidField(detail, parameter=name[:128]))
        if len(values) > 1:
            detail = f"{name}: given more than once"
            raise MalformedRequestError(InvalidField(detail, parameter=name))
    return given.to_dict()


def query_integer(args: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A parameter from 1 to ``most``."""
    text = args.get(name)
    if text is None:
        return default
    checks = Checks()
    number: Number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else Decimal("NaN")
    value = checks.integer(number, 1, most, parameter=name)
    checks.done()
    return value


def idempotency_key(request: Request) -> str | None:
    """The header's value, as it was sent; None without one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        checks = Checks()
        detail = "must be given once: 1 to 255 printable ASCII characters, no comma"
        fine = len(key) <= MAX_KEY and _KEY.fullmatch(key)
        checks.require(fine, detail, header="Idempotency-Key")
        checks.done()
    return key
