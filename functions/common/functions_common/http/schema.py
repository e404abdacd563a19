"""What openapi.json says of values, for ``Annotated`` types.

Nothing is checked here: msgspec sees the Python type alone. ``parsing.Checks`` checks values
afterwards, with the same bounds and patterns.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta

MAX_ID = 128
ID_PATTERN = r"^(?!\.{1,2}$|__.*__$)[A-Za-z0-9._-]+$"
"""Firestore keeps ``.``, ``..`` and ``__…__`` for itself."""
MAX_KEY = 255
KEY_PATTERN = r"^[!-+\--~]([ -+\--~]*[!-+\--~])?$"
"""Printable ASCII. No comma: two headers of one name arrive joined by one."""

_HIDDEN = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufdd0-\ufdef\ufeff\uffa0"
    r"\ufff0-\ufffc\ufffe\uffff"
)
"""For use in a character class. Escapes of four digits mean the same in Python and in ECMAScript.
Surrogates are not listed: some validators see every other emoji as a pair of them."""
_LINE = rf"^[^{_HIDDEN}]*[^\s{_HIDDEN}][^{_HIDDEN}]*$"
"""As much of ``text.is_one_line`` as JSON Schema can say in the Basic Multilingual Plane: all that
is accepted matches, and some that matches is refused (422)."""


def as_schema(**keywords: Any) -> Meta:  # noqa: ANN401 - JSON Schema
    return Meta(extra_json_schema=keywords)


def example(value: object, **keywords: Any) -> Meta:  # noqa: ANN401
    return as_schema(**keywords, examples=[value])


def identifier(value: str) -> Meta:
    """With this one as an example."""
    return example(value, maxLength=MAX_ID, pattern=ID_PATTERN)


def whole(least: int, most: int, **keywords: Any) -> Meta:  # noqa: ANN401
    """A whole number, where ``parsing.Number`` lets any in."""
    return as_schema(type="integer", minimum=least, maximum=most, **keywords)


MAX_MINOR_UNITS = "x-maximum-minor-units"


def amount(most: int, value: float) -> Meta:
    """Money in a request. ``most`` is in minor units.

    The description says it in the deployment's currency: see ``openapi``.
    """
    return example(value, type="number", minimum=0, **{MAX_MINOR_UNITS: most})


def text(most: int, value: str) -> Meta:
    """One line for people."""
    return example(value, minLength=1, maxLength=most, pattern=_LINE)


def entries(least: int, most: int) -> Meta:
    """How many a list has."""
    return as_schema(minItems=least, maxItems=most)


Money = Annotated[Decimal, example(999.99, minimum=0)]
"""In an answer: a decimal number, digit by digit."""
Currency = Annotated[str, example("USD", pattern="^[A-Z]{3}$")]
OnSale = Annotated[
    bool,
    as_schema(
        description="Whether it can be ordered: not if it was taken off sale, or its `currency` is"
        " not the shop's"
    ),
]
Moment = Annotated[str, example("2025-11-23T19:11:48.658182+00:00", format="date-time")]
Units = Annotated[int, example(50, minimum=0)]
NextCursor = Annotated[str | None, as_schema(description="Of the next page; null on the last")]
