"""Pages of lists. A cursor contains the position after which the next page begins."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

from functions_common.http.parsing import query_integer
from functions_common.http.problems import InvalidField, InvalidValueError
from functions_common.http.routing import Parameter
from functions_common.http.schema import whole
from functions_common.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
_MAX_CURSOR = 1400
"""Characters. The longest cursor of any list, a product's name and its id, has fewer than 1,300."""

PARAMETERS = (
    Parameter(
        "limit",
        "query",
        Annotated[int, whole(1, MAX_LIMIT, default=DEFAULT_LIMIT)],
        "The maximum number of entries of a page.",
    ),
    Parameter("cursor", "query", str, "The `next_cursor` of the previous page."),
)


def limit(args: Mapping[str, str]) -> int:
    return query_integer(args, "limit", DEFAULT_LIMIT, MAX_LIMIT)


def split_page(
    found: Sequence[T], limit: int, position: Callable[[T], Sequence[str]]
) -> tuple[Sequence[T], str | None]:
    """The first ``limit`` items, and the cursor of the next page. None: this is the last page.

    There is a next page if ``found`` has more than ``limit`` items.
    """
    page = found[:limit]
    return page, encode_cursor(position(page[-1])) if len(found) > limit else None


def encode_cursor(position: Sequence[str]) -> str:
    """A URL-safe text that is opaque to clients."""
    return (
        base64.urlsafe_b64encode(json.dumps(position, ensure_ascii=False).encode())
        .decode()
        .rstrip("=")
    )


def decode_cursor(args: Mapping[str, str], read: Callable[[Sequence[str]], T]) -> T | None:
    """The position in the ``cursor`` parameter, converted by ``read``. None without a cursor.

    ``read`` raises ``ValueError`` for a position that this list cannot have. That becomes an
    InvalidValueError.
    """
    text = args.get("cursor")
    if text is None:
        return None
    try:
        if len(text) > _MAX_CURSOR:
            raise ValueError("too long")  # noqa: TRY301 - handled like any other invalid cursor
        padded = text + "=" * (-len(text) % 4)
        return read(_strings(json.loads(base64.b64decode(padded, b"-_", validate=True))))
    except (ValueError, OverflowError, RecursionError) as error:
        detail = (
            "cursor: this list has no such page; send the next_cursor of the page before, unchanged"
        )
        raise InvalidValueError(InvalidField(detail, parameter="cursor")) from error


def _strings(value: object) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError(value)
    return value


def id_position(parts: Sequence[str]) -> str:
    """The position in a list ordered by document id."""
    (identifier,) = parts
    if not is_id(identifier):
        raise ValueError(identifier)
    return identifier


def time_position(parts: Sequence[str]) -> tuple[datetime, str]:
    """The position in a list ordered by time, then by document id."""
    text, identifier = parts
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(text)
    return time.astimezone(UTC), id_position([identifier])
