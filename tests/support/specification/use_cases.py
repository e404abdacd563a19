"""The code that stands for each program of the specification, with the response of its client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from specification import documents as spec
from specification.documents import Attempt, OrderStatus, Status

from functions_common.firestore.errors import StoreError
from functions_common.runtime.deadlines import DeadlineExceededError
from order_function import domain as order
from order_function.ports import (
    HeldReservation,
    InventoryFailedError,
    OverdueOrder,
    UnfinishedOrder,
)
from order_function.service import OrderOutcomeUnknownError, Orders, UnfinishedChangeError
from support.specification.replay import Replay
from support.specification.translation import (
    NOW,
    REJECTIONS,
    order_id,
    real_attempt,
)
from support.stores.builders import BY

if TYPE_CHECKING:
    from specification.traces import Trace

Request = Callable[[Replay], Status | None]
NO_RESPONSE = (
    OrderOutcomeUnknownError,
    StoreError,
    InventoryFailedError,
    DeadlineExceededError,
    UnfinishedChangeError,
)
"""The client learns nothing about its order, and repeats the request."""


def place(orders: Orders, attempt: Attempt, respond_async: bool = False) -> Status | None:  # noqa: FBT001, FBT002
    try:
        placed = orders.place(real_attempt(attempt), respond_async=respond_async)
    except order.IdempotencyKeyReusedError:
        return Status.KEY_REUSED
    except order.OrderRejectedError as error:
        return REJECTIONS[error.rejection.kind]
    except NO_RESPONSE:
        return None
    pending = placed.order.status is order.Status.PENDING
    return Status.ACCEPTED if pending else Status.CREATED


def cancel(orders: Orders, key: str) -> Status | None:
    try:
        cancelled = orders.cancel(order_id(key), BY)
    except order.NotCancellableError:
        return Status.NOT_CANCELLABLE
    except (order.OrderNotFoundError, *NO_RESPONSE):
        return None
    return None if cancelled.status is order.Status.CANCELLING else Status.CANCELLED


def fulfil(orders: Orders, key: str) -> Status | None:
    try:
        fulfilled = orders.fulfil(order_id(key), BY)
    except (order.OrderNotFoundError, order.NotFulfillableError, *NO_RESPONSE):
        return None
    return None if fulfilled.status is order.Status.FULFILLING else Status.FULFILLED


def confirm(orders: Orders, key: str) -> Status | None:
    try:
        orders.confirm(order_id(key), BY)
    except order.OrderExpiredError:
        return Status.EXPIRED
    except order.NotConfirmableError as error:
        pending = error.order.status is order.Status.PENDING
        return None if pending else Status.NOT_CONFIRMABLE
    except (order.OrderNotFoundError, *NO_RESPONSE):
        return None
    return Status.PAID


UNDECIDED = (order.Status.PENDING, order.Status.AWAITING_PAYMENT)


def move(orders: Orders, key: str, change: spec.Change) -> Status | None:
    kind, wanted = order.MovementKind(change.kind), {"1": change.units}
    try:
        moved = orders.change_part(order_id(key), kind, wanted, BY, change.request)
    except order.UnchangeableOrderError as error:
        return None if error.order.status in UNDECIDED else Status.NOT_MOVABLE
    except (order.OrderNotFoundError, *NO_RESPONSE):
        return None
    return None if moved.status is order.Status.CHANGING else Status.MOVED


def requests_of(trace: Trace) -> list[Request]:
    """The code that the process of the trace stands for. It can be more than one."""
    name, arguments = trace.process.program.__name__, trace.process.arguments
    if name == "place":
        attempt, *rest = arguments
        return [lambda replay: place(replay.orders, attempt, rest[-1] if rest else False)]
    if name in ("cancel", "fulfil"):
        key, *by_client = arguments
        if by_client == [False]:
            status = OrderStatus.CANCELLING if name == "cancel" else OrderStatus.FULFILLING
            return [_finishing(key, status)]
        use_case = cancel if name == "cancel" else fulfil
        return [lambda replay: use_case(replay.orders, key)]
    if name == "confirm":
        return [lambda replay: confirm(replay.orders, *arguments)]
    if name == "move":
        return [lambda replay: move(replay.orders, *arguments)]
    if name == "publish":
        return [Replay.publish_after_response, Replay.publish_as_reconcile]
    return [_SWEEPS[name](*arguments)]


def _finishing(key: str, status: OrderStatus) -> Request:
    """A sweep that has found an unfinished order."""
    seen = replace(_seen(key), status=order.Status(status))
    return lambda replay: replay.sweep(
        unfinished=UnfinishedOrder(order_id(key), seen, timedelta(days=1))
    )


def _expiring(key: str) -> Request:
    return lambda replay: replay.sweep(overdue=OverdueOrder(order_id(key), _seen(key), NOW))


def _settling(attempt: Attempt) -> Request:
    name = real_attempt(attempt).reservation_id
    held = HeldReservation(name, order.ReservationName.parse(name), timedelta(days=1))
    return lambda replay: replay.sweep(held=held)


def _seen(key: str) -> order.Order:
    return order.Order.new_pending(real_attempt(Attempt(key, 0, spec.Body("x"))), NOW)


_SWEEPS: dict[str, Callable[[Any], Request]] = {
    "expire": _expiring,
    "settle_reservation": _settling,
    "complete_pending": lambda key: _finishing(key, OrderStatus.PENDING),
    "close_movement": lambda key: _finishing(key, OrderStatus.CHANGING),
}
