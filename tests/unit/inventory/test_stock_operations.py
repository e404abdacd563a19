"""The operations on stock: one at a time, and in any order."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stores.builders import adjust, lines, move, product, put_product, release, reserve

from inventory_function.domain import (
    Adjustment,
    ExceededLimit,
    IdempotencyKeyReusedError,
    InsufficientStockError,
    Line,
    MaxPerOrderExceededError,
    MovementExceedsReservationError,
    MovementMismatchError,
    MovementOutOfOrderError,
    NegativeStockError,
    PricedLine,
    Product,
    Reservation,
    ReservationMismatchError,
    ReservationReleasedError,
    ReservationStatus,
    StockError,
    UnknownProductsError,
    UnknownReservationError,
    merge,
)
from inventory_function.operations import Confirm, Consume, StockOperation
from inventory_function.unit_of_work import UnitOfWork


def work_with(*products: Product) -> UnitOfWork:
    work = UnitOfWork()
    for each in products:
        work.record_read(each.key, each, None)
    return work


def decide(work: UnitOfWork, operation: StockOperation[Any]) -> Any:
    """Decide; documents that the operation needs and that were not added do not exist."""
    while missing := [key for key in operation.needs(work) if key not in work]:
        for key in missing:
            work.record_read(key, None, None)
    return operation.decide(work)


def units(work: UnitOfWork, product_id: str = "P001") -> tuple[int, int, int]:
    found = work.known_product(product_id)
    return found.available, found.reserved, found.shipped


def status(work: UnitOfWork, reservation_id: str) -> ReservationStatus:
    found = work.reservation(reservation_id)
    assert found is not None
    return found.status


def test_reserve_moves_available_to_reserved_and_keeps_name_and_price() -> None:
    work = work_with(product(available=5))
    reservation, new = decide(work, reserve("R", P001=2))
    assert new
    assert units(work) == (3, 2, 0)
    assert [(line.unit_price, line.name) for line in reservation.lines] == [(99_999, "Laptop")]


def test_reserve_holds_no_line_and_names_every_short_one_when_stock_is_short() -> None:
    work = work_with(product("A", available=1), product("B", available=9), product("C"))
    with pytest.raises(InsufficientStockError) as short:
        decide(work, reserve("R", A=2, B=3, C=1))
    short_lines = [(line.product_id, line.requested, line.available) for line in short.value.lines]
    assert short_lines == [("A", 2, 1), ("C", 1, 0)]
    assert units(work, "B") == (9, 0, 0)
    assert not list(work.changes())


def test_last_unit_is_sold_once() -> None:
    work = work_with(product(available=1))
    decide(work, reserve("first", P001=1))
    with pytest.raises(InsufficientStockError):
        decide(work, reserve("second", P001=1))
    assert units(work) == (0, 1, 0)


def test_products_are_not_on_sale_when_unknown_retired_or_of_another_currency() -> None:
    retired = product("B", available=9, active=False)
    foreign = product("C", available=9, currency="EUR")
    work = work_with(product("A", available=9), retired, foreign)
    with pytest.raises(UnknownProductsError) as unknown:
        decide(work, reserve("R", A=1, B=1, C=1, D=1))
    assert unknown.value.product_ids == ("B", "C", "D")


def test_existing_reservation_is_returned_when_stock_is_short() -> None:
    work = work_with(product(available=1))
    first = reserve("R", P001=1)
    assert decide(work, first)[1]
    assert decide(work, first)[1], "its own reservation, after a commit with unknown outcome"
    again, new = decide(work, reserve("R", P001=1))
    assert not new
    assert again.status is ReservationStatus.HELD
    assert units(work) == (0, 1, 0)


@pytest.mark.parametrize("settle", [Confirm, Consume])
def test_settled_reservation_is_returned_when_reserved_again(settle: Any) -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=2))
    decide(work, settle("R"))
    again, new = decide(work, reserve("R", P001=2))
    assert (again.status.live or again.status is ReservationStatus.CONSUMED, new) == (True, False)
    assert units(work)[0] == 3


def test_release_returns_units_of_a_confirmed_reservation() -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=2))
    decide(work, Confirm("R"))
    decide(work, release("R"))
    assert units(work) == (5, 0, 0)


@pytest.mark.parametrize("operation", [release("R"), Consume("R")])
def test_operation_changes_nothing_when_a_product_is_missing(
    operation: StockOperation[Any],
) -> None:
    work = work_with(product("A", available=5), product("B", available=5))
    decide(work, reserve("R", A=1, B=1))
    work.record_read(("products", "B"), None, None)
    with pytest.raises(UnknownProductsError):
        decide(work, operation)
    assert status(work, "R") is ReservationStatus.HELD
    assert units(work, "A") == (4, 1, 0)


def test_reservation_keeps_its_price_when_the_product_changes() -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=1))
    decide(work, put_product("P001", name="Laptop 2", price=1, active=True))
    again, _ = decide(work, reserve("R", P001=1))
    assert again.lines[0].unit_price == 99_999
    assert again.lines[0].name == "Laptop"


def test_reserve_fails_when_the_reservation_has_other_lines() -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=1))
    with pytest.raises(ReservationMismatchError):
        decide(work, reserve("R", P001=2))


def test_release_returns_units_once() -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=2))
    decide(work, release("R"))
    decide(work, release("R"))
    assert units(work) == (5, 0, 0)
    with pytest.raises(ReservationReleasedError):
        decide(work, reserve("R", P001=2))


def test_reserve_fails_when_the_unknown_reservation_was_released_before() -> None:
    work = work_with(product(available=5))
    decide(work, release("late"))
    with pytest.raises(ReservationReleasedError):
        decide(work, reserve("late", P001=1))
    assert units(work) == (5, 0, 0)


def test_confirm_changes_held_reservations_only() -> None:
    work = work_with(product(available=5))
    for name in ("held", "released", "consumed"):
        decide(work, reserve(name, P001=1))
    decide(work, release("released"))
    decide(work, Consume("consumed"))
    found = {name: decide(work, Confirm(name)) for name in ("held", "released", "consumed")}
    statuses = {name: reservation.status.value for name, reservation in found.items()}
    assert statuses == {"held": "confirmed", "released": "released", "consumed": "consumed"}
    assert decide(work, Confirm("unknown")) is None
    assert units(work) == (3, 1, 1)


def test_consume_ships_units_once_and_a_later_release_changes_nothing() -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=2))
    decide(work, Confirm("R"))
    decide(work, Consume("R"))
    decide(work, Consume("R"))
    assert decide(work, Consume("unknown")) is None
    decide(work, release("R"))
    assert units(work) == (3, 0, 2)
    assert status(work, "R") is ReservationStatus.CONSUMED


def test_adjustment_counts_once_for_each_key() -> None:
    work = work_with(product())
    first = adjust("P001", 7, key="delivery-1")
    assert decide(work, first)[1]
    assert decide(work, first)[1], "its own adjustment"
    made, new = decide(work, adjust("P001", 7, key="delivery-1"))
    assert (made.available, new) == (7, False)
    with pytest.raises(IdempotencyKeyReusedError):
        decide(work, adjust("P001", 8, key="delivery-1"))
    assert units(work) == (7, 0, 0)


def test_adjustment_cannot_remove_reserved_units() -> None:
    work = work_with(product(available=5))
    decide(work, reserve("R", P001=4))
    with pytest.raises(NegativeStockError):
        decide(work, adjust("P001", -2))
    decide(work, adjust("P001", -1))
    assert units(work) == (0, 4, 0)


def test_putting_an_unchanged_product_writes_nothing() -> None:
    work = work_with()
    put = put_product("P001", active=True)
    assert decide(work, put) is True
    work = work_with(work.known_product("P001"))
    assert decide(work, put) is False
    assert not list(work.changes())


def counts(work: UnitOfWork, product_id: str = "P001") -> tuple[int, int, int]:
    """Released, consumed and returned units of the line of the reservation R."""
    found = work.reservation("R")
    assert found is not None
    (line,) = (each for each in found.lines if each.product_id == product_id)
    return line.released, line.consumed, line.returned


def work_with_reservation(settle: StockOperation[Any] | None = None) -> UnitOfWork:
    """Five units of P001, three of them reserved, and one of P002, which is reserved."""
    work = work_with(product("P001", available=5), product("P002", available=1))
    decide(work, reserve("R", P001=3, P002=1))
    if settle is not None:
        decide(work, settle)
    return work


@pytest.mark.parametrize("settle", [None, Confirm("R")])
@pytest.mark.parametrize(
    ("kind", "moved", "counted"),
    [("release", (4, 1, 0), (2, 0, 0)), ("consume", (2, 1, 2), (0, 2, 0))],
)
def test_move_moves_a_part_of_a_live_reservation(
    settle: Any, kind: str, moved: tuple[int, ...], counted: tuple[int, ...]
) -> None:
    work = work_with_reservation(settle)
    reservation, new = decide(work, move("R", 1, kind, P001=2))
    assert (reservation.status, reservation.last_movement, new) == ("partial", 1, True)
    assert units(work) == moved
    assert counts(work) == counted
    assert units(work, "P002") == (0, 1, 0)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["release", "release"], "released"),
        (["consume", "consume"], "consumed"),
        (["release", "consume"], "consumed"),
        (["consume", "release"], "consumed"),
    ],
)
def test_move_of_the_last_units_ends_the_reservation(kinds: list[str], expected: str) -> None:
    work = work_with_reservation()
    decide(work, move("R", 1, kinds[0], P001=2))
    decide(work, move("R", 2, kinds[1], P001=1, P002=1))
    assert status(work, "R") == expected
    assert units(work)[1] == units(work, "P002")[1] == 0


def test_restock_makes_consumed_units_available() -> None:
    work = work_with_reservation()
    decide(work, move("R", 1, "consume", P001=2))
    decide(work, move("R", 2, "restock", P001=1))
    assert (status(work, "R"), units(work), counts(work)) == ("partial", (3, 1, 1), (0, 2, 1))
    decide(work, Consume("R"))
    decide(work, move("R", 3, "restock", P001=2, P002=1))
    assert (status(work, "R"), units(work), counts(work)) == ("consumed", (5, 0, 0), (0, 3, 3))
    assert units(work, "P002") == (1, 0, 0)


def test_repeated_move_changes_nothing() -> None:
    work = work_with_reservation()
    first = move("R", 1, "consume", P001=2)
    decide(work, first)
    again, new = decide(work, first)
    assert (again.last_movement, new) == (1, False)
    decide(work, release("R"))
    assert decide(work, first)[1] is False, "also when the rest was released"
    assert (units(work), status(work, "R")) == ((3, 0, 2), "consumed")


@pytest.mark.parametrize(
    "other", [move("R", 1, "consume", P001=2), move("R", 1, "release", P001=1)]
)
def test_move_fails_when_its_number_belongs_to_another_movement(
    other: StockOperation[Any],
) -> None:
    work = work_with_reservation()
    decide(work, move("R", 1, "release", P001=2))
    with pytest.raises(MovementMismatchError):
        decide(work, other)
    assert units(work) == (4, 1, 0)


@pytest.mark.parametrize(("seq", "reason"), [(4, "gap"), (1, "stale")])
def test_move_fails_when_its_number_is_not_the_next(seq: int, reason: str) -> None:
    work = work_with_reservation()
    for n in (1, 2):
        decide(work, move("R", n, "release", P001=1))
    with pytest.raises(MovementOutOfOrderError, match=reason) as error:
        decide(work, move("R", seq, "release", P001=1))
    assert error.value.last_movement == 2
    assert units(work) == (4, 1, 0)


def test_first_move_of_a_reservation_has_the_number_1() -> None:
    with pytest.raises(MovementOutOfOrderError, match="Send movement 1 first"):
        decide(work_with_reservation(), move("R", 2, "release", P001=1))


@pytest.mark.parametrize(
    ("settle", "kind", "movable"),
    [
        (None, "release", 3),
        (None, "consume", 3),
        (None, "restock", 0),
        (release("R"), "release", 0),
        (release("R"), "restock", 0),
        (Consume("R"), "consume", 0),
        (Consume("R"), "restock", 3),
    ],
)
def test_move_changes_nothing_and_names_every_line_that_exceeds_the_reservation(
    settle: Any, kind: str, movable: int
) -> None:
    work = work_with_reservation(settle)
    before = units(work), units(work, "P002"), counts(work)
    with pytest.raises(MovementExceedsReservationError) as error:
        decide(work, move("R", 1, kind, P001=4, P009=1))
    found = [(line.product_id, line.requested, line.movable) for line in error.value.lines]
    assert found == [("P001", 4, movable), ("P009", 1, 0)]
    assert [line.quantity for line in error.value.lines] == [3, 0]
    assert (units(work), units(work, "P002"), counts(work)) == before


def test_move_of_an_unknown_reservation_fails_and_stores_no_tombstone() -> None:
    work = work_with(product(available=1))
    with pytest.raises(UnknownReservationError):
        decide(work, move("R", 1, "release", P001=1))
    assert not list(work.changes())


def test_move_of_a_released_tombstone_fails() -> None:
    work = work_with(product(available=1))
    decide(work, release("R"))
    with pytest.raises(MovementExceedsReservationError):
        decide(work, move("R", 1, "release", P001=1))


def test_move_changes_nothing_when_a_product_is_missing() -> None:
    work = work_with_reservation()
    work.record_read(("products", "P002"), None, None)
    with pytest.raises(UnknownProductsError):
        decide(work, move("R", 1, "consume", P001=1, P002=1))
    assert units(work) == (2, 3, 0)
    assert status(work, "R") is ReservationStatus.HELD


@pytest.mark.parametrize(
    ("settle", "moved", "counted"),
    [(release("R"), (4, 0, 1), (2, 1, 0)), (Consume("R"), (3, 0, 2), (1, 2, 0))],
)
def test_release_and_consume_move_all_that_is_left_once(
    settle: Any, moved: tuple[int, ...], counted: tuple[int, ...]
) -> None:
    work = work_with_reservation()
    decide(work, move("R", 1, "release", P001=1))
    decide(work, move("R", 2, "consume", P001=1))
    for _ in range(2):
        decide(work, settle)
        assert (units(work), counts(work)) == (moved, counted)
        assert status(work, "R") is ReservationStatus.CONSUMED


def test_release_of_the_rest_ends_as_released_when_nothing_was_consumed() -> None:
    work = work_with_reservation()
    decide(work, move("R", 1, "release", P001=1))
    decide(work, release("R"))
    assert (status(work, "R"), units(work)) == ("released", (5, 0, 0))
    with pytest.raises(ReservationReleasedError):
        decide(work, reserve("R", P001=3, P002=1))


def test_confirm_and_reserve_leave_a_partly_moved_reservation_unchanged() -> None:
    work = work_with_reservation()
    decide(work, move("R", 1, "release", P001=1))
    assert decide(work, Confirm("R")).status is ReservationStatus.PARTIAL
    found, new = decide(work, reserve("R", P001=3, P002=1))
    assert (found.status, new) == ("partial", False)
    assert units(work) == (3, 2, 0)


def test_reserve_stores_the_whole_reservation() -> None:
    work = work_with(product("A", available=5), product("B", available=5, name="Mouse", price=7))
    operation = reserve("R", A=1, B=2)
    made, _ = decide(work, operation)
    assert made == Reservation(
        "R",
        ReservationStatus.HELD,
        "USD",
        (PricedLine("A", 1, 99_999, "Laptop"), PricedLine("B", 2, 7, "Mouse")),
        operation.nonce,
    )
    assert work.reservation("R") == made


def test_release_of_an_unknown_reservation_stores_it_as_released() -> None:
    work = work_with()
    made = decide(work, release("R"))
    assert made == Reservation("R", ReservationStatus.RELEASED, "USD")
    assert work.reservation("R") == made


def test_confirm_changes_only_the_status() -> None:
    work = work_with(product("A", available=5))
    held, _ = decide(work, reserve("R", A=1))
    confirmed = decide(work, Confirm("R"))
    assert confirmed == replace(held, status=ReservationStatus.CONFIRMED)
    assert work.reservation("R") == confirmed


def test_adjustment_is_stored_with_everything_that_the_request_says() -> None:
    work = work_with(product("A", available=5))
    operation = adjust("A", 2, key="delivery-1")
    operation = replace(operation, reason="delivery", reference="D-1", actor="Anna")
    made, new = decide(work, operation)
    assert new
    assert made == Adjustment(
        "delivery-1", "A", 2, "delivery", "D-1", operation.now, 7, operation.nonce, "Anna"
    )
    assert work.adjustment("A", "delivery-1") == made


def test_adjustment_of_an_unknown_product_fails_and_names_it() -> None:
    with pytest.raises(UnknownProductsError) as unknown:
        decide(work_with(), adjust("A", 2))
    assert unknown.value.product_ids == ("A",)


def test_more_units_than_one_order_may_have_are_rejected_and_every_such_line_is_named() -> None:
    work = work_with(
        product("A", available=9, max_per_order=2),
        product("B", available=9, max_per_order=3),
        product("C", available=9),
    )
    with pytest.raises(MaxPerOrderExceededError) as error:
        decide(work, reserve("R", A=3, B=4, C=5))
    assert error.value.lines == (ExceededLimit("A", 3, 2), ExceededLimit("B", 4, 3))
    decide(work, reserve("R", A=2, B=3, C=9))
    assert units(work, "A") == (7, 2, 0)


def test_limit_of_an_order_is_checked_before_the_stock() -> None:
    work = work_with(product("A", available=1, max_per_order=2))
    with pytest.raises(MaxPerOrderExceededError):
        decide(work, reserve("R", A=3))


def test_error_of_a_reservation_names_it() -> None:
    work = work_with(product("A", available=5))
    decide(work, reserve("R1", A=1))
    with pytest.raises(ReservationMismatchError, match="R1"):
        decide(work, reserve("R1", A=2))
    decide(work, release("R1"))
    with pytest.raises(ReservationReleasedError, match="R1"):
        decide(work, reserve("R1", A=1))
    with pytest.raises(UnknownReservationError, match="R2"):
        decide(work, move("R2", 1, "release", A=1))


def test_lines_of_one_product_are_merged() -> None:
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
    st.builds(
        lambda name, seq, kind, quantities: move(name, seq, kind, **quantities),
        st.sampled_from(RESERVATIONS),
        st.integers(1, 4),
        st.sampled_from(["release", "consume", "restock"]),
        st.dictionaries(st.sampled_from(PRODUCTS), st.integers(1, 3), min_size=1),
    ),
    st.builds(adjust, st.sampled_from(PRODUCTS), st.integers(-9, 9).filter(bool)),
)


@given(st.lists(some_operation, max_size=30))
def test_stock_adds_up_after_any_operations(operations: list[StockOperation[Any]]) -> None:
    work = work_with(product("A", available=10), product("B", available=3))
    adjusted = {"A": 10, "B": 3}
    reservations: dict[str, Reservation] = {}
    for operation in operations:
        try:
            result = decide(work, operation)
        except StockError:
            continue
        if isinstance(operation, type(adjust("A", 1))):
            adjusted[operation.product_id] += operation.delta
        elif result is not None:
            found = result[0] if isinstance(result, tuple) else result
            reservations[found.reservation_id] = found
    for product_id in PRODUCTS:
        available, reserved, shipped = units(work, product_id)
        assert available >= 0
        assert available + reserved + shipped == adjusted[product_id]
        found = [
            line
            for reservation in reservations.values()
            for line in reservation.lines
            if line.product_id == product_id
        ]
        assert all(line.has_valid_counts for line in found)
        assert reserved == sum(line.held for line in found)
        assert shipped == sum(line.shipped for line in found)
    for reservation in reservations.values():
        assert reservation.status.live == bool(reservation.held_lines)
        assert reservation == reservation.complete_counts()
