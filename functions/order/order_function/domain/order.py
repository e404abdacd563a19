"""Orders, and the rules by which they change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from functions_common import money
from functions_common.ids import random_id
from order_function.domain.attempt import ReservationName
from order_function.domain.details import NO_DETAILS
from order_function.domain.errors import (
    ExceedsRemainingError,
    IdempotencyKeyReusedError,
    NewerRevisionError,
    NotCancellableError,
    NotConfirmableError,
    NotFulfillableError,
    NotReturnableError,
    OrderExpiredError,
    OrderNotFoundError,
    TooManyMovementsError,
    UnchangeableOrderError,
    UnfinishedMovementError,
)
from order_function.domain.history import (
    EVENT_OF_MOVEMENT,
    EXPIRED,
    MAX_MOVEMENTS,
    RECONCILE,
    By,
    Event,
    EventType,
    Movement,
    MovementKind,
)
from order_function.domain.lines import MAX_TOTAL, Line, in_order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from order_function.domain.attempt import Attempt
    from order_function.domain.details import Details
    from order_function.domain.lines import PricedLine

ERASED = "erased"
"""The ``customer_id`` of orders whose customer was erased. No customer has it."""
PRICE_CHANGED = "price-changed"
"""The kind of a rejection because the order does not cost the ``expected_total``."""


class Status(StrEnum):
    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    CHANGING = "changing"
    """A movement of a part is decided, and inventory may not have applied it yet."""
    PARTIALLY_FULFILLED = "partially_fulfilled"
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
    (
        Status.PENDING,
        Status.AWAITING_PAYMENT,
        Status.CONFIRMED,
        Status.CHANGING,
        Status.PARTIALLY_FULFILLED,
        Status.FULFILLING,
        Status.FULFILLED,
    )
)
"""Statuses of an order whose reservation must not be released."""

MOVING_STATUSES = frozenset((Status.CANCELLING, Status.CHANGING, Status.FULFILLING))
"""Statuses in which a movement is decided, and inventory may not have applied it yet."""

_CANCELLABLE = frozenset(
    (Status.PENDING, Status.AWAITING_PAYMENT, Status.CONFIRMED, Status.PARTIALLY_FULFILLED)
)
_FULFILLABLE = frozenset((Status.CONFIRMED, Status.PARTIALLY_FULFILLED))
_CONFIRMED_AND_KEPT = KEEPS_RESERVATION - {Status.PENDING, Status.AWAITING_PAYMENT}
"""Statuses after the confirmation, in which the order keeps its reservation."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an order was rejected, in a form that can be stored and replayed."""

    kind: str
    detail: str
    extensions: dict[str, Any] = field(default_factory=dict)


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
    items: tuple[PricedLine, ...] = ()
    """The lines with prices. Empty until inventory has reserved them."""
    currency: str | None = None
    rejection: Rejection | None = None
    expected_total: int | None = None
    details: Details = NO_DETAILS
    expires_at: datetime | None = None
    """If the payment is not confirmed by then, ``reconcile`` cancels the order."""
    expired: bool = False
    """The order was cancelled because its payment was not confirmed in time."""
    history: tuple[Event, ...] = ()
    """Empty in documents of older revisions."""
    movement: Movement | None = None
    """The movement that inventory may not have applied yet. None in a status
    that is not in ``MOVING_STATUSES``."""
    last_movement: int = 0
    """The number of the last movement of a part; 0 if there was none."""
    updated_at: datetime | None = None
    """When the order last changed. None if it never did, or in documents of older revisions."""
    events_sent: int = 0
    """The number of events, from the beginning of the history, that were sent."""
    stored: Order | None = field(default=None, compare=False, repr=False)
    """The order that was read from the store; None for a new order. An update writes only the
    fields that differ, so fields that another revision added to items and lines stay."""

    @classmethod
    def new_reserved(
        cls, attempt: Attempt, items: tuple[PricedLine, ...], currency: str, now: datetime
    ) -> Self:
        """An order whose stock is reserved: confirmed, or rejected for its price.

        See ``confirm_or_reject``.
        """
        pending = cls.new_pending(attempt, now)
        decided = pending.confirm_or_reject(items, currency, attempt.actor, now)
        if decided.rejection is not None:
            return cls.new_rejected(attempt, decided.rejection, now)
        return decided

    @classmethod
    def new_rejected(cls, attempt: Attempt, rejection: Rejection, now: datetime) -> Self:
        """The request makes no order, so its history has only the rejection."""
        rejected = cls.new_pending(attempt, now).reject(rejection, attempt.actor, now)
        return replace(rejected, history=rejected.history[-1:])

    @classmethod
    def new_pending(cls, attempt: Attempt, now: datetime) -> Self:
        """An order for which inventory has not decided yet."""
        seconds = attempt.hold_seconds
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
            details=attempt.details,
            expires_at=None if seconds is None else now + timedelta(seconds=seconds),
            history=(Event(EventType.PLACED, now, attempt.actor),),
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

        None is a caller who may see the orders of all customers. An erased order belongs to no
        customer.
        """
        if customer_id is None:
            return
        if customer_id != self.customer_id or customer_id == ERASED:
            raise OrderNotFoundError(self.order_id)

    def erase_personal(self) -> Self:
        """Remove everything that says who the customer is, and all texts that people wrote.

        The shop's ``reference``, the lines, and the types and times of the history stay. So do the
        ids and digests that let a repeated request find its order.
        """
        if self.of_newer_revision:
            raise NewerRevisionError(self)
        return replace(
            self,
            customer_id=ERASED,
            details=self.details.without_personal(),
            history=tuple(event.without_personal() for event in self.history),
            movement=self.movement and self.movement.without_personal(),
        )

    def confirm_or_reject(
        self, items: tuple[PricedLine, ...], currency: str, actor: str, now: datetime
    ) -> Self:
        """Decide a pending order, whose stock is reserved at these prices.

        It is confirmed; or it awaits its payment; or it is rejected, because its total is not the
        expected one. An order of another status does not change.
        """
        if self.status is not Status.PENDING:
            return self
        awaits = self.expires_at is not None
        status, event = (
            (Status.AWAITING_PAYMENT, EventType.AWAITING_PAYMENT)
            if awaits
            else (Status.CONFIRMED, EventType.CONFIRMED)
        )
        items = in_order_of(self.lines, items)
        reserved = replace(
            self,
            status=status,
            items=items,
            currency=currency,
            history=(*self.history, Event(event, now, actor)),
        )
        total = reserved.total_price
        if self.expected_total is None or self.expected_total == total:
            return reserved
        costs, expected = (money.to_wire(each, currency) for each in (total, self.expected_total))
        detail = (
            f"The order costs {costs:f} {currency} now, not {expected:f}. To accept the new total,"
            " order again with it as expected_total and a new Idempotency-Key."
        )
        stored = total if total <= MAX_TOTAL else str(total)  # Firestore's integers have 64 bits
        rejection = Rejection(PRICE_CHANGED, detail, {"total_price": stored, "currency": currency})
        return self.reject(rejection, actor, now)

    def reject(self, rejection: Rejection, actor: str, now: datetime) -> Self:
        """Reject a pending order. An order of another status does not change."""
        if self.status is not Status.PENDING:
            return self
        rejected = replace(self, status=Status.REJECTED, rejection=rejection)
        return rejected.with_events(Event(EventType.REJECTED, now, actor, rejection.kind))

    def confirm_payment(self, by: By, now: datetime) -> Self:
        """Confirm an order that awaits its payment.

        Idempotent: a paid order does not change, even if it was cancelled afterwards.
        """
        if self.status is Status.AWAITING_PAYMENT:
            confirmed = replace(self, status=Status.CONFIRMED)
            return confirmed.with_events(Event(EventType.CONFIRMED, now, *by))
        if self.status in _CONFIRMED_AND_KEPT or self._was_paid_or_shipped:
            return self
        if self.expired:
            raise OrderExpiredError(self)
        raise self._refusal(NotConfirmableError)

    @property
    def _was_paid_or_shipped(self) -> bool:
        """A payment confirmed the order, or its goods were shipped without a payment first."""
        confirmed = any(event.type == EventType.CONFIRMED for event in self.history)
        return (self.expires_at is not None and confirmed) or any(
            line.fulfilled for line in self.lines
        )

    def begin_expiry(self, now: datetime) -> Self:
        """Begin to cancel an order whose payment was not confirmed in time.

        Any other order does not change.
        """
        if self.status is not Status.AWAITING_PAYMENT or not self.is_payment_overdue(now):
            return self
        movement = Movement(MovementKind.RELEASE, RECONCILE, EXPIRED)
        return replace(self, status=Status.CANCELLING, movement=movement, expired=True)

    def is_payment_overdue(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def begin_cancel(self, by: By) -> Self:
        """Begin to cancel everything that is open: the stock is released afterwards. Idempotent."""
        if self.status in (Status.CANCELLING, Status.CANCELLED) or self._rest_is_cancelled:
            return self
        self._require_no_open_part()
        if self.status not in _CANCELLABLE:
            raise self._refusal(NotCancellableError)
        movement = Movement(MovementKind.RELEASE, *by)
        return replace(self, status=Status.CANCELLING, movement=movement)

    @property
    def _rest_is_cancelled(self) -> bool:
        """Some units were fulfilled and the others cancelled, perhaps by this same request."""
        return self.status is Status.FULFILLED and any(line.cancelled for line in self.lines)

    def finish_cancel(self, now: datetime) -> Self:
        """Complete the cancellation, after the stock was released."""
        if self.status is not Status.CANCELLING:
            return self
        return self._finish_with_open_units(MovementKind.RELEASE, now)

    def begin_fulfil(self, by: By) -> Self:
        """Begin to fulfil everything that is open: the stock is consumed afterwards. Idempotent."""
        if self.status in (Status.FULFILLING, Status.FULFILLED):
            return self
        self._require_no_open_part()
        if self.status not in _FULFILLABLE:
            raise self._refusal(NotFulfillableError)
        movement = Movement(MovementKind.CONSUME, *by)
        return replace(self, status=Status.FULFILLING, movement=movement)

    def finish_fulfil(self, now: datetime) -> Self:
        """Complete the fulfilment, after the stock was counted as shipped."""
        if self.status is not Status.FULFILLING:
            return self
        return self._finish_with_open_units(MovementKind.CONSUME, now)

    def begin_movement(
        self, kind: MovementKind, wanted: Mapping[str, int], by: By, key: str
    ) -> Self:
        """Begin to move a part of the order: inventory moves the stock afterwards.

        ``wanted``: units by line id. Empty, with RESTOCK: all units that can come back. ``key``: a
        digest of the request's idempotency key. A repeated request does not change the order.
        """
        lines, excess = self._units(kind, wanted)
        known = len(lines) == len(wanted)
        if self._has_movement(kind, lines if wanted else None, key, all_known=known):
            return self
        self._require_no_open_part()
        self._check_movable(kind)
        if excess:
            raise ExceedsRemainingError(self, excess)
        if not lines:
            raise self._refusal(NotReturnableError)
        if self.last_movement >= MAX_MOVEMENTS:
            raise TooManyMovementsError(self)
        number = self.last_movement + 1
        movement = Movement(kind, *by, number=number, lines=lines, key=key)
        return replace(self, status=Status.CHANGING, movement=movement, last_movement=number)

    def finish_movement(self, number: int, now: datetime) -> Self:
        """Complete the movement of this number, after inventory has applied it.

        If another process has completed it, the order does not change.
        """
        movement = self.movement
        if self.status is not Status.CHANGING or movement is None or movement.number != number:
            return self
        units = {line.product_id: line.quantity for line in movement.lines}
        event = Event(
            EVENT_OF_MOVEMENT[movement.kind],
            now,
            *movement.by,
            lines=movement.lines,
            key=movement.key,
        )
        return self._finish(_COUNT_MOVED[movement.kind], units, now, [event])

    def _finish_with_open_units(self, kind: MovementKind, now: datetime) -> Self:
        """Complete a movement of everything that is open."""
        units = {line.product_id: line.open for line in self.lines if line.open}
        if not any(line.has_moved for line in self.lines):
            return self._finish(_COUNT_MOVED[kind], units, now, [])
        lines = tuple(sorted(Line(*each) for each in units.items()))
        return self._finish(
            _COUNT_MOVED[kind],
            units,
            now,
            [Event(EVENT_OF_MOVEMENT[kind], now, *self._mover, lines=lines)],
        )

    def _finish(
        self,
        move: Callable[[Line, int], Line],
        units: Mapping[str, int],
        now: datetime,
        events: list[Event],
    ) -> Self:
        """Complete the open movement: count the units, and record the events.

        If the movement leaves no open unit, the order is cancelled or fulfilled, which is an event
        too.
        """
        lines = tuple(move(line, units.get(line.product_id, 0)) for line in self.lines)
        status = _status_by_counts(lines)
        if status in _FINAL_EVENTS and any(line.open for line in self.lines):
            events.append(Event(_FINAL_EVENTS[status], now, *self._mover))
        moved = replace(self, lines=lines, status=status, movement=None)
        return moved.with_events(*events)

    @property
    def _mover(self) -> By:
        """Who began the open movement. An older revision did not record it."""
        return self.movement.by if self.movement else By(RECONCILE)

    def with_events(self, *events: Event) -> Self:
        return replace(self, history=(*self.history, *events))

    def require_key_changed_no_part(self, key: str | None) -> None:
        """Raise IdempotencyKeyReusedError if a request with this key has changed a part."""
        keys = {each.key for each in (self.movement, *self.history) if each is not None}
        if key is not None and key in keys:
            raise IdempotencyKeyReusedError("change of this order")

    def _has_movement(
        self,
        kind: MovementKind,
        lines: tuple[Line, ...] | None,
        key: str,
        *,
        all_known: bool,
    ) -> bool:
        """Whether the key made this movement. Raises IdempotencyKeyReusedError for another one.

        ``lines``: None if the request names no lines. Such a request moves whatever can come back
        at that moment, so a repeat has the same key and kind, but perhaps other lines.
        ``all_known``: the order has every line of the request.
        """
        made: Movement | Event | None = self.movement
        if made is None or made.key != key:
            made = next((each for each in self.history if each.key == key), None)
        if made is None:
            return False
        made_kind = EVENT_OF_MOVEMENT[made.kind] if isinstance(made, Movement) else made.type
        same_lines = lines is None or (all_known and sorted(made.lines) == sorted(lines))
        if made_kind != EVENT_OF_MOVEMENT[kind] or not same_lines:
            raise IdempotencyKeyReusedError("change of this order")
        return True

    def _require_no_open_part(self) -> None:
        if self.status is Status.CHANGING:
            raise UnfinishedMovementError(self)

    def _check_movable(self, kind: MovementKind) -> None:
        if kind is MovementKind.RESTOCK:
            if self.status not in (Status.PARTIALLY_FULFILLED, Status.FULFILLED):
                raise self._refusal(NotReturnableError)
        elif self.status not in _FULFILLABLE:
            if kind is MovementKind.CONSUME:
                raise self._refusal(NotFulfillableError)
            as_a_whole = self.status in _CANCELLABLE
            raise self._refusal(partial(NotCancellableError, only_as_a_whole=as_a_whole))

    def _units(
        self, kind: MovementKind, wanted: Mapping[str, int]
    ) -> tuple[tuple[Line, ...], list[str]]:
        """The units to move, and why some of them cannot be moved."""
        lines = dict(self.lines_by_id())
        if not wanted:
            returnable = ((line.product_id, line.fulfilled - line.returned) for line in self.lines)
            return tuple(sorted(Line(*each) for each in returnable if each[1])), []
        excess = [f"it has no line {line_id}" for line_id in wanted if line_id not in lines]
        units = []
        for line_id, quantity in wanted.items():
            if line := lines.get(line_id):
                units.append(Line(line.product_id, quantity))
                excess += _excess(kind, line_id, line, quantity)
        return tuple(sorted(units)), excess

    def lines_by_id(self) -> list[tuple[str, Line]]:
        """The id of a line is its place in the order, counted from 1."""
        return [(str(place), line) for place, line in enumerate(self.lines, 1)]

    def _refusal(self, error: Callable[[Order], UnchangeableOrderError]) -> UnchangeableOrderError:
        return NewerRevisionError(self) if self.of_newer_revision else error(self)


def _excess(kind: MovementKind, line_id: str, line: Line, quantity: int) -> list[str]:
    """Why so many units of the line cannot be moved; empty if they can."""
    restock = kind is MovementKind.RESTOCK
    left = line.fulfilled - line.returned if restock else line.open
    if quantity <= left:
        return []
    can = "can come back" if restock else "are left"
    requested = f"line {line_id} ({line.product_id}): {quantity:,} requested"
    return [f"{requested}, and {left:,} of {line.quantity:,} {can}"]


def _status_by_counts(lines: tuple[Line, ...]) -> Status:
    fulfilled = any(line.fulfilled for line in lines)
    if any(line.open for line in lines):
        return Status.PARTIALLY_FULFILLED if fulfilled else Status.CONFIRMED
    return Status.FULFILLED if fulfilled else Status.CANCELLED


_COUNT_MOVED: dict[MovementKind, Callable[[Line, int], Line]] = {
    MovementKind.RELEASE: Line.cancel,
    MovementKind.CONSUME: Line.fulfil,
    MovementKind.RESTOCK: Line.take_back,
}
_FINAL_EVENTS: dict[str, EventType] = {
    Status.CANCELLED: EventType.CANCELLED,
    Status.FULFILLED: EventType.FULFILLED,
}
