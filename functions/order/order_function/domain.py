"""Orders, and what may become of them. Nothing here knows of HTTP or Firestore.

OrderError                        why a request about an order was refused
├── OrderNotFoundError            there is no such order, or it is another customer's
├── OrderRejectedError            inventory refused it; under a key that is final
├── NotCancellableError           it was rejected, or the goods have left
├── NotFulfillableError           it is not confirmed: there is nothing to send
├── NewerRevisionError            its status is one that only a newer revision knows
└── IdempotencyKeyReusedError     the key belongs to another body
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from functions_common.ids import ID_LENGTH, digest_id, random_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_LINES = 100
MAX_QUANTITY = 1_000_000
MAX_TOTAL = 10**18
"""In minor units: the largest ``expected_total``. Firestore's integers end a little above it."""

_DIGEST = rf"[0-9A-HJKMNP-TV-Z]{{{ID_LENGTH}}}"
_ORDER_ID = re.compile(rf"ORD{_DIGEST}")
_RESERVATION_ID = re.compile(rf"(ORD{_DIGEST})\.(0|[1-9][0-9]{{0,8}})\.({_DIGEST})")


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


class NotFulfillableError(OrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(f"The order {order.order_id} is {order.status} and cannot be fulfilled")


class NewerRevisionError(OrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(
            f"The order {order.order_id} is {order.status}: only a newer revision of order knows"
            " that status and may change the order. Repeat the request later."
        )


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
    ABANDONED = "abandoned"
    """An attempt that died before it was an order. Nobody sees it; the next one replaces it."""


class NewerStatus(str):
    """A status that only a newer revision knows. It is shown; this revision changes nothing."""

    __slots__ = ()


_STATUSES: dict[str, Status] = {status.value: status for status in Status}


def status_of(text: str) -> Status | NewerStatus:
    return _STATUSES.get(text) or NewerStatus(text)


PUBLIC = tuple(status for status in Status if status is not Status.ABANDONED)

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
class ReservationName:
    """A reservation belongs to one attempt of one body: two bodies never meet in inventory."""

    order_id: str
    attempt: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.order_id}.{self.attempt}.{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for one that no order has named."""
        match = _RESERVATION_ID.fullmatch(text)
        return cls(match[1], int(match[2]), match[3]) if match else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one body at becoming an order; all of it is chosen before the first call."""

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    keyed: bool
    nonce: str
    """Of this delivery: it tells its own writes from those of another delivery of the same body."""
    expected_total: int | None = None
    """In minor units: what the customer was shown. None: whatever it costs."""
    number: int = 0

    @property
    def fingerprint(self) -> str:
        """Of all that the body says, so that a body that says no more than before keeps its own."""
        lines = (part for line in self.lines for part in (line.product_id, str(line.quantity)))
        total = [] if self.expected_total is None else [f"total={self.expected_total}"]
        return digest_id(self.customer_id, *lines, *total)

    @property
    def reservation_id(self) -> str:
        return str(ReservationName(self.order_id, self.number, self.fingerprint))

    @classmethod
    def begin(
        cls,
        customer_id: str,
        lines: Iterable[Line],
        key: str | None,
        expected_total: int | None = None,
    ) -> Self:
        order_id = random_id() if key is None else digest_id(customer_id, key)
        return cls(
            f"ORD{order_id}",
            customer_id,
            merge(lines),
            keyed=key is not None,
            nonce=random_id(),
            expected_total=expected_total,
        )

    def after(self, abandoned: Order) -> Self:
        """The next attempt: what the abandoned one reserved is given back, never taken over."""
        return replace(self, number=max(self.number, abandoned.attempt) + 1)


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    customer_id: str
    """Empty in an abandoned order: a reservation does not tell whose it was."""
    status: Status | NewerStatus
    created_at: datetime
    fingerprint: str
    attempt: int
    nonce: str
    lines: tuple[Line, ...]
    items: tuple[Item, ...] = ()
    """The lines with prices; empty until inventory has reserved them."""
    currency: str | None = None
    rejection: Rejection | None = None
    expected_total: int | None = None
    stored: Order | None = field(default=None, compare=False, repr=False)
    """The order as it was read: an update writes the differences only, so that fields which
    another revision added to items and lines stay. None for an order that is not stored yet."""

    @classmethod
    def reserved(
        cls, attempt: Attempt, items: tuple[Item, ...], currency: str, now: datetime
    ) -> Self:
        """Confirmed at these prices; rejected where the customer was shown others."""
        return cls.pending(attempt, now).complete(items, currency)

    @classmethod
    def rejected(cls, attempt: Attempt, rejection: Rejection, now: datetime) -> Self:
        return cls.pending(attempt, now).reject(rejection)

    @classmethod
    def pending(cls, attempt: Attempt, now: datetime) -> Self:
        """Nothing is known of its stock yet."""
        return cls(
            attempt.order_id,
            attempt.customer_id,
            Status.PENDING,
            now,
            attempt.fingerprint,
            attempt.number,
            attempt.nonce,
            attempt.lines,
            expected_total=attempt.expected_total,
        )

    @classmethod
    def abandoned(cls, name: ReservationName, now: datetime) -> Self:
        """In place of the order that the reservation was made for, and that nobody has written."""
        return cls(
            name.order_id,
            "",
            Status.ABANDONED,
            now,
            name.fingerprint,
            name.attempt,
            nonce=random_id(),
            lines=(),
        )

    @property
    def reservation_id(self) -> str:
        return str(ReservationName(self.order_id, self.attempt, self.fingerprint))

    @property
    def total_price(self) -> int:
        return sum(item.unit_price * item.quantity for item in self.items)

    @property
    def newer(self) -> bool:
        """Its status is a newer revision's: this one must leave the order and its stock alone."""
        return isinstance(self.status, NewerStatus)

    @property
    def live(self) -> bool:
        return self.newer or self.status in LIVE

    def made_by(self, attempt: Attempt) -> bool:
        """Written by this very delivery, so answering with it is no replay."""
        return self.nonce == attempt.nonce

    def owns(self, reservation_id: str) -> bool:
        """Whether it is the order's to keep."""
        return self.live and self.reservation_id == reservation_id

    def gives_way_to(self, attempt: Attempt | ReservationName) -> bool:
        """An attempt of the same body died: the next one may follow."""
        return self.status is Status.ABANDONED and self.fingerprint == attempt.fingerprint

    def seen_by(self, customer_id: str | None) -> Self:
        """Itself, to the customer whose it is; to another there is no such order.

        None is somebody who may see them all.
        """
        if customer_id not in (None, self.customer_id):
            raise OrderNotFoundError(self.order_id)
        return self

    def complete(self, items: tuple[Item, ...], currency: str) -> Self:
        """Its stock is reserved, at these prices. One that is not pending stays as it is."""
        if self.status is not Status.PENDING:
            return self
        confirmed = replace(self, status=Status.CONFIRMED, items=items, currency=currency)
        total = confirmed.total_price
        if self.expected_total in (None, total):
            return confirmed
        detail = "The price has changed since: see total_price, and order again at that price"
        stored = total if total <= MAX_TOTAL else str(total)
        return self.reject(
            Rejection("price-changed", detail, {"total_price": stored, "currency": currency})
        )

    def reject(self, rejection: Rejection) -> Self:
        """Inventory has refused it. One that is not pending stays as it is."""
        if self.status is not Status.PENDING:
            return self
        return replace(self, status=Status.REJECTED, rejection=rejection)

    def cancel(self) -> Self:
        """The first half: no stock has moved yet. Again on one that is being cancelled."""
        if self.status in (Status.PENDING, Status.CONFIRMED, Status.CANCELLING):
            return replace(self, status=Status.CANCELLING)
        if self.status is Status.CANCELLED:
            return self
        raise NewerRevisionError(self) if self.newer else NotCancellableError(self)

    def released(self) -> Self:
        """The second half: its stock has been given back."""
        done = self.status is Status.CANCELLING
        return replace(self, status=Status.CANCELLED) if done else self

    def fulfil(self) -> Self:
        """The first half: the goods are about to leave. Again on one that is being fulfilled."""
        if self.status in (Status.CONFIRMED, Status.FULFILLING):
            return replace(self, status=Status.FULFILLING)
        if self.status is Status.FULFILLED:
            return self
        raise NewerRevisionError(self) if self.newer else NotFulfillableError(self)

    def consumed(self) -> Self:
        """The second half: its stock is counted as shipped."""
        done = self.status is Status.FULFILLING
        return replace(self, status=Status.FULFILLED) if done else self


def is_order_id(text: str) -> bool:
    return bool(_ORDER_ID.fullmatch(text))


def merge(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line a product, sorted, so that equal bodies have equal fingerprints."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return tuple(sorted(Line(*item) for item in quantities.items()))
