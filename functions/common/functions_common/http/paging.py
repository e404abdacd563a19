"""Lists come in pages. A cursor is the place after which the next page begins."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

from functions_common.http.parsing import is_id, query_integer
from functions_common.http.problems import InvalidField, InvalidValueError
from functions_common.http.routing import Parameter
from functions_common.http.schema import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

DEFAULT_LIMIT, MOST = 50, 200
_LONGEST_CURSOR = 512
"""Characters; the longest that a list gives out, a time and an id, has fewer than 250."""

PARAMETERS = (
    Parameter(
        "limit",
        "query",
        Annotated[int, whole(1, MOST, default=DEFAULT_LIMIT)],
        "The maximum number of entries of a page.",
    ),
    Parameter("cursor", "query", str, "The `next_cursor` of the previous page."),
)


def limit(args: Mapping[str, str]) -> int:
    return query_integer(args, "limit", DEFAULT_LIMIT, MOST)


def cut(
    found: Sequence[T], most: int, place: Callable[[T], Sequence[str]]
) -> tuple[Sequence[T], str | None]:
    """A page, and the cursor of the next; one item more than ``most`` says that there is one."""
    page = found[:most]
    return page, encode_cursor(place(page[-1])) if len(found) > most else None


def encode_cursor(place: Sequence[str]) -> str:
    """URL-safe, and without meaning for clients."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def decode_cursor(args: Mapping[str, str], read: Callable[[Sequence[str]], T]) -> T | None:
    """The place in the ``cursor`` parameter, converted by ``read``; None without a cursor.

    ``read`` raises ``ValueError`` for a place that is not one of this list.
    """
    text = args.get("cursor")
    if text is None:
        return None
    try:
        if len(text) > _LONGEST_CURSOR:
            raise ValueError("too long")  # noqa: TRY301 - the same as any other that is not ours
        padded = text + "=" * (-len(text) % 4)
        return read(_strings(json.loads(base64.b64decode(padded, b"-_", validate=True))))
    except (ValueError, OverflowError, RecursionError) as error:
        detail = "cursor: this list has no such page; send its next_cursor as it was received"
        raise InvalidValueError(InvalidField(detail, parameter="cursor")) from error


def _strings(value: object) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError(value)
    return value


def place_of_id(parts: Sequence[str]) -> str:
    """Of a list ordered by document id."""
    (identifier,) = parts
    if not is_id(identifier):
        raise ValueError(identifier)
    return identifier


def place_in_time(parts: Sequence[str]) -> tuple[datetime, str]:
    """Of a list ordered by time, and by document id among equals."""
    text, identifier = parts
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC), place_of_id([identifier])
