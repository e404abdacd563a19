"""What each error of the order's rules says: what happened, with names and numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from order_function.domain import (
    Attempt,
    ExceedsRemainingError,
    IdempotencyKeyReusedError,
    Line,
    NewerRevisionError,
    NotCancellableError,
    NotConfirmableError,
    NotFulfillableError,
    NotReturnableError,
    Order,
    OrderError,
    OrderExpiredError,
    OrderNotFoundError,
    OrderRejectedError,
    Rejection,
    TooManyMovementsError,
    UnchangeableOrderError,
    UnfinishedMovementError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order.new_pending(Attempt.begin("C1", (Line("P001", 2),), "key"), NOW)
REJECTION = Rejection("insufficient-stock", "Not enough in stock", {"lines": []})
OF_THE_ORDER: list[tuple[Callable[[], UnchangeableOrderError], str]] = [
    (lambda: NotCancellableError(ORDER), "is pending and cannot be cancelled"),
    (
        lambda: NotCancellableError(ORDER, only_as_a_whole=True),
        "is pending and cannot be cancelled in part. Cancel it without items.",
    ),
    (lambda: NotFulfillableError(ORDER), "is pending and cannot be fulfilled"),
    (lambda: NotReturnableError(ORDER), "is pending, and nothing of it can be returned"),
    (lambda: NotConfirmableError(ORDER), "is pending and cannot be confirmed"),
    (
        lambda: OrderExpiredError(ORDER),
        "is cancelled, because its payment was not confirmed in time. Refund the payment.",
    ),
    (lambda: ExceedsRemainingError(ORDER, ["one", "another"]), "does not allow this: one; another"),
    (
        lambda: TooManyMovementsError(ORDER),
        (
            "has 100 changes of parts, which is the maximum. All units that are left can still be"
            " cancelled or fulfilled, in one request without items. Record goods that come back by"
            " an adjustment of the stock."
        ),
    ),
    (
        lambda: UnfinishedMovementError(ORDER),
        "has a movement that is not finished yet. Repeat the request.",
    ),
    (
        lambda: NewerRevisionError(ORDER),
        (
            "is pending: only a newer revision of order knows that status and may change the order."
            " Repeat the request later."
        ),
    ),
]
OTHERS: list[tuple[Callable[[], OrderError], str]] = [
    (lambda: OrderNotFoundError("ORD1"), "There is no order ORD1"),
    (lambda: OrderRejectedError(REJECTION, None, replayed=False), "Not enough in stock"),
    (
        IdempotencyKeyReusedError,
        "The Idempotency-Key was used for another order. Use a new key for this one",
    ),
    (
        lambda: IdempotencyKeyReusedError("change of this order"),
        "The Idempotency-Key was used for another change of this order. Use a new key for this one",
    ),
]


@pytest.mark.parametrize(("make", "detail"), OF_THE_ORDER)
def test_error_of_an_order_names_it_and_says_what_is_wrong(
    make: Callable[[], UnchangeableOrderError], detail: str
) -> None:
    error = make()
    assert str(error) == f"The order {ORDER.order_id} {detail}"
    assert error.order is ORDER


@pytest.mark.parametrize(("make", "message"), OTHERS)
def test_other_error_says_what_happened(make: Callable[[], OrderError], message: str) -> None:
    assert str(make()) == message


def test_rejection_is_kept_with_the_order_and_whether_it_is_a_replay() -> None:
    error = OrderRejectedError(REJECTION, "ORD1", replayed=True)
    assert (error.rejection, error.order_id, error.replayed) == (REJECTION, "ORD1", True)


def test_every_error_has_a_message_here() -> None:
    mentioned = {type(make()) for make, _ in OF_THE_ORDER}
    assert mentioned == set(UnchangeableOrderError.__subclasses__())
    others = {type(make()) for make, _ in OTHERS}
    assert others == set(OrderError.__subclasses__()) - {UnchangeableOrderError}
