"""Annotated types with the bounds, examples and descriptions that openapi.json shows.

They check nothing: msgspec sees only the Python type. ``parsing.Checks`` checks values later, with
the same bounds and patterns.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta

from functions_common.ids import ID_PATTERN, MAX_ID

MAX_KEY = 255
KEY_PATTERN = r"^[!-+\--~]([ -+\--~]*[!-+\--~])?$"
"""Printable ASCII without a comma: two headers of one name arrive joined by a comma."""

_HIDDEN = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufdd0-\ufdef\ufeff\uffa0"
    r"\ufff0-\ufffc\ufffe\uffff"
)
"""The characters that text must not contain, for use inside ``[…]`` of a regular expression. Only
escapes of four digits are used, because Python and ECMAScript both know them. Surrogates are left
out: some ECMAScript validators read an emoji as two surrogates, and would reject it."""
_LINE = rf"^[^{_HIDDEN}]*[^\s{_HIDDEN}][^{_HIDDEN}]*$"
"""An approximation of ``text.is_one_line``, for clients. All text that the function accepts
matches. Some text that matches is rejected (422): it has wrong characters above U+FFFF, or breaks a
rule about neighbouring characters."""


def as_schema(**keywords: Any) -> Meta:  # noqa: ANN401 - JSON Schema
    return Meta(extra_json_schema=keywords)


def described(description: str) -> Meta:
    return as_schema(description=description)


def example(value: object, **keywords: Any) -> Meta:  # noqa: ANN401
    return as_schema(**keywords, examples=[value])


def identifier(value: str) -> Meta:
    """An id, with this value as the example."""
    return example(value, maxLength=MAX_ID, pattern=ID_PATTERN)


def whole(minimum: int, maximum: int, **keywords: Any) -> Meta:  # noqa: ANN401
    """An integer in a request, although ``parsing.Number`` also reads fractions."""
    return as_schema(type="integer", minimum=minimum, maximum=maximum, **keywords)


MAX_MINOR_UNITS = "x-maximum-minor-units"


def amount(max_minor_units: int, value: float) -> Meta:
    """Money in a request. ``openapi`` converts the maximum to the deployment's currency."""
    return example(value, type="number", minimum=0, **{MAX_MINOR_UNITS: max_minor_units})


def text(max_length: int, value: str) -> Meta:
    """One line of text for people."""
    return example(value, minLength=1, maxLength=max_length, pattern=_LINE)


def entries(minimum: int, maximum: int) -> Meta:
    """The number of entries of a list."""
    return as_schema(minItems=minimum, maxItems=maximum)


Money = Annotated[Decimal, example(999.99, minimum=0)]
"""In a response: a decimal number, exact to the last digit."""
Currency = Annotated[
    str, example("USD", pattern="^[A-Z]{3}$", description="ISO 4217 code of the currency.")
]
OnSale = Annotated[
    bool,
    described(
        "True if the product can be ordered. It is false if the operator took the product off sale,"
        " or if its `currency` differs from the shop's."
    ),
]
Timestamp = Annotated[str, example("2025-11-23T19:11:48.658182+00:00", format="date-time")]
LastUpdated = Annotated[
    Timestamp | None, described("When the product or its stock last changed (UTC).")
]
Units = Annotated[int, example(50, minimum=0)]
ReservedUnits = Annotated[
    int, example(2, minimum=0, description="Units that orders hold and that are not shipped.")
]
MaxPerOrder = Annotated[
    int | None,
    example(5, minimum=1, description="The most units of it in one order; null: no limit."),
]
LowStockThreshold = Annotated[
    int | None,
    example(
        10,
        minimum=0,
        description="The stock is low if at most so many units are available; null: never.",
    ),
]
LowStock = Annotated[
    bool, described("True if `available_quantity` is at most `low_stock_threshold`.")
]
Requested = Annotated[
    int, example(51, minimum=1, description="The number of units that the request asked for.")
]
NextCursor = Annotated[
    str | None,
    described("Send it as `cursor` to get the next page. It is null on the last page."),
]
