"""What a shop records with an order. No rule of stock depends on it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REFERENCE, MAX_NOTE = 128, 1_000
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 40, 500
MAX_ADDRESS_LINE = 200
"""Characters, like the limits of the other texts."""


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    line1: str
    city: str
    country: str
    """ISO 3166-1, two letters."""
    line2: str | None = None
    region: str | None = None
    postal_code: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Details:
    reference: str | None = None
    """The shop's own id of the order."""
    note: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    shipping_address: Address | None = None

    def __bool__(self) -> bool:
        return self != Details()

    def without_personal(self) -> Details:
        """Only what names no person: the shop's reference."""
        return Details(reference=self.reference)

    def canonical(self) -> str:
        """A text that equal details have in common. It leaves out what has no value."""
        return json.dumps(_with_values(asdict(self)), sort_keys=True, separators=(",", ":"))


NO_DETAILS = Details()


def _with_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _with_values(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value
    }
