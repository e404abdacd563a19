"""Converts requests to typed values, or raises errors that name the wrong fields.

There are two stages. ``body`` checks the names and JSON types of fields, with msgspec (400). Then
``Checks`` checks bounds, patterns and decimals (422), and lists all wrong fields.

The size of every input is checked before it is parsed, and parsing takes time in proportion to that
size: tests/unit/http/test_input_complexity.py doubles each input.
"""

from __future__ import annotations

import codecs
import json
import re
import threading
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote, unquote

import msgspec
from werkzeug.datastructures import MIMEAccept
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
from functions_common.http.routing import JSON, NDJSON, Parameter
from functions_common.http.schema import KEY_PATTERN, MAX_KEY, as_schema
from functions_common.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from werkzeug.wrappers import Request

T = TypeVar("T")

Number = int | Decimal
"""A JSON number with its digits unchanged. ``Checks`` decides whether a fraction is valid."""

MAX_BODY = 64 * 1024
"""Bytes."""
BODY_LIMIT = "functions_common.body_limit"
"""Key of ``app.extensions``: ``dispatch.body_limit``, which the server needs as well."""
MAX_QUERY = 4096
"""Characters. The longest useful query, with every character percent-encoded, has about 1,500."""
_MAX_LISTED_ERRORS = 20
_MAX_HEADER = 256
"""Characters of ``Content-Type`` and ``Content-Encoding``."""
_MAX_FIELD_NAME = 128

_KEY = re.compile(KEY_PATTERN)
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LONG_FRACTION = re.compile(r"\.[0-9]{7}")
_DIGITS = re.compile(r"[0-9]{1,18}")
_UTF_8 = ("utf-8", "utf8")
_MAX_DIGITS = 100
_NOT_AN_ID = "must be 1 to 128 characters of A-Z a-z 0-9 . _ - and not '.', '..' or '__…__'"
_LOCATION = re.compile(r" - at `\$(.*)`$")
_SOME_VALUE = "[...]"
"""msgspec does not name the key of a wrong value in a ``dict``."""
_FIELD = re.compile(r"(missing required|unknown) field `(.*)`$", re.DOTALL)
_FIELD_ERRORS = {
    "missing required": "is missing",
    "unknown": "unknown field; correct its name or remove it",
}
_JSON_TYPES = {
    "int | decimal": "number",
    "str": "string",
    "str | null": "string or null",
    "bool": "true or false",
}
_MAX_DETAIL = 200
_IN_FRAGMENT = "!$&'()*+,;=:@?"
"""Besides letters, digits and ``_.-~``: the characters that a URI fragment can have (RFC 3986)."""

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    Annotated[str, as_schema(maxLength=MAX_KEY, pattern=KEY_PATTERN)],
    "Send a new value for each order or adjustment, such as a UUID. To repeat a request, send the"
    " same value: all requests with it have the same outcome, and only one of them makes a change.",
)


def check_id(text: str, **place: str) -> None:
    """Check an id that is the only value to check. Raises InvalidValueError."""
    if not is_id(text):
        raise InvalidValueError(_error_at(_NOT_AN_ID, **place))


def loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON with exact decimals. Raises ``ValueError``.

    This is stricter than RFC 8259, which leaves these cases to the parser. Rejected are duplicate
    keys, NaN, Infinity, encodings other than UTF-8, deep nesting, and long numbers and keys.
    """
    if data.startswith(codecs.BOM_UTF8):
        raise ValueError("it begins with a byte order mark; send UTF-8 without one")
    try:
        return _decode(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError(f"the key {_first_duplicate(pairs)[:128]!r} appears twice in one object")
    if members and max(map(len, members)) > _MAX_FIELD_NAME:
        raise ValueError(f"a key has more than {_MAX_FIELD_NAME} characters")
    if _CONTROL_OR_SURROGATE.search("".join(members)):
        raise ValueError("a key contains a control character or an unpaired surrogate")
    return members


def _first_duplicate(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("no duplicate")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} digits")
    return int(digits)


def _decimal(number: str) -> Decimal:
    if len(number) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} characters")
    try:
        return Decimal(number)
    except InvalidOperation as error:
        raise ValueError(f"the number {number} is out of range") from error


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


_decode = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=_not_a_number,
).decode


def convert(value: object, target: type[T]) -> T:
    """Convert parsed JSON to a msgspec type. Raises ``msgspec.ValidationError``."""
    if target not in _warm_types:
        _warm_up_type(target)
    return msgspec.convert(value, target, builtin_types=(Decimal,))


_warm_types: set[type] = set()
_warm_up_lock = threading.Lock()


def _warm_up_type(target: type) -> None:
    """Use the type once under a lock, which fills msgspec's cache.

    msgspec fills its cache on the first use of a type, without a lock. If many threads did so at
    the same time, as in a new process under a burst, the process crashed (msgspec 0.22).
    """
    with _warm_up_lock:
        with suppress(msgspec.ValidationError):
            msgspec.convert(None, target, builtin_types=(Decimal,))
        _warm_types.add(target)


def body(request: Request, target: type[T]) -> T:
    """The request's JSON body as a msgspec Struct. Raises RequestError."""
    _check_media_type(request, JSON)
    return document(_read(request, MAX_BODY), target, "The body")


def optional_body(request: Request, target: type[T]) -> T | None:
    """The request's JSON body as ``body`` returns it. None for an empty body."""
    data = _read(request, MAX_BODY)
    if not data:
        return None
    _check_media_type(request, JSON)
    return document(data, target, "The body")


def lines(request: Request, max_bytes: int, max_lines: int) -> list[bytes]:
    """The lines of an NDJSON body, without a blank one at its end. Raises RequestError."""
    _check_media_type(request, NDJSON)
    data = _read(request, max_bytes)
    found = data.count(b"\n") + (not data.endswith(b"\n"))
    if not data.strip() or found > max_lines:
        count = "no line" if not data.strip() else f"{found:,} lines"
        detail = f"#: must have 1 to {max_lines:,} lines, and has {count}"
        raise InvalidValueError(InvalidField(detail, pointer="#"))
    return data.removesuffix(b"\n").split(b"\n")


def document(data: bytes, target: type[T], name: str) -> T:
    """A JSON document as a msgspec Struct. Raises MalformedRequestError.

    ``name``: what the document is to the client, such as "The body".
    """
    try:
        value = loads(data)
    except ValueError as error:  # includes bytes that are not UTF-8
        reason = str(error) if data else "it is empty"
        detail = f"{name} is not valid JSON: {reason}"
        raise MalformedRequestError(InvalidField(detail, pointer="#")) from error
    try:
        return convert(value, target)
    except msgspec.ValidationError as error:
        raise MalformedRequestError(_invalid_field(str(error))) from error


def _check_media_type(request: Request, content_type_needed: str) -> None:
    """Raise UnsupportedMediaTypeError unless the body is JSON in UTF-8, without compression.

    ``content_type_needed``: JSON, or NDJSON.

    A header that the client sends twice arrives as one value with a comma, so a comma is an error.
    """
    content_type = request.headers.get("Content-Type", "")
    if content_type == content_type_needed and "Content-Encoding" not in request.headers:
        return
    bounded = len(content_type) <= _MAX_HEADER and "," not in content_type
    if not bounded or request.mimetype != content_type_needed:
        detail = f"Content-Type: must be {content_type_needed}, and be given once"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Type"))
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in _UTF_8 or content_type.lower().count("charset") > 1:
        detail = "Content-Type: JSON must be in UTF-8; leave charset out"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Type"))
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding[:_MAX_HEADER].strip().lower() not in ("identity", ""):
        detail = "Content-Encoding: send the body without compression"
        raise UnsupportedMediaTypeError(InvalidField(detail, header="Content-Encoding"))


def _read(request: Request, max_bytes: int) -> bytes:
    """The whole body, at most ``max_bytes``."""
    declared = _declared_length(request)
    try:
        data = _received(request, max_bytes)
    except ClientDisconnected as error:
        raise _unreadable() from error
    except HTTPException:  # too large, or too late: it has the right status
        raise
    except Exception as error:  # each WSGI server has its own errors for a broken body
        raise _unreadable() from error
    if len(data) > max_bytes:  # sent in chunks: a declared length was checked before
        raise RequestEntityTooLarge
    if declared is not None and len(data) < declared:
        detail = f"The body is incomplete: {len(data)} of {declared} bytes arrived; send it again"
        raise MalformedRequestError(InvalidField(detail, pointer="#"))
    return data


