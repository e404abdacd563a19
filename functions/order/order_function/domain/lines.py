"""The lines of an order: what was ordered, what became of it, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LINES = 100
MAX_QUANTITY = 1_000_000
MAX_TOTAL = 10**18
"""The largest ``expected_total``, in minor units. Firestore's integers end at 9.2 times that."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A product of an order. Every unit of it is open, cancelled or fulfilled."""

    product_id: str
    quantity: int
    cancelled: int = 0
    fulfilled: int = 0
    returned: int = 0
    """Fulfilled units that came back."""

    @property
    def open(self) -> int:
        """The units that are neither cancelled nor fulfilled."""
        return self.quantity - self.cancelled - self.fulfilled

    @property
    def has_moved(self) -> bool:
        return self.open != self.quantity

    def cancel(self, quantity: int) -> Line:
        return replace(self, cancelled=self.cancelled + quantity)

    def fulfil(self, quantity: int) -> Line:
        return replace(self, fulfilled=self.fulfilled + quantity)

    def take_back(self, quantity: int) -> Line:
        return replace(self, returned=self.returned + quantity)


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line as inventory reserved it. Later changes of the catalogue do not change it."""

    product_id: str
    quantity: int
    unit_price: int
    """In minor units."""
    name: str


def merge_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return one line a product, in the order in which the products are first named."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return tuple(Line(*item) for item in quantities.items())


def in_order_of(lines: Iterable[Line], items: Iterable[PricedLine]) -> tuple[PricedLine, ...]:
    """The items in the order of the lines. Inventory returns them sorted by product."""
    items = tuple(items)
    if len(items) == 1:
        return items
    places = {line.product_id: place for place, line in enumerate(lines)}
    return tuple(sorted(items, key=lambda item: places.get(item.product_id, len(places))))
