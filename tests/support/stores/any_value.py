"""Documents in which any field has a value of any type."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.cloud.firestore import GeoPoint

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES: tuple[Any, ...] = (
    *(None, True, 7, -1, 2**63 - 1, 1.5, math.nan),
    *("", "x", "a\r\nb", "日本", b"\xff", GeoPoint(1, 2)),
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    *([], [None], ["a"], [{"a": 1}], [GeoPoint(1, 2)]),
    *({}, {"a": 1}, {"a": {"b": 1}}, {"a": GeoPoint(1, 2)}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of the values in a document, at every depth."""
    if path:
        yield path
    inner: Any = value.items() if isinstance(value, dict) else ()
    for name, each in enumerate(value) if isinstance(value, list) else inner:
        yield from places(each, (*path, name))


def variants(fields: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document without one of its values, and with others in its place."""
    for *path, name in places(fields):
        for value in ("removed", *VALUES):
            changed = copy.deepcopy(fields)
            parent: Any = changed
            for each in path:
                parent = parent[each]
            if value == "removed":
                del parent[name]
            else:
                parent[name] = value
            yield f"{(*path, name)} = {value!r}", changed
