"""Orders, and what may become of them. Nothing here knows of HTTP or Firestore.

OrderError                        why a request about an order was refused
├── OrderNotFoundError            there is no such order
├── OrderRejectedError            inventory refused it; under a key that is final
├── NotCancellableError           it was rejected, or the goods have left
└── IdempotencyKeyReusedError     the key belongs to another body
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from functions_common.encoding import LENGTH, digest_id, random_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_LINES = 100
MAX_QUANTITY = 1_000_000

_ORDER_ID = re.compile(rf"ORD[0-9A-HJKMNP-TV-Z]{{{LENGTH}}}")


class OrderError(Exception):
    """See the tree above."""


class OrderNotFoundError(OrderError):
    def __init__(self, order_id: str) -> None:
        super().__init__(f"There is no order {order_id}")


class OrderRejectedError(OrderError):
    def __init__(self, rejection: Rejection, order_id: str | None, *, replayed: bool) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection
        self.order_id = order_id
        """None where nothing was written: an order without a key leaves no trace when refused."""
        self.replayed = replayed


class NotCancellableError(OrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(f"The order {order.order_id} is {order.status} and cannot be cancelled")


class IdempotencyKeyReusedError(OrderError):
    def __init__(self) -> None:
        super().__init__("The Idempotency-Key was used for another order")


class Status(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FULFILLING = "fulfilling"
    FULFILLED = "fulfilled"


LIVE = frozenset((Status.PENDING, Status.CONFIRMED, Status.FULFILLING, Status.FULFILLED))
"""The order's reservation is its own to keep."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    product_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Item:
    """A line as inventory reserved it: later changes of the catalogue do not touch it."""

    product_id: str
    quantity: int
    unit_price: int
    """In minor units."""
    name: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why inventory refused, in a form that can be stored and told again."""

    kind: str
    detail: str
    extensions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one body at becoming an order; all of it is chosen before the first call."""

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    keyed: bool
    nonce: str
    """Of this delivery: it tells its own writes from those of another delivery of the same body."""
    number: int = 0

    @property
    def fingerprint(self) -> str:
        lines = (part for line in self.lines for part in (line.product_id, str(line.quantity)))
        return digest_id(self.customer_id, *lines)

    @property
    def reservation_id(self) -> str:
        """Belongs to this body alone, so two bodies under one key never meet in inventory."""
        return f"{self.order_id}.{self.number}.{self.fingerprint}"

    @classmethod
    def begin(cls, customer_id: str, lines: Iterable[Line], key: str | None) -> Attempt:
        order_id = random_id() if key is None else digest_id(customer_id, key)
        return cls(
            f"ORD{order_id}", customer_id, merge(lines), keyed=key is not None, nonce=random_id()
        )


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    customer_id: str
    status: Status
    created_at: datetime
    fingerprint: str
    attempt: int
    nonce: str
    lines: tuple[Line, ...]
    items: tuple[Item, ...] = ()
    """The lines with prices; empty until inventory has reserved them."""
    currency: str | None = None
    rejection: Rejection | None = None

    @classmethod
    def confirmed(
        cls, attempt: Attempt, items: tuple[Item, ...], currency: str, now: datetime
    ) -> Order:
        order = cls._of(attempt, Status.CONFIRMED, now)
        return replace(order, items=items, currency=currency)

    @classmethod
    def rejected(cls, attempt: Attempt, rejection: Rejection, now: datetime) -> Order:
        return replace(cls._of(attempt, Status.REJECTED, now), rejection=rejection)

    @classmethod
    def _of(cls, attempt: Attempt, status: Status, now: datetime) -> Order:
        return cls(
            attempt.order_id,
            attempt.customer_id,
            status,
            now,
            attempt.fingerprint,
            attempt.number,
            attempt.nonce,
            attempt.lines,
        )

    @property
    def reservation_id(self) -> str:
        return f"{self.order_id}.{self.attempt}.{self.fingerprint}"

    @property
    def total_price(self) -> int:
        return sum(item.unit_price * item.quantity for item in self.items)

    def made_by(self, attempt: Attempt) -> bool:
        """Written by this very delivery, so answering with it is no replay."""
        return self.nonce == attempt.nonce

    def owns_reservation_of(self, attempt: Attempt) -> bool:
        return self.status in LIVE and self.reservation_id == attempt.reservation_id

    def cancel(self) -> Order:
        """The first half: no stock has moved yet. Again on one that is being cancelled."""
        if self.status in (Status.PENDING, Status.CONFIRMED, Status.CANCELLING):
            return replace(self, status=Status.CANCELLING)
        if self.status is Status.CANCELLED:
            return self
        raise NotCancellableError(self)

    def released(self) -> Order:
        """The second half: its stock has been given back."""
        done = self.status is Status.CANCELLING
        return replace(self, status=Status.CANCELLED) if done else self


def is_order_id(text: str) -> bool:
    return bool(_ORDER_ID.fullmatch(text))


def merge(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line a product, sorted, so that equal bodies have equal fingerprints."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return tuple(sorted(Line(*item) for item in quantities.items()))
