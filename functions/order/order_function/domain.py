"""Orders, and the rules by which they change. This module imports no HTTP and no Firestore.

Errors of the domain:

OrderError
├── OrderNotFoundError            the order does not exist, or belongs to another customer
├── OrderRejectedError            stock or price did not allow it; with a key this is final
├── NotCancellableError           the order was rejected, or its goods are shipped or about to be
├── NotFulfillableError           the order is not confirmed
├── NewerRevisionError            only a newer revision of order knows the order's status
└── IdempotencyKeyReusedError     the key was used with another body
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from functions_common import money
from functions_common.ids import ID_LENGTH, digest_id, random_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

MAX_LINES = 100
MAX_QUANTITY = 1_000_000
MAX_TOTAL = 10**18
"""The largest ``expected_total``, in minor units. Firestore's integers end a little above it."""
PRICE_CHANGED = "price-changed"
"""The kind of a rejection because the order does not cost the ``expected_total``."""

_DIGEST = rf"[0-9A-HJKMNP-TV-Z]{{{ID_LENGTH}}}"
_ORDER_ID = re.compile(rf"ORD{_DIGEST}")
_RESERVATION_ID = re.compile(rf"(ORD{_DIGEST})\.(0|[1-9][0-9]{{0,8}})\.({_DIGEST})")


class OrderError(Exception):
    """Base of the errors that the docstring of this module lists."""


class OrderNotFoundError(OrderError):
    def __init__(self, order_id: str) -> None:
        super().__init__(f"There is no order {order_id}")


class OrderRejectedError(OrderError):
    def __init__(self, rejection: Rejection, order_id: str | None, *, replayed: bool) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection
        self.order_id = order_id
        """None if no document was written: a rejected order without a key is not stored."""
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
        super().__init__(
            "The Idempotency-Key was used for another order. Use a new key for this one"
        )


