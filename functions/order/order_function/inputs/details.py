"""The details that a shop records with an order, as a request has them."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from functions_common.http.parsing import escape_pointer
from functions_common.http.schema import as_schema, described, example, text
from functions_common.http.text import is_one_line
from order_function.domain import Address, Details
from order_function.domain.details import (
    MAX_ADDRESS_LINE,
    MAX_METADATA,
    MAX_METADATA_KEY,
    MAX_METADATA_VALUE,
    MAX_NOTE,
    MAX_REFERENCE,
)

if TYPE_CHECKING:
    from functions_common.http.parsing import Checks

_COUNTRY = re.compile("[A-Z]{2}")
Reference = Annotated[
    str,
    text(MAX_REFERENCE, "WEB-10042"),
    described("The shop's own reference of the order, such as a cart or invoice number."),
]
Note = Annotated[
    str,
    example("Please ring twice", minLength=1, maxLength=MAX_NOTE),
    described(
        "A note of the customer or the shop. It may have several lines, with a line feed between"
        " them."
    ),
]
METADATA_NAME_PATTERN = r"^(?!__.*__$)"
"""Firestore reserves ``__…__``."""
Metadata = Annotated[
    dict[str, str],
    as_schema(
        maxProperties=MAX_METADATA,
        propertyNames={
            "minLength": 1,
            "maxLength": MAX_METADATA_KEY,
            "pattern": METADATA_NAME_PATTERN,
        },
        additionalProperties={"type": "string", "minLength": 1, "maxLength": MAX_METADATA_VALUE},
        examples=[{"channel": "web"}],
    ),
    described(
        "Texts of the shop, by names of its choice. A name is one line. It must not both begin and"
        " end with two underscores."
    ),
]


_NAME = re.compile(METADATA_NAME_PATTERN)


def _line(example_value: str) -> Any:  # noqa: ANN401 - metadata of a type
    return text(MAX_ADDRESS_LINE, example_value)


class ShippingAddress(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where to ship the goods."""

    name: Annotated[str, _line("Ada Lovelace"), described("The recipient.")]
    line1: Annotated[str, _line("12 St James's Square"), described("Street and number.")]
    line2: Annotated[str | UnsetType, _line("Flat 3"), described("Flat, floor or building.")] = (
        UNSET
    )
    city: Annotated[str, _line("London"), described("City or town.")]
    region: Annotated[
        str | UnsetType, _line("Greater London"), described("State, county or province.")
    ] = UNSET
    postal_code: Annotated[str | UnsetType, _line("SW1Y 4JH"), described("Postal code.")] = UNSET
    country: Annotated[
        str,
        example("GB", pattern="^[A-Z]{2}$", description="ISO 3166-1 code of two capital letters."),
    ]
    phone: Annotated[str | UnsetType, _line("+44 20 7946 0000"), described("For the carrier.")] = (
        UNSET
    )

    def to_domain(self, checks: Checks, pointer: str) -> Address:
        values: dict[str, str] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, UnsetType):
                continue
            values[name] = value
            if name != "country":
                checks.text(value, MAX_ADDRESS_LINE, pointer=f"{pointer}/{name}")
        if not _COUNTRY.fullmatch(self.country):
            checks.add_error(
                "must be two capital letters (ISO 3166-1)", pointer=f"{pointer}/country"
            )
        return Address(**values)


def parse_details(
    checks: Checks,
    reference: str | UnsetType,
    note: str | UnsetType,
    metadata: dict[str, str] | UnsetType,
    address: ShippingAddress | UnsetType,
) -> Details:
    if not isinstance(reference, UnsetType):
        checks.text(reference, MAX_REFERENCE, pointer="#/reference")
    if not isinstance(note, UnsetType):
        checks.several_lines(note, MAX_NOTE, pointer="#/note")
    if not isinstance(metadata, UnsetType):
        _check_metadata(checks, metadata)
    return Details(
        reference or None,
        note or None,
        metadata or {},
        None if isinstance(address, UnsetType) else address.to_domain(checks, "#/shipping_address"),
    )


def _check_metadata(checks: Checks, metadata: dict[str, str]) -> None:
    if len(metadata) > MAX_METADATA:
        checks.add_error(f"must have at most {MAX_METADATA} members", pointer="#/metadata")
        return
    for name, value in metadata.items():
        pointer = f"#/metadata/{escape_pointer(name)}"
        if len(name) > MAX_METADATA_KEY or not (is_one_line(name) and _NAME.match(name)):
            detail = (
                f"the name must be 1 to {MAX_METADATA_KEY} characters on one line, at least one of"
                " them visible; it must not both begin and end with two underscores"
            )
            checks.add_error(detail, pointer=pointer)
        checks.text(value, MAX_METADATA_VALUE, pointer=pointer)


def address_response(address: Address | None) -> ShippingAddress | UnsetType:
    if address is None:
        return UNSET
    found = {each.name: getattr(address, each.name) for each in fields(address)}
    return ShippingAddress(**{name: value for name, value in found.items() if value is not None})