def _received(request: Request, max_bytes: int) -> bytes:
    """The body, and at most one byte more than ``max_bytes``."""
    if request.environ.get("wsgi.input_terminated"):  # the server has received the whole body
        data: bytes = request.environ["wsgi.input"].read(max_bytes + 1)
        return data
    return request.get_data(cache=False)


def _unreadable() -> MalformedRequestError:
    detail = "The body cannot be read: it is incomplete, or its chunks are malformed; send it again"
    return MalformedRequestError(InvalidField(detail, pointer="#"))


def _declared_length(request: Request) -> int | None:
    """``Content-Length``. None if there is no body, or a body in chunks."""
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


def reject_body(request: Request) -> None:
    """Raise MalformedRequestError if the request has a body that is not empty."""
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


def _invalid_field(message: str) -> InvalidField:
    place = _LOCATION.search(message)
    detail = message[: place.start()] if place else message
    path = re.sub(r"\[(\d+)\]", r".\1", place[1]) if place else ""
    if path.endswith(_SOME_VALUE):
        path, detail = path.removesuffix(_SOME_VALUE), f"one of its values is wrong: {detail}"
    member = _FIELD.search(detail)
    pointer = "#" + path.replace(".", "/") + (f"/{escape_pointer(member[2])}" if member else "")
    if member:
        detail = _FIELD_ERRORS[member[1]]
    for python, json_type in _JSON_TYPES.items():
        detail = detail.replace(f"`{python}`", json_type)
    return _error_at(detail, pointer=pointer)


def escape_pointer(member: str) -> str:
    """A field's name in a JSON pointer that is a URI fragment (RFC 6901, 3 and 6)."""
    return quote(member[:_MAX_DETAIL].replace("~", "~0").replace("/", "~1"), safe=_IN_FRAGMENT)


class Checks:
    """Collects the errors in a request's values. ``raise_if_failed`` raises them together.

    A problem document lists the first _MAX_LISTED_ERRORS errors.
    """

    def __init__(self) -> None:
        self._errors: list[InvalidField] = []
        self._unlisted = 0

    def add_error(self, detail: str, **place: str) -> None:
        """Record that a value is wrong.

        ``place`` names the wrong part: ``pointer``, ``parameter`` or ``header``.
        """
        if len(self._errors) < _MAX_LISTED_ERRORS:
            self._errors.append(_error_at(detail, **place))
        else:
            self._unlisted += 1

    def identifier(self, text: str, **place: str) -> str:
        if not is_id(text):
            self.add_error(_NOT_AN_ID, **place)
        return text

    def integer(self, number: Number, minimum: int, maximum: int, **place: str) -> int:
        """A whole number within bounds. Returns ``minimum`` after an error."""
        if isinstance(number, int) and minimum <= number <= maximum:
            return number
        self.add_error(f"must be a whole number from {minimum:,} to {maximum:,}", **place)
        return minimum

    def money(self, amount: Number, maximum: int, currency: str, **place: str) -> int:
        """An amount in minor units, from 0 to ``maximum``. Returns 0 after an error."""
        largest = money.to_wire(maximum, currency)
        if not 0 <= amount <= largest:
            self.add_error(f"must be a number from 0 to {largest:,}", **place)
            return 0
        try:
            return money.to_minor(amount, currency)
        except ValueError as error:
            self.add_error(str(error), **place)
            return 0

    def text(self, value: str, max_length: int, **place: str) -> str:
        """A line of text for people, with a visible character."""
        return self._text(
            value, value, f"1 to {max_length} characters on one line", max_length, place
        )

    def several_lines(self, value: str, max_length: int, **place: str) -> str:
        """The same as ``text``, with several lines: a line feed is between two of them."""
        in_one = value.replace("\n", " ")
        size = f"1 to {max_length:,} characters, with a line feed between lines"
        return self._text(value, in_one, size, max_length, place)

    def _text(
        self, value: str, in_one_line: str, size: str, max_length: int, place: Mapping[str, str]
    ) -> str:
        if len(value) > max_length or not text.is_one_line(in_one_line):
            self.add_error(
                f"must be {size}, at least one of them visible,"
                " without control, formatting, private or unassigned characters",
                **place,
            )
        return value

    def time(self, value: str, **place: str) -> datetime | None:
        """A time in RFC 3339, in UTC. Returns None after an error."""
        if _TIME.fullmatch(value):
            with suppress(ValueError, OverflowError):
                return datetime.fromisoformat(value.upper()).astimezone(UTC)
        hint = ""
        if " " in value:
            hint = "; percent-encode its +, as %2B"
        elif _LONG_FRACTION.search(value):
            hint = "; a second has at most 6 decimals"
        self.add_error(f"must be a time like 2025-11-23T19:11:48Z (RFC 3339){hint}", **place)
        return None

    def raise_if_failed(self) -> None:
        """Raise InvalidValueError with the errors that were added, if there are any."""
        if self._unlisted:
            self._errors.append(InvalidField(f"{self._unlisted:,} more errors are not listed"))
        if self._errors:
            raise InvalidValueError(*self._errors)