class Status(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FULFILLING = "fulfilling"
    FULFILLED = "fulfilled"
    ABANDONED = "abandoned"
    """The abandoned mark: ``reconcile`` found the reservation of this attempt without an order.

    The process had ended, or was slow.

    No client sees it. The order of the next attempt replaces it.
    """


class NewerStatus(str):
    """A status that only a newer revision knows.

    This revision shows such an order, but never changes it.
    """

    __slots__ = ()


_STATUSES: dict[str, Status] = {status.value: status for status in Status}


def parse_status(text: str) -> Status | NewerStatus:
    return _STATUSES.get(text) or NewerStatus(text)


PUBLIC_STATUSES = tuple(status for status in Status if status is not Status.ABANDONED)

KEEPS_RESERVATION = frozenset(
    (Status.PENDING, Status.CONFIRMED, Status.FULFILLING, Status.FULFILLED)
)
"""Statuses of an order whose reservation must not be released."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    product_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Item:
    """A line as inventory reserved it. Later changes of the catalogue do not change it."""

    product_id: str
    quantity: int
    unit_price: int
    """In minor units."""
    name: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an order was rejected, in a form that can be stored and replayed."""

    kind: str
    detail: str
    extensions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReservationName:
    """The parts of a reservation's id: ``order_id.attempt.fingerprint``.

    A reservation belongs to one attempt of one body, so two bodies never share a reservation.
    """

    order_id: str
    attempt_number: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.order_id}.{self.attempt_number}.{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if the id has another form, so that it belongs to no order."""
        match = _RESERVATION_ID.fullmatch(text)
        return cls(match[1], int(match[2]), match[3]) if match else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run through the steps of placing an order.

    All fields are chosen before the first remote call.
    """

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    """One line a product, sorted: see ``merge_lines``."""
    fingerprint: str
    """A digest of the body: of customer, lines and expected total."""
    keyed: bool
    nonce: str
    """Identifies this delivery, so that it can recognize its own writes."""
    expected_total: int | None = None
    """In minor units: the total that the customer saw. None accepts any total."""
    number: int = 0

    @property
    def reservation_id(self) -> str:
        return str(ReservationName(self.order_id, self.number, self.fingerprint))

    @classmethod
    def begin(
        cls,
        customer_id: str,
        lines: Collection[Line],
        key: str | None,
        expected_total: int | None = None,
    ) -> Self:
        """The first attempt. ``lines`` must be merged: see ``merge_lines``."""
        order_id = random_id() if key is None else digest_id(customer_id, key)
        return cls(
            f"ORD{order_id}",
            customer_id,
            tuple(lines),
            _fingerprint(customer_id, lines, expected_total),
            keyed=key is not None,
            nonce=random_id(),
            expected_total=expected_total,
        )

    def after(self, abandoned: Order) -> Self:
        """The next attempt. It never takes over the reservation of the abandoned attempt."""
        return replace(self, number=max(self.number, abandoned.attempt_number) + 1)


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    customer_id: str
    """Empty in an abandoned mark: a reservation does not record its customer."""
    status: Status | NewerStatus
    created_at: datetime
    fingerprint: str
    attempt_number: int
    nonce: str
    lines: tuple[Line, ...]
    items: tuple[Item, ...] = ()
    """The lines with prices. Empty until inventory has reserved them."""
    currency: str | None = None
    rejection: Rejection | None = None
    expected_total: int | None = None
    stored: Order | None = field(default=None, compare=False, repr=False)
    """The order that was read from the store; None for a new order. An update writes only the
    fields that differ, so fields that another revision added to items and lines stay."""

    @classmethod
    def new_reserved(
        cls, attempt: Attempt, items: tuple[Item, ...], currency: str, now: datetime
    ) -> Self:
        """An order whose stock is reserved: confirmed, or rejected for its price.

        See ``confirm_or_reject``.
        """
        return cls.new_pending(attempt, now).confirm_or_reject(items, currency)

    @classmethod
    def new_rejected(cls, attempt: Attempt, rejection: Rejection, now: datetime) -> Self:
        return cls.new_pending(attempt, now).reject(rejection)

    @classmethod
    def new_pending(cls, attempt: Attempt, now: datetime) -> Self:
        """An order for which inventory has not decided yet."""
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
    def new_abandoned_mark(cls, name: ReservationName, now: datetime) -> Self:
        """The abandoned mark: it takes the place of the order that the reservation was made for."""
        return cls(
            name.order_id,
            "",
            Status.ABANDONED,
            now,
            name.fingerprint,
            name.attempt_number,
            nonce=random_id(),
            lines=(),
        )

    @property
    def reservation_id(self) -> str:
        return str(ReservationName(self.order_id, self.attempt_number, self.fingerprint))

    @property
    def total_price(self) -> int:
        return sum(item.unit_price * item.quantity for item in self.items)

    @property
    def of_newer_revision(self) -> bool:
        """Only a newer revision may change the order or its stock."""
        return isinstance(self.status, NewerStatus)

    @property
    def keeps_reservation(self) -> bool:
        return self.of_newer_revision or self.status in KEEPS_RESERVATION

    @property
    def rejected_for_price(self) -> bool:
        """The order was rejected although its stock was reserved."""
        return self.rejection is not None and self.rejection.kind == PRICE_CHANGED

    def was_written_by(self, attempt: Attempt) -> bool:
        """Whether this delivery wrote the document; if so, the response is not a replay."""
        return self.nonce == attempt.nonce

    def owns(self, reservation_id: str) -> bool:
        """Whether the order needs this reservation, so that it must not be released."""
        return self.keeps_reservation and self.reservation_id == reservation_id

    def can_be_replaced_by(self, attempt: Attempt | ReservationName) -> bool:
        """Whether this is the abandoned mark of an attempt of the same body."""
        return self.status is Status.ABANDONED and self.fingerprint == attempt.fingerprint

    def require_customer(self, customer_id: str | None) -> None:
        """Raise OrderNotFoundError if the order belongs to another customer.

        None is a caller who may see the orders of all customers.
        """
        if customer_id not in (None, self.customer_id):
            raise OrderNotFoundError(self.order_id)

    def confirm_or_reject(self, items: tuple[Item, ...], currency: str) -> Self:
        """Confirm a pending order at these prices; reject it if its total is not the expected one.

        An order of another status does not change.
        """
        if self.status is not Status.PENDING:
            return self
        confirmed = replace(self, status=Status.CONFIRMED, items=items, currency=currency)
        total = confirmed.total_price
        if self.expected_total is None or self.expected_total == total:
            return confirmed
        now, expected = (money.to_wire(each, currency) for each in (total, self.expected_total))
        detail = (
            f"The order costs {now:f} {currency} now, not {expected:f}. To accept the new total,"
            " order again with it as expected_total and a new Idempotency-Key."
        )
        stored = total if total <= MAX_TOTAL else str(total)  # Firestore's integers have 64 bits
        return self.reject(
            Rejection(PRICE_CHANGED, detail, {"total_price": stored, "currency": currency})
        )

    def reject(self, rejection: Rejection) -> Self:
        """Reject a pending order. An order of another status does not change."""
        if self.status is not Status.PENDING:
            return self
        return replace(self, status=Status.REJECTED, rejection=rejection)

    def begin_cancel(self) -> Self:
        """Begin to cancel: the stock is released afterwards. Idempotent."""
        if self.status in (Status.PENDING, Status.CONFIRMED, Status.CANCELLING):
            return replace(self, status=Status.CANCELLING)
        if self.status is Status.CANCELLED:
            return self
        raise NewerRevisionError(self) if self.of_newer_revision else NotCancellableError(self)

    def finish_cancel(self) -> Self:
        """Complete the cancellation, after the stock was released."""
        done = self.status is Status.CANCELLING
        return replace(self, status=Status.CANCELLED) if done else self

    def begin_fulfil(self) -> Self:
        """Begin to fulfil: the stock is consumed afterwards. Idempotent."""
        if self.status in (Status.CONFIRMED, Status.FULFILLING):
            return replace(self, status=Status.FULFILLING)
        if self.status is Status.FULFILLED:
            return self
        raise NewerRevisionError(self) if self.of_newer_revision else NotFulfillableError(self)

    def finish_fulfil(self) -> Self:
        """Complete the fulfilment, after the stock was counted as shipped."""
        done = self.status is Status.FULFILLING
        return replace(self, status=Status.FULFILLED) if done else self


def _fingerprint(customer_id: str, lines: Iterable[Line], expected_total: int | None) -> str:
    """A digest of a body.

    It leaves out fields that the body does not use. So a new optional field does not change the
    fingerprint of an old body.
    """
    parts = (part for line in lines for part in (line.product_id, str(line.quantity)))
    total = [] if expected_total is None else [f"total={expected_total}"]
    return digest_id(customer_id, *parts, *total)


def is_order_id(text: str) -> bool:
    return bool(_ORDER_ID.fullmatch(text))


def merge_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line a product, sorted, so that equal bodies have equal fingerprints."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return tuple(sorted(Line(*item) for item in quantities.items()))
