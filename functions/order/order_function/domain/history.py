"""What happened to an order: its events, and the change that is in progress.

Each transition appends its events to the order, in the write that makes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from order_function.domain.lines import Line

CUSTOMER, OPERATOR, PAYMENT, RECONCILE = "customer", "operator", "payment", "reconcile"
"""Actors, unless the operator names another one."""
EXPIRED = "expired"
"""The reason of a cancellation by ``reconcile``: the payment did not arrive in time."""
_ROLES = frozenset((CUSTOMER, OPERATOR, PAYMENT, RECONCILE))
MAX_MOVEMENTS = 100
"""Movements of parts of one order. With them a document stays below half of Firestore's 1 MiB."""


class EventType(StrEnum):
    PLACED = "placed"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    """Nothing was fulfilled, and no unit is open."""
    FULFILLED = "fulfilled"
    """Something was fulfilled, and no unit is open."""
    LINE_CANCELLED = "line_cancelled"
    LINE_FULFILLED = "line_fulfilled"
    LINE_RETURNED = "line_returned"


class By(NamedTuple):
    """Who makes a change, and why."""

    actor: str
    reason: str | None = None

    def without_personal(self) -> By:
        """Without names and texts of people. Only the operator can send a name."""
        if self == By(RECONCILE, EXPIRED):
            return self
        return By(self.actor if self.actor in _ROLES else OPERATOR)


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of an order's history. Its number is its place there, counted from 1."""

    type: EventType | str
    """A text if only a newer revision knows the type."""
    at: datetime
    actor: str
    reason: str | None = None
    lines: tuple[Line, ...] = ()
    """The units that the event is about. Empty if it is about the whole order."""
    key: str | None = None
    """A digest of the idempotency key of the request."""

    def without_personal(self) -> Event:
        """A rejection keeps its reason: that is the kind of the problem."""
        actor, reason = By(self.actor, self.reason).without_personal()
        return replace(
            self, actor=actor, reason=self.reason if self.type == EventType.REJECTED else reason
        )


class MovementKind(StrEnum):
    RELEASE = "release"
    """Cancelled units become available."""
    CONSUME = "consume"
    """Fulfilled units are shipped."""
    RESTOCK = "restock"
    """Returned units become available."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of stock that the order has decided, and that inventory may not have applied yet."""

    kind: MovementKind
    actor: str
    reason: str | None = None
    number: int = 0
    """The order's first movement of a part is 1. 0: the movement is of everything that is open."""
    lines: tuple[Line, ...] = ()
    """The units to move. Empty: all that are open."""
    key: str | None = None
    """A digest of the idempotency key of the request."""

    @property
    def by(self) -> By:
        return By(self.actor, self.reason)

    def without_personal(self) -> Movement:
        actor, reason = self.by.without_personal()
        return replace(self, actor=actor, reason=reason)


EVENT_OF_MOVEMENT = {
    MovementKind.RELEASE: EventType.LINE_CANCELLED,
    MovementKind.CONSUME: EventType.LINE_FULFILLED,
    MovementKind.RESTOCK: EventType.LINE_RETURNED,
}
"""The event of a movement of a part."""
