"""The examples of order's API description have the texts that order really sends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from functions_common.http.problems import Problem
from inventory_function import domain as stock
from order_function import domain, schemas
from order_function.app import PROBLEMS
from order_function.domain import (
    Attempt,
    By,
    Line,
    MovementKind,
    NewerStatus,
    Order,
    PricedLine,
    Rejection,
    Status,
)
from order_function.routes import OPERATIONS
from order_function.service import OrderOutcomeUnknownError

ORDER_ID = "ORDDESCKHDGSADGKKJWAA664EK133"
COMMON = {"temporarily-unavailable"}
"""Problems of functions_common."""


def attempt(key: str | None = "key", expected_total: int | None = None) -> Attempt:
    begun = Attempt.begin("C123", (Line("P001", 2),), key, expected_total)
    return replace(begun, order_id=ORDER_ID)


def order(
    status: Status | NewerStatus, *, cancelled: int = 0, fulfilled: int = 0, returned: int = 0
) -> Order:
    """A pending order, or one whose stock was reserved before, with these counts of its line."""
    pending = Order.new_pending(attempt(), datetime.now(UTC))
    if status is Status.PENDING:
        return pending
    items = (PricedLine("P001", 2, 99_999, "Laptop"),)
    lines = tuple(
        replace(line, cancelled=cancelled, fulfilled=fulfilled, returned=returned)
        for line in pending.lines
    )
    return replace(pending, status=status, lines=lines, items=items, currency="USD")


def exceeding(order: Order, kind: MovementKind, quantity: int) -> domain.ExceedsRemainingError:
    with pytest.raises(domain.ExceedsRemainingError) as raised:
        order.begin_movement(kind, {"1": quantity}, By("operator"), "key")
    return raised.value


def rejected(rejection: Rejection | None) -> domain.OrderRejectedError:
    assert rejection is not None
    return domain.OrderRejectedError(rejection, ORDER_ID, replayed=False)


def price_changed() -> domain.OrderRejectedError:
    items = (PricedLine("P001", 2, 109_999, "Laptop"),)
    pending = Order.new_pending(attempt(expected_total=199_998), datetime.now(UTC))
    return rejected(
        pending.confirm_or_reject(items, "USD", "customer", datetime.now(UTC)).rejection
    )


UNKNOWN = stock.UnknownProductsError(["P999"])
SHORT = stock.InsufficientStockError([stock.ShortLine("P001", 2, 1)])
RELEASED = stock.ReservationReleasedError(f"{ORDER_ID}.0.B7QD5B2Y3FZV9X1C6M8N4K0TRA")
LIMITED = stock.MaxPerOrderExceededError([stock.ExceededLimit("P001", 9, 5)])
LIMITS = {"limits": [{"product_id": "P001", "requested": 9, "max_per_order": 5}]}
SHORT_LINES = {"lines": [{"product_id": "P001", "requested": 2, "available_quantity": 1}]}

ERRORS: list[Exception] = [
    domain.OrderNotFoundError(ORDER_ID),
    domain.NotCancellableError(order(Status.FULFILLED, fulfilled=2)),
    domain.NotFulfillableError(order(Status.PENDING)),
    domain.NotReturnableError(order(Status.CONFIRMED)),
    domain.NotConfirmableError(order(Status.CANCELLED, cancelled=2)),
    domain.OrderExpiredError(order(Status.CANCELLED, cancelled=2)),
    exceeding(order(Status.CONFIRMED), MovementKind.RELEASE, 3),
    exceeding(order(Status.FULFILLED, fulfilled=2, returned=1), MovementKind.RESTOCK, 2),
    domain.TooManyMovementsError(order(Status.CONFIRMED, cancelled=1)),
    domain.NewerRevisionError(order(NewerStatus("returning"))),
    domain.IdempotencyKeyReusedError(),
    domain.IdempotencyKeyReusedError("change of this order"),
    OrderOutcomeUnknownError(attempt()),
    OrderOutcomeUnknownError(attempt(key=None)),
    price_changed(),
    rejected(Rejection("unknown-product", str(UNKNOWN), {"product_ids": ["P999"]})),
    rejected(Rejection("insufficient-stock", str(SHORT), SHORT_LINES)),
    rejected(Rejection("max-per-order-exceeded", str(LIMITED), LIMITS)),
    rejected(Rejection("reservation-released", str(RELEASED))),
]


def problem_of(error: Exception) -> Problem:
    problem: Problem = PROBLEMS[type(error)](error)
    return problem


def example_of(problem: Problem) -> dict[str, Any]:
    """The problem as the example of a description has it."""
    extensions: dict[str, Any] = msgspec.to_builtins(problem.extensions, builtin_types=(Decimal,))
    return {"detail": problem.detail, **_with_numbers(extensions)}


def _with_numbers(value: Any) -> Any:
    """The same JSON with money as float, which an example has."""
    if isinstance(value, dict):
        return {name: _with_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [*map(_with_numbers, value)]
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("kind", dict.fromkeys(problem_of(each).kind for each in ERRORS))
def test_examples_of_a_problem_are_the_real_problems(kind: str) -> None:
    real = [each for each in map(problem_of, ERRORS) if each.kind == kind]
    examples = [
        each.example
        for operation in OPERATIONS
        for each in operation.problems
        if each.kind == kind and each.status in (real[0].status, 500)
    ]
    expected = [*map(example_of, real)]
    assert [each for each in examples if each not in expected] == []
    assert [each for each in expected if each not in examples] == []


def test_every_problem_of_order_is_compared() -> None:
    described = {each.kind for operation in OPERATIONS for each in operation.problems}
    assert described - COMMON == {problem_of(each).kind for each in ERRORS}


def test_example_of_a_rejected_order_equals_the_real_rejection() -> None:
    rejection = Rejection("insufficient-stock", str(SHORT), SHORT_LINES)
    shown = schemas.RejectionResponse.of(rejection)
    (example,) = (
        response.examples["rejected"]
        for operation in OPERATIONS
        for response in operation.responses.values()
        if "rejected" in response.examples
    )
    assert example["rejection"] == {
        "type": shown.type,
        "detail": shown.detail,
        "lines": shown.lines,
    }
