"""The event of a product whose stock has become low."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec resolves the annotation at runtime

LOW_STOCK_EVENTS = "low_stock_events"
"""The collection of the events that are not known to be sent."""


@dataclass(frozen=True, slots=True)
class LowStockEvent:
    """A commit made the stock of a product low.

    That commit stores the event in a document of its own, since each sale changes the product's
    document. The publisher deletes the document when the sink has accepted the event.
    """

    event_id: str
    product_id: str
    name: str
    available: int
    """Available units after the commit."""
    low_stock_threshold: int
    at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        return (LOW_STOCK_EVENTS, self.event_id)
