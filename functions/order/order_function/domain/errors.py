"""The errors of the domain.

OrderError
├── OrderNotFoundError            the order does not exist, or belongs to another customer
├── OrderRejectedError            stock or price did not allow it; with a key this is final
├── IdempotencyKeyReusedError     the key was used with another body
└── UnchangeableOrderError        the order is in a status, or has counts, that forbid the change
    ├── NotCancellableError       it was rejected, or its goods are shipped or about to be
    ├── NotFulfillableError       it is not confirmed
    ├── NotReturnableError        no fulfilled unit is left to return, or a change is not finished
    ├── NotConfirmableError       it was rejected or cancelled, or inventory has not decided yet
    ├── OrderExpiredError         it was cancelled because its payment did not arrive in time
    ├── ExceedsRemainingError     more units than are left, or a product that it does not have
    ├── TooManyMovementsError     parts of it have been changed too often
    ├── UnfinishedMovementError   a movement of a part must be finished first
    └── NewerRevisionError        only a newer revision of order knows the order's status
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from order_function.domain.history import MAX_MOVEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from order_function.domain.order import Order, Rejection


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


class IdempotencyKeyReusedError(OrderError):
    def __init__(self, used_for: str = "order") -> None:
        super().__init__(
            f"The Idempotency-Key was used for another {used_for}. Use a new key for this one"
        )


class UnchangeableOrderError(OrderError):
    """The order does not allow the change. Nothing has changed."""

    def __init__(self, order: Order, detail: str) -> None:
        super().__init__(f"The order {order.order_id} {detail}")
        self.order = order


class NotCancellableError(UnchangeableOrderError):
    def __init__(self, order: Order, *, only_as_a_whole: bool = False) -> None:
        super().__init__(
            order,
            f"is {order.status} and cannot be cancelled in part. Cancel it without items."
            if only_as_a_whole
            else f"is {order.status} and cannot be cancelled",
        )


class NotFulfillableError(UnchangeableOrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(order, f"is {order.status} and cannot be fulfilled")


class NotReturnableError(UnchangeableOrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(order, f"is {order.status}, and nothing of it can be returned")


class NotConfirmableError(UnchangeableOrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(order, f"is {order.status} and cannot be confirmed")


class OrderExpiredError(UnchangeableOrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(
            order,
            "is cancelled, because its payment was not confirmed in time. Refund the payment.",
        )


class ExceedsRemainingError(UnchangeableOrderError):
    def __init__(self, order: Order, problems: Iterable[str]) -> None:
        """``problems``: what is wrong with each line, as a text."""
        super().__init__(order, f"does not allow this: {'; '.join(problems)}")


class TooManyMovementsError(UnchangeableOrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(
            order,
            f"has {MAX_MOVEMENTS} changes of parts, which is the maximum. All units that are left"
            " can still be cancelled or fulfilled, in one request without items. Record goods that"
            " come back by an adjustment of the stock.",
        )


class UnfinishedMovementError(UnchangeableOrderError):
    """The use cases catch it: they finish the movement, and repeat the change."""

    def __init__(self, order: Order) -> None:
        super().__init__(order, "has a movement that is not finished yet. Repeat the request.")


class NewerRevisionError(UnchangeableOrderError):
    def __init__(self, order: Order) -> None:
        super().__init__(
            order,
            f"is {order.status}: only a newer revision of order knows that status and may change"
            " the order. Repeat the request later.",
        )
