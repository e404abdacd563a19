"""An example order never contradicts itself: counts, status, times, prices and history agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tools import openapi

from functions_common.http import problems
from order_function.domain import MOVING_STATUSES, PUBLIC_STATUSES
from order_function.routes import OPERATIONS
from order_function.schemas import OrderResponse

COUNTED_BY = {
    "line_cancelled": "cancelled",
    "line_fulfilled": "fulfilled",
    "line_returned": "returned",
}
WITHOUT_PRICES = {"pending", "rejected"}
TIMES = ("confirmed", "cancelled", "fulfilled")


def orders() -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in OPERATIONS:
        for status, response in operation.responses.items():
            for name, example in response.examples.items():
                for order in example.get("orders", [example]):
                    if "order_id" in order:
                        yield f"{operation.name} {status.value} {name}", order


EXAMPLES = dict(orders())


@pytest.fixture(params=EXAMPLES)
def order(request: pytest.FixtureRequest) -> dict[str, Any]:
    return EXAMPLES[request.param]


def test_example_is_an_order_of_the_api(order: dict[str, Any]) -> None:
    shown = msgspec.convert(order, OrderResponse, strict=False)
    assert order.keys() <= set(shown.__struct_fields__)
    assert order["status"] in {status.value for status in PUBLIC_STATUSES}


def test_counts_agree_with_the_status(order: dict[str, Any]) -> None:
    fulfilled = sum(item["fulfilled"] for item in order["items"])
    cancelled = sum(item["cancelled"] for item in order["items"])
    is_open = sum(item["quantity"] for item in order["items"]) > fulfilled + cancelled
    for item in order["items"]:
        assert item["cancelled"] + item["fulfilled"] <= item["quantity"]
        assert item["returned"] <= item["fulfilled"]
    match order["status"]:
        case "fulfilled":
            assert fulfilled
            assert not is_open
        case "cancelled":
            assert not fulfilled
            assert not is_open
        case "partially_fulfilled":
            assert fulfilled
            assert is_open
        case "cancelling" | "fulfilling":
            assert is_open
        case "pending" | "awaiting_payment" | "rejected":
            assert fulfilled == cancelled == 0
        case "confirmed":
            assert is_open
            assert not fulfilled


def test_history_agrees_with_the_times(order: dict[str, Any]) -> None:
    history = order["history"]
    times = [each["at"] for each in history]
    assert [each["seq"] for each in history] == [*range(1, len(history) + 1)]
    assert times == sorted(times)
    assert times[0] == order["created_at"]
    if order["status"] not in MOVING_STATUSES:
        assert times[-1] == order["updated_at"], "a change that is not complete is not in history"
    for name in TIMES:
        happened = next((each["at"] for each in history if each["type"] == name), None)
        assert order.get(f"{name}_at") == happened
    awaited = any(each["type"] == "awaiting_payment" for each in history)
    assert ("expires_at" in order) == awaited


def test_history_agrees_with_the_counts(order: dict[str, Any]) -> None:
    counts = {name: sum(item[name] for item in order["items"]) for name in COUNTED_BY.values()}
    moved: Counter[str] = Counter()
    open_units = sum(item["quantity"] for item in order["items"])
    for event in order["history"]:
        if count := COUNTED_BY.get(event["type"]):
            moved[count] += sum(item["quantity"] for item in event["items"])
        elif event["type"] in TIMES[1:]:
            moved[event["type"]] += open_units - moved["cancelled"] - moved["fulfilled"]
    assert counts == {name: moved[name] for name in counts}


def test_prices_agree(order: dict[str, Any]) -> None:
    if order["status"] in WITHOUT_PRICES:
        return
    total = sum(item["quantity"] * item["unit_price"] for item in order["items"])
    assert order["total_price"] == pytest.approx(total)
    assert order["currency"] == "USD"


def test_only_line_is_repeated_at_the_top(order: dict[str, Any]) -> None:
    (item,) = order["items"]
    assert (order["product_id"], order["quantity"]) == (item["product_id"], item["quantity"])


def test_example_problems_with_counts_agree_with_their_status() -> None:
    found = [
        example["value"]
        for methods in openapi.served("order")["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for example in response.get("content", {})
        .get(problems.CONTENT_TYPE, {})
        .get("examples", {})
        .values()
        if "order_status" in example["value"]
    ]
    assert found
    for each in found:
        assert each["items"]
        if each["order_status"] in {"cancelled", "fulfilled", "confirmed", "pending"}:
            test_counts_agree_with_the_status({"status": each["order_status"], **each})
