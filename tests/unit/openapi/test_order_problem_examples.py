"""The examples of order's API description have the texts that order really sends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from functions_common.http.problems import Problem
from inventory_function import domain as stock
from order_function import domain, schemas
from order_function.app import PROBLEMS
from order_function.domain import Attempt, Item, Line, NewerStatus, Order, Rejection, Status
from order_function.routes import OPERATIONS
from order_function.service import OrderOutcomeUnknownError

ORDER_ID = "ORDDESCKHDGSADGKKJWAA664EK133"
COMMON = {"temporarily-unavailable"}
"""Problems of functions_common."""


def attempt(key: str | None = "key", expected_total: int | None = None) -> Attempt:
    begun = Attempt.begin("C123", (Line("P001", 2),), key, expected_total)
    return replace(begun, order_id=ORDER_ID)


def order(status: Status | NewerStatus) -> Order:
    return replace(Order.new_pending(attempt(), datetime.now(UTC)), status=status)


def rejected(rejection: Rejection | None) -> domain.OrderRejectedError:
    assert rejection is not None
    return domain.OrderRejectedError(rejection, ORDER_ID, replayed=False)


def price_changed() -> domain.OrderRejectedError:
    items = (Item("P001", 2, 109_999, "Laptop"),)
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
    domain.NotCancellableError(order(Status.FULFILLED)),
    domain.NotFulfillableError(order(Status.PENDING)),
    domain.NewerRevisionError(order(NewerStatus("returning"))),
    domain.IdempotencyKeyReusedError(),
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


@pytest.mark.parametrize("error", ERRORS, ids=[problem_of(each).kind for each in ERRORS])
def test_example_of_a_problem_equals_the_real_problem(error: Exception) -> None:
    problem = problem_of(error)
    real = {"detail": problem.detail, **problem.extensions}
    if "total_price" in real:
        real["total_price"] = float(real["total_price"])
    examples = [
        each.example
        for operation in OPERATIONS
        for each in operation.problems
        if each.kind == problem.kind and each.status in (problem.status, 500)
    ]
    assert examples
    assert all(example == real for example in examples)


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