def _error_at(detail: str, **place: str) -> InvalidField:
    """The error of the value at ``place``, which is one name and its value.

    ``detail`` is for people, so it has the pointer without percent-encoding.
    """
    ((kind, where),) = place.items()
    shown = unquote(where) if kind == "pointer" else where
    return InvalidField(f"{shown}: {detail[:_MAX_DETAIL]}", **place)


def check_query(request: Request, allowed: Collection[str], *, ignore_unknown: bool) -> None:
    """Reject a query that is too long, and parameters that are unknown or repeated.

    An unknown parameter is most often a typing error. ``ignore_unknown``: check only the length.
    """
    query_string = request.environ.get("QUERY_STRING", "")
    if not query_string:
        return
    if len(query_string) > MAX_QUERY:
        raise RequestURITooLarge
    if ignore_unknown:
        return
    try:
        given = request.args
    except UnicodeDecodeError as error:  # some servers accept raw bytes
        detail = "The query is not UTF-8; percent-encode everything that is not ASCII"
        raise MalformedRequestError(InvalidField(detail)) from error
    for name, values in given.lists():
        shown = name[:_MAX_FIELD_NAME] or "(empty name)"
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            detail = f"{shown}: unknown parameter; remove it (known parameters: {known})"
            raise MalformedRequestError(InvalidField(detail, parameter=shown))
        if len(values) > 1:
            detail = f"{name}: given {len(values)} times; give it once"
            raise MalformedRequestError(InvalidField(detail, parameter=name))


def query_integer(
    args: Mapping[str, str], name: str, default: int, maximum: int, minimum: int = 1
) -> int:
    """A query parameter from ``minimum`` to ``maximum``."""
    given = args.get(name)
    if given is None:
        return default
    checks = Checks()
    number: Number = int(given) if re.fullmatch(r"[0-9]{1,9}", given) else Decimal("NaN")
    value = checks.integer(number, minimum, maximum, parameter=name)
    checks.raise_if_failed()
    return value


def prefers(request: Request, wanted: str, other: str) -> bool:
    """Whether ``Accept`` prefers the media type ``wanted`` to ``other``. ``*/*`` prefers none.

    Parameters other than ``q`` are ignored: many clients send ``charset=utf-8``, and all text is in
    UTF-8.
    """
    accepted = MIMEAccept(
        (given.partition(";")[0].rstrip(), quality) for given, quality in request.accept_mimetypes
    )
    return accepted[wanted] > accepted[other]


def idempotency_key(request: Request) -> str | None:
    """The value of the header, unchanged. None if the request has none."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and (len(key) > MAX_KEY or not _KEY.fullmatch(key)):
        detail = "must be given once: 1 to 255 printable ASCII characters, no comma"
        raise InvalidValueError(_error_at(detail, header="Idempotency-Key"))
    return key
