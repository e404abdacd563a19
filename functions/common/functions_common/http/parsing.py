"""Turns requests into typed values, or raises errors that name the wrong field.

Two stages, two statuses. Shape first (names and JSON types, by msgspec): 400. Then values
(bounds, patterns, decimals): 422, with the wrong fields listed.

Every input has a bound that is checked before it is parsed, and parsing takes time in proportion
to its length: tests/unit/test_linear_work.py doubles each input.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    RequestURITooLarge,
)

from functions_common import money
from functions_common.http import text
from functions_common.http.problems import (
    InvalidField,
    InvalidValueError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
)
from functions_common.http.routing import Parameter
from functions_common.http.schema import ID_PATTERN, KEY_PATTERN, MAX_ID, MAX_KEY, as_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from werkzeug.wrappers import Request

T = TypeVar("T")

Number = int | Decimal
"""A JSON number as it was written. Whether a fraction is acceptable is a question of value."""

MAX_BODY = 64 * 1024

MAX_QUERY = 4096
"""Characters. The longest useful query, with every character percent-encoded, has about 1,500."""
_MOST_ERRORS = 20
_LONGEST_HEADER = 256
"""Of ``Content-Type`` and ``Content-Encoding``."""
_LONGEST_MEMBER = 128

_ID = re.compile(ID_PATTERN)
_KEY = re.compile(KEY_PATTERN)
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DIGITS = re.compile(r"[0-9]{1,18}")
_UTF_8 = ("utf-8", "utf8")
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
    "A new value for each change that you want once, such as a UUID. All requests with the same key"
    " have one outcome, and change the shop once.",
)


def is_id(text: str) -> bool:
    return len(text) <= MAX_ID and bool(_ID.fullmatch(text))


def loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON, keeping decimals exact. Raises ``ValueError`` where RFC 8259 leaves a choice.

    Refuses duplicate keys, NaN, Infinity, other encodings than UTF-8, deep nesting, and numbers
    and keys that are too long.
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
    if len(members) < len(pairs):
        raise ValueError(f"the key {_first_duplicate(pairs)[:128]!r} appears twice in one object")
    if members and max(map(len, members)) > _LONGEST_MEMBER:
        raise ValueError(f"a key has more than {_LONGEST_MEMBER} characters")
    if _CONTROL_OR_SURROGATE.search("".join(members)):
        raise ValueError("a key contains a control character or an unpaired surrogate")
    return members


def _first_duplicate(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("there is none")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number has more than {_LONGEST_NUMBER} digits")
    return int(digits)


def _decimal(number: str) -> Decimal:
    if len(number) > _LONGEST_NUMBER:
        raise ValueError(f"a number has more than {_LONGEST_NUMBER} characters")
    try:
        return Decimal(number)
    except InvalidOperation as error:
        raise ValueError(f"the number {number} is out of range") from error


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def shaped(value: object, shape: type[T]) -> T:
    """Convert parsed JSON to a msgspec type. Raises ``msgspec.ValidationError``."""
    if shape not in _known:
        _get_to_know(shape)
    return msgspec.convert(value, shape, builtin_types=(Decimal,))


_known: set[type] = set()
_one_at_a_time = threading.Lock()


def _get_to_know(shape: type) -> None:
    """Warm up msgspec's type cache under a lock.

    msgspec fills it on the first use of a type, without a lock: if many threads did so at the same
    time, as in a new process under a burst, the process crashed (msgspec 0.22).
    """
    with _one_at_a_time:
        with suppress(msgspec.ValidationError):
            msgspec.convert(None, shape, builtin_types=(Decimal,))
        _known.add(shape)


def body(request: Request, shape: type[T]) -> T:
    """The request's JSON body in the given shape (a msgspec Struct)."""
    _check_media_type(request)
    data = _read(request)
    try:
        value = loads(data)
    except ValueError as error:  # includes bytes that are not UTF-8
        reason = str(error) if data else "it is empty"
        detail = f"The body is not valid JSON: {reason}"
        raise MalformedRequestError(InvalidField(detail, pointer="#")) from error
    try:
        return shaped(value, shape)
    except msgspec.ValidationError as error:
        raise MalformedRequestError(_misshapen(str(error))) from error


def _check_media_type(request: Request) -> None:
    """Raise UnsupportedMediaTypeError unless the headers say JSON, in UTF-8, not compressed.

    A header that was sent twice arrives joined by a comma, so a comma is refused.
    """
    content_type = request.headers.get("Content-Type", "")
    bounded = len(content_type) <= _LONGEST_HEADER and "," not in content_type
    if not bounded or request.mimetype != "application/json":
        detail = "Content-Type: the body must be JSON, sent as application/json, given once"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Type"))
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in _UTF_8 or content_type.lower().count("charset") > 1:
        detail = "Content-Type: JSON is sent in UTF-8; leave charset out"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Type"))
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding[:_LONGEST_HEADER].strip().lower() not in ("identity", ""):
        detail = "Content-Encoding: send the body as it is, without compression"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Encoding"))


