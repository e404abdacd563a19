"""The rules by which stock moves, one operation at a time and in any order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import adjust, lines, product, release, reserve

from inventory_function.domain import (
    IdempotencyKeyReusedError,
    InsufficientStockError,
    Line,
    NegativeStockError,
    Product,
    Reservation,
    ReservationMismatchError,
    ReservationReleasedError,
    ReservationStatus,
    StockError,
    UnknownProductsError,
    merge,
)
from inventory_function.operations import Confirm, Consume, Operation, PutProduct
from inventory_function.unit_of_work import UnitOfWork


def stock_of(*products: Product) -> UnitOfWork:
    stock = UnitOfWork()
    for each in products:
        stock.add(each.key, each, None)
    return stock


def decide(stock: UnitOfWork, operation: Operation[Any]) -> Any:
    """Decide after filling in what the store would say is not there."""
    while missing := [key for key in operation.needs(stock) if key not in stock]:
        for key in missing:
            stock.add(key, None, None)
    return operation.decide(stock)


def units(stock: UnitOfWork, product_id: str = "P001") -> tuple[int, int, int]:
    found = stock.known_product(product_id)
    return found.available, found.reserved, found.shipped


def status(stock: UnitOfWork, reservation_id: str) -> ReservationStatus:
    found = stock.reservation(reservation_id)
    assert found is not None
    return found.status


def test_reserving_moves_available_to_reserved_and_keeps_name_and_price() -> None:
    stock = stock_of(product(available=5))
    reservation, new = decide(stock, reserve("R", P001=2))
    assert new
    assert units(stock) == (3, 2, 0)
    assert [(line.unit_price, line.name) for line in reservation.lines] == [(99_999, "Laptop")]


def test_all_lines_or_none_and_every_short_line_is_told() -> None:
    stock = stock_of(product("A", available=1), product("B", available=9), product("C"))
    with pytest.raises(InsufficientStockError) as short:
        decide(stock, reserve("R", A=2, B=3, C=1))
    told = [(line.product_id, line.requested, line.available) for line in short.value.lines]
    assert told == [("A", 2, 1), ("C", 1, 0)]
    assert units(stock, "B") == (9, 0, 0)
    assert not list(stock.changes())


def test_the_last_unit_is_sold_once() -> None:
    stock = stock_of(product(available=1))
    decide(stock, reserve("first", P001=1))
    with pytest.raises(InsufficientStockError):
        decide(stock, reserve("second", P001=1))
    assert units(stock) == (0, 1, 0)


def test_unknown_retired_and_foreign_priced_products_are_not_on_sale() -> None:
    retired = product("B", available=9, active=False)
    foreign = product("C", available=9, currency="EUR")
    stock = stock_of(product("A", available=9), retired, foreign)
    with pytest.raises(UnknownProductsError) as unknown:
        decide(stock, reserve("R", A=1, B=1, C=1, D=1))
    assert unknown.value.product_ids == ("B", "C", "D")


def test_a_reservation_that_is_there_decides_before_stock_does() -> None:
    stock = stock_of(product(available=1))
    first = reserve("R", P001=1)
    assert decide(stock, first)[1]
    assert decide(stock, first)[1], "its own work, found after a commit of unknown outcome"
    again, new = decide(stock, reserve("R", P001=1))
    assert not new
    assert again.status is ReservationStatus.HELD
    assert units(stock) == (0, 1, 0)


@pytest.mark.parametrize("settle", [Confirm, Consume])
def test_a_reservation_that_was_settled_is_the_same_answer(settle: Any) -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=2))
    decide(stock, settle("R"))
    again, new = decide(stock, reserve("R", P001=2))
    assert (again.status.live or again.status is ReservationStatus.CONSUMED, new) == (True, False)
    assert units(stock)[0] == 3


def test_releasing_what_was_confirmed_gives_back_too() -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=2))
    decide(stock, Confirm("R"))
    decide(stock, release("R"))
    assert units(stock) == (5, 0, 0)


@pytest.mark.parametrize("operation", [release("R"), Consume("R")])
def test_a_reservation_of_a_missing_product_fails_and_changes_nothing(
    operation: Operation[Any],
) -> None:
    stock = stock_of(product("A", available=5), product("B", available=5))
    decide(stock, reserve("R", A=1, B=1))
    stock.add(("products", "B"), None, None)
    with pytest.raises(UnknownProductsError):
        decide(stock, operation)
    assert status(stock, "R") is ReservationStatus.HELD
    assert units(stock, "A") == (4, 1, 0)


def test_a_reservation_keeps_its_price_when_the_product_changes() -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=1))
    decide(stock, PutProduct("P001", "Laptop 2", 1, "USD", active=True))
    again, _ = decide(stock, reserve("R", P001=1))
    assert again.lines[0].unit_price == 99_999
    assert again.lines[0].name == "Laptop"


def test_a_reservation_with_other_lines_is_refused() -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=1))
    with pytest.raises(ReservationMismatchError):
        decide(stock, reserve("R", P001=2))


def test_releasing_gives_back_once() -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=2))
    decide(stock, release("R"))
    decide(stock, release("R"))
    assert units(stock) == (5, 0, 0)
    with pytest.raises(ReservationReleasedError):
        decide(stock, reserve("R", P001=2))


def test_releasing_what_is_not_known_marks_it_against_late_arrivals() -> None:
    stock = stock_of(product(available=5))
    decide(stock, release("late"))
    with pytest.raises(ReservationReleasedError):
        decide(stock, reserve("late", P001=1))
    assert units(stock) == (5, 0, 0)


def test_confirming_changes_only_what_is_held() -> None:
    stock = stock_of(product(available=5))
    for name in ("held", "released", "consumed"):
        decide(stock, reserve(name, P001=1))
    decide(stock, release("released"))
    decide(stock, Consume("consumed"))
    found = {name: decide(stock, Confirm(name)) for name in ("held", "released", "consumed")}
    statuses = {name: reservation.status.value for name, reservation in found.items()}
    assert statuses == {"held": "confirmed", "released": "released", "consumed": "consumed"}
    assert decide(stock, Confirm("unknown")) is None
    assert units(stock) == (3, 1, 1)


def test_consuming_ships_once_and_a_release_then_changes_nothing() -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=2))
    decide(stock, Confirm("R"))
    decide(stock, Consume("R"))
    decide(stock, Consume("R"))
    assert decide(stock, Consume("unknown")) is None
    decide(stock, release("R"))
    assert units(stock) == (3, 0, 2)
    assert status(stock, "R") is ReservationStatus.CONSUMED


def test_an_adjustment_counts_once_for_each_key() -> None:
    stock = stock_of(product())
    first = adjust("P001", 7, key="delivery-1")
    assert decide(stock, first)[1]
    assert decide(stock, first)[1], "its own work"
    made, new = decide(stock, adjust("P001", 7, key="delivery-1"))
    assert (made.available, new) == (7, False)
    with pytest.raises(IdempotencyKeyReusedError):
        decide(stock, adjust("P001", 8, key="delivery-1"))
    assert units(stock) == (7, 0, 0)


def test_an_adjustment_cannot_take_what_is_reserved() -> None:
    stock = stock_of(product(available=5))
    decide(stock, reserve("R", P001=4))
    with pytest.raises(NegativeStockError):
        decide(stock, adjust("P001", -2))
    decide(stock, adjust("P001", -1))
    assert units(stock) == (0, 4, 0)


def test_putting_a_product_again_writes_nothing() -> None:
    stock = stock_of()
    put = PutProduct("P001", "Laptop", 99_999, "USD", active=True)
    assert decide(stock, put) is True
    stock = stock_of(stock.known_product("P001"))
    assert decide(stock, put) is False
    assert not list(stock.changes())


def test_the_same_product_on_two_lines_is_one_line() -> None:
    assert merge([Line("B", 1), Line("A", 2), Line("B", 3)]) == lines(A=2, B=4)


PRODUCTS = ("A", "B")
RESERVATIONS = ("R1", "R2", "R3")
some_operation = st.one_of(
    st.builds(
        lambda name, quantities: reserve(name, **quantities),
        st.sampled_from(RESERVATIONS),
        st.dictionaries(st.sampled_from(PRODUCTS), st.integers(1, 6), min_size=1),
    ),
    st.builds(release, st.sampled_from(RESERVATIONS)),
    st.builds(Confirm, st.sampled_from(RESERVATIONS)),
    st.builds(Consume, st.sampled_from(RESERVATIONS)),
    st.builds(adjust, st.sampled_from(PRODUCTS), st.integers(-9, 9).filter(bool)),
)


@given(st.lists(some_operation, max_size=30))
def test_whatever_happens_stock_adds_up(operations: list[Operation[Any]]) -> None:
    stock = stock_of(product("A", available=10), product("B", available=3))
    adjusted = {"A": 10, "B": 3}
    reservations: dict[str, Reservation] = {}
    for operation in operations:
        try:
            answer = decide(stock, operation)
        except StockError:
            continue
        if isinstance(operation, type(adjust("A", 1))):
            adjusted[operation.product_id] += operation.delta
        elif answer is not None:
            found = answer[0] if isinstance(answer, tuple) else answer
            reservations[found.reservation_id] = found
    for product_id in PRODUCTS:
        available, reserved, shipped = units(stock, product_id)
        assert available >= 0
        assert available + reserved + shipped == adjusted[product_id]
        assert reserved == sum(
            line.quantity
            for found in reservations.values()
            if found.status.live
            for line in found.lines
            if line.product_id == product_id
        )
