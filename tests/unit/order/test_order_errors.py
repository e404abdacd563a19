"""What each error of the order's rules says: what happened, with names and numbers."""

from __future__ import annotations

from datetime import UTC, datetime

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

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order.new_pending(Attempt.begin("C1", (Line("P001", 2),), "key"), NOW)
REJECTION = Rejection("insufficient-stock", "Not enough in stock", {"lines": []})
OF_THE_ORDER = [
    (NotCancellableError(ORDER), "is pending and cannot be cancelled"),
    (
        NotCancellableError(ORDER, only_as_a_whole=True),
        "is pending and cannot be cancelled in part. Cancel it without items.",
    ),
    (NotFulfillableError(ORDER), "is pending and cannot be fulfilled"),
    (NotReturnableError(ORDER), "is pending, and nothing of it can be returned"),
    (NotConfirmableError(ORDER), "is pending and cannot be confirmed"),
    (
        OrderExpiredError(ORDER),
        "is cancelled, because its payment was not confirmed in time. Refund the payment.",
    ),
    (ExceedsRemainingError(ORDER, ["one", "another"]), "does not allow this: one; another"),
    (
        TooManyMovementsError(ORDER),
        (
            "has 100 changes of parts, which is the maximum. All units that are left can still be"
            " cancelled or fulfilled, in one request without items. Record goods that come back by"
            " an adjustment of the stock."
        ),
    ),
    (
        UnfinishedMovementError(ORDER),
        "has a movement that is not finished yet. Repeat the request.",
    ),
    (
        NewerRevisionError(ORDER),
        (
            "is pending: only a newer revision of order knows that status and may change the order."
            " Repeat the request later."
        ),
    ),
]
OTHERS = [
    (OrderNotFoundError("ORD1"), "There is no order ORD1"),
    (OrderRejectedError(REJECTION, None, replayed=False), "Not enough in stock"),
    (
        IdempotencyKeyReusedError(),
        "The Idempotency-Key was used for another order. Use a new key for this one",
    ),
    (
        IdempotencyKeyReusedError("change of this order"),
        "The Idempotency-Key was used for another change of this order. Use a new key for this one",
    ),
]


@pytest.mark.parametrize(("error", "detail"), OF_THE_ORDER, ids=lambda each: type(each).__name__)
def test_error_of_an_order_names_it_and_says_what_is_wrong(
    error: UnchangeableOrderError, detail: str
) -> None:
    assert str(error) == f"The order {ORDER.order_id} {detail}"
    assert error.order is ORDER


@pytest.mark.parametrize(("error", "message"), OTHERS, ids=lambda each: type(each).__name__)
def test_other_error_says_what_happened(error: OrderError, message: str) -> None:
    assert str(error) == message


def test_rejection_is_kept_with_the_order_and_whether_it_is_a_replay() -> None:
    error = OrderRejectedError(REJECTION, "ORD1", replayed=True)
    assert (error.rejection, error.order_id, error.replayed) == (REJECTION, "ORD1", True)


def test_every_error_has_a_message_here() -> None:
    mentioned = {type(error) for error, _ in OF_THE_ORDER}
    assert mentioned == set(UnchangeableOrderError.__subclasses__())
    others = {type(error) for error, _ in OTHERS}
    assert others == set(OrderError.__subclasses__()) - {UnchangeableOrderError}