def _read(request: Request) -> bytes:
    """The whole body, at most MAX_BODY bytes."""
    declared = _declared_length(request)
    try:
        data = request.get_data(cache=False)
    except ClientDisconnected as error:
        raise _unreadable() from error
    except HTTPException:  # too large, or out of time: the status says it
        raise
    except Exception as error:  # each WSGI server has its own errors for a broken body
        raise _unreadable() from error
    if len(data) > MAX_BODY:  # sent in chunks; a declared length was refused before
        raise RequestEntityTooLarge
    if declared is not None and len(data) < declared:
        detail = f"The body broke off after {len(data)} of {declared} bytes; send it again"
        raise MalformedRequestError(InvalidField(detail, pointer="#"))
    return data


def _unreadable() -> MalformedRequestError:
    detail = "The body cannot be read: it broke off, or its chunks are malformed"
    return MalformedRequestError(InvalidField(detail, pointer="#"))


def _declared_length(request: Request) -> int | None:
    """``Content-Length``; None for a body in chunks, and without a body."""
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            detail = "Transfer-Encoding: must be chunked, or left out"
            raise MalformedRequestError(InvalidField(detail, header="Transfer-Encoding"))
        return None
    declared = request.environ.get("CONTENT_LENGTH") or None
    if declared is not None and not _DIGITS.fullmatch(declared):
        detail = "Content-Length: must be a number of bytes"
        raise MalformedRequestError(InvalidField(detail, header="Content-Length"))
    return None if declared is None else int(declared)


def refuse_body(request: Request) -> None:
    """Raise MalformedRequestError if the request has a body. An empty one is none."""
    declared = _declared_length(request)
    chunked = "Transfer-Encoding" in request.headers
    if not declared and not chunked:
        return
    try:
        empty = chunked and not request.stream.read(1)
    except HTTPException:
        raise
    except Exception as error:  # each WSGI server has its own errors for a broken body
        raise _unreadable() from error
    if not empty:
        detail = "This operation takes no body: send the request without one"
        raise MalformedRequestError(InvalidField(detail, pointer="#"))


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
    """Collects the errors in a request's values, and raises them together.

    A problem document lists the first _MOST_ERRORS of them.
    """

    def __init__(self) -> None:
        self._errors: list[InvalidField] = []
        self._unlisted = 0

    def require(self, condition: object, detail: str, **place: str) -> bool:
        """Record the detail for the place (pointer, parameter or header) if the condition fails."""
        if not condition:
            where = next(iter(place.values()))
            if len(self._errors) < _MOST_ERRORS:
                self._errors.append(InvalidField(f"{where}: {detail[:_LONGEST_DETAIL]}", **place))
            else:
                self._unlisted += 1
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

    def text(self, value: str, most: int, **place: str) -> str:
        """One line for people: 1 to ``most`` characters, at least one of them visible."""
        detail = (
            f"must be 1 to {most} characters on one line, with a visible one,"
            " without control, formatting, private or unassigned characters"
        )
        self.require(len(value) <= most and text.is_one_line(value), detail, **place)
        return value

    def done(self) -> None:
        if self._unlisted:
            self._errors.append(InvalidField(f"{self._unlisted:,} more errors are not listed"))
        if self._errors:
            raise InvalidValueError(*self._errors)


def check_query(request: Request, allowed: Collection[str], *, ignore_unknown: bool) -> None:
    """Refuse unknown parameters, since they are typing errors, and repeated ones."""
    query_string = request.environ.get("QUERY_STRING", "")
    if not query_string:
        return
    if len(query_string) > MAX_QUERY:
        raise RequestURITooLarge
    if ignore_unknown:
        return
    try:
        given = request.args
    except UnicodeDecodeError as error:  # some servers let raw bytes in
        detail = "The query is not UTF-8; percent-encode everything that is not ASCII"
        raise MalformedRequestError(InvalidField(detail)) from error
    for name, values in given.lists():
        shown = name[:_LONGEST_MEMBER] or "(empty name)"
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            detail = f"{shown}: unknown parameter; remove it (known here: {known})"
            raise MalformedRequestError(InvalidField(detail, parameter=shown))
        if len(values) > 1:
            detail = f"{name}: given {len(values)} times; give it once"
            raise MalformedRequestError(InvalidField(detail, parameter=name))


def query_integer(args: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A parameter from 1 to ``most``."""
    given = args.get(name)
    if given is None:
        return default
    checks = Checks()
    number: Number = int(given) if re.fullmatch(r"[0-9]{1,9}", given) else Decimal("NaN")
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
