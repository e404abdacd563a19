"""The rules of products, reservations, adjustments and the ledger, value by value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.stores.builders import lines, product

from inventory_function.domain import (
    ANY_PRODUCT,
    Adjustment,
    ExcessLine,
    LedgerEntry,
    LedgerEntryKind,
    Movement,
    MovementExceedsReservationError,
    MovementKind,
    MovementMismatchError,
    NegativeStockError,
    Precondition,
    PreconditionFailedError,
    PricedLine,
    Product,
    ProductFilter,
    ProductPlace,
    RecordedReservation,
    Reservation,
    ReservationStatus,
    adjustment_key,
    crossed_low_stock,
    product_key,
    reservation_key,
)

RELEASE, CONSUME, RESTOCK = MovementKind.RELEASE, MovementKind.CONSUME, MovementKind.RESTOCK
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
CHANGED = datetime(2026, 1, 2, tzinfo=UTC)
LAMP = Product(
    "P7",
    "Lamp",
    1_250,
    "EUR",
    active=False,
    available=20,
    reserved=30,
    shipped=40,
    updated_at=CREATED,
    max_per_order=9,
    low_stock_threshold=3,
    catalogue_nonce="n",
    stored_catalogue=product("P7").catalogue_fields,
)


@pytest.mark.parametrize(
    ("move", "arguments", "units"),
    [
        ("reserve", (2,), (18, 32, 40)),
        ("release", (2,), (22, 28, 40)),
        ("ship", (2,), (20, 28, 42)),
        ("restock", (2,), (22, 30, 38)),
        ("move", (RELEASE, 2), (22, 28, 40)),
        ("move", (CONSUME, 2), (20, 28, 42)),
        ("move", (RESTOCK, 2), (22, 30, 38)),
        ("adjust", (-20,), (0, 30, 40)),
        ("adjust", (2,), (22, 30, 40)),
    ],
)
def test_movement_changes_the_quantities_of_a_product_only(
    move: str, arguments: tuple[Any, ...], units: tuple[int, int, int]
) -> None:
    available, reserved, shipped = units
    moved = getattr(LAMP, move)(*arguments)
    assert moved == replace(LAMP, available=available, reserved=reserved, shipped=shipped)
    assert moved.stored_catalogue is LAMP.stored_catalogue


def test_adjustment_below_zero_is_rejected() -> None:
    with pytest.raises(NegativeStockError, match="P7 has 20 available, so a delta of -21"):
        LAMP.adjust(-21)


@pytest.mark.parametrize(
    ("changes", "quantity", "expected"),
    [
        ({}, 5, True),
        ({}, 6, False),
        ({"active": False}, 1, False),
        ({"currency": "EUR"}, 1, False),
        ({"max_per_order": 5}, 5, True),
        ({"max_per_order": 4}, 5, False),
    ],
)
def test_product_can_be_ordered_within_stock_and_limit_when_it_is_on_sale(
    changes: dict[str, object], quantity: int, *, expected: bool
) -> None:
    found = product(available=5, **changes)  # type: ignore[arg-type]
    assert found.can_be_ordered(quantity, "USD") is expected


def at(available: int, threshold: int | None = 5) -> Product:
    return product(available=available, low_stock_threshold=threshold)


@pytest.mark.parametrize(
    ("before", "after", "crossed"),
    [
        (at(6), at(5), True),
        (at(5), at(4), False),
        (at(7), at(6), False),
        (at(4), at(6), False),
        (None, at(5), True),
        (None, at(6), False),
        (at(4, None), at(4), True),
        (at(4), at(4, None), False),
    ],
)
def test_low_stock_is_crossed_when_it_is_low_now_and_was_not_before(
    before: Product | None, after: Product, *, crossed: bool
) -> None:
    assert crossed_low_stock(before, after) is crossed


MATCHING = product("P1", available=5)


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        (ProductFilter(), []),
        (
            ProductFilter(sold_in="USD"),
            [product("P1", active=False), product("P1", currency="EUR")],
        ),
        (ProductFilter(not_sold_in="EUR"), [product("P1", currency="EUR")]),
        (ProductFilter(name_prefix="Lap"), [product("P1", name="A Laptop")]),
        (ProductFilter(max_available=5), [product("P1", available=6)]),
        (ProductFilter(ids=("P0", "P1")), [product("P2")]),
        (
            ProductFilter("USD", "EUR", "Lap", 5, ("P1",)),
            [
                product("P1", active=False),
                product("P1", currency="EUR"),
                product("P1", name="Lamp"),
                product("P1", available=6),
                product("P2"),
            ],
        ),
    ],
)
def test_filter_accepts_the_products_that_meet_all_conditions(
    wanted: ProductFilter, others: list[Product]
) -> None:
    assert wanted.accepts(MATCHING)
    assert not [each for each in others if wanted.accepts(each)]


@pytest.mark.parametrize(
    ("order", "found", "place"),
    [
        (ProductFilter(), MATCHING, "P1"),
        (ProductFilter(sold_in="USD"), MATCHING, "P1"),
        (ProductFilter(not_sold_in="EUR"), MATCHING, ("USD", "P1")),
        (ProductFilter(not_sold_in="EUR"), product("P1", active=False), "P1"),
        (ProductFilter(name_prefix="Lap"), MATCHING, ("Laptop", "P1")),
        (ProductFilter(max_available=9), MATCHING, (5, "P1")),
        (ProductFilter("USD", "EUR", "Lap", 5, ("P1",)), MATCHING, "P1"),
    ],
)
def test_place_of_a_product_follows_the_order_of_its_list(
    order: ProductFilter, found: Product, place: ProductPlace
) -> None:
    assert order.place(found) == place


TAG = MATCHING.catalogue_tag
SOME_TAGS = frozenset(("other", TAG))


@pytest.mark.parametrize(
    ("condition", "meets_it", "absent_meets_it"),
    [
        (Precondition(), True, True),
        (Precondition(match=SOME_TAGS), True, False),
        (Precondition(match=frozenset(("other",))), False, False),
        (Precondition(match=frozenset((ANY_PRODUCT,))), True, False),
        (Precondition(none_match=SOME_TAGS), False, True),
        (Precondition(none_match=frozenset(("other",))), True, True),
        (Precondition(none_match=frozenset((ANY_PRODUCT,))), False, True),
        (Precondition(match=SOME_TAGS, none_match=SOME_TAGS), False, False),
    ],
)
def test_precondition_compares_the_tags(
    condition: Precondition, *, meets_it: bool, absent_meets_it: bool
) -> None:
    for found, meets in ((MATCHING, meets_it), (None, absent_meets_it)):
        if meets:
            condition.check("P1", found)
        else:
            text = "P1 exists and" if found else "P1 does not exist"
            with pytest.raises(PreconditionFailedError, match=text):
                condition.check("P1", found)


LINE = PricedLine("P1", 9, 1_000, "Laptop", released=1, consumed=5, returned=2)


@pytest.mark.parametrize(
    ("kind", "movable", "moved"),
    [
        (RELEASE, 3, replace(LINE, released=4)),
        (CONSUME, 3, replace(LINE, consumed=8)),
        (RESTOCK, 3, replace(LINE, returned=5)),
    ],
)
def test_line_counts_the_units_of_each_movement(
    kind: MovementKind, movable: int, moved: PricedLine
) -> None:
    assert (LINE.held, LINE.shipped) == (3, 3)
    assert LINE.movable(kind) == movable
    assert LINE.move(kind, 3) == moved


OTHER_LINE = PricedLine("P2", 4, 500, "Mouse")
RESERVATION = Reservation(
    "R1", ReservationStatus.PARTIAL, "USD", (LINE, OTHER_LINE), "nonce", 6, "old"
)


def test_movement_is_applied_to_its_lines_and_recorded() -> None:
    movement = Movement(7, CONSUME, lines(P1=2))
    moved = RESERVATION.apply(movement)
    assert moved == replace(
        RESERVATION,
        lines=(replace(LINE, consumed=7), OTHER_LINE),
        last_movement=7,
        last_movement_fingerprint=movement.fingerprint,
    )
    assert moved.has_applied(movement)
    assert not moved.has_applied(Movement(8, CONSUME, lines(P1=2)))
    with pytest.raises(MovementMismatchError, match="Movement 7 of the reservation R1 exists"):
        moved.has_applied(Movement(7, RELEASE, lines(P1=2)))


def test_excess_names_the_counts_of_the_reservation() -> None:
    movement = Movement(7, CONSUME, lines(P1=4, P2=4, P3=1))
    with pytest.raises(MovementExceedsReservationError, match="R1 has too few") as error:
        RESERVATION.apply(movement)
    assert error.value.lines == (ExcessLine("P1", 4, 3, 9, 1, 5, 2), ExcessLine("P3", 1))


@pytest.mark.parametrize(
    ("status", "counted"),
    [
        (ReservationStatus.HELD, (LINE, OTHER_LINE)),
        (ReservationStatus.CONFIRMED, (LINE, OTHER_LINE)),
        (ReservationStatus.PARTIAL, (LINE, OTHER_LINE)),
        (
            ReservationStatus.RELEASED,
            (replace(LINE, released=4), replace(OTHER_LINE, released=4)),
        ),
        (
            ReservationStatus.CONSUMED,
            (replace(LINE, consumed=8), replace(OTHER_LINE, consumed=4)),
        ),
    ],
)
def test_counts_of_a_settled_reservation_follow_from_its_status(
    status: ReservationStatus, counted: tuple[PricedLine, ...]
) -> None:
    reservation = replace(RESERVATION, status=status)
    assert reservation.complete_counts() == replace(reservation, lines=counted)


ADJUSTMENT = Adjustment("A", "P1", 5, "delivery", "D-1", CREATED, 12, "nonce", "Anna")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"delta": 6}, False),
        ({"reason": "counted"}, False),
        ({"reference": None}, False),
        ({"actor": "Ben"}, False),
        ({"nonce": "other", "available": 3, "created_at": CHANGED}, True),
    ],
)
def test_adjustment_is_the_same_request_when_the_client_sent_the_same(
    change: dict[str, object], *, same: bool
) -> None:
    assert ADJUSTMENT.same_request(replace(ADJUSTMENT, **change)) is same  # type: ignore[arg-type]


def test_adjustment_has_one_entry_in_the_ledger() -> None:
    entry = LedgerEntry(LedgerEntryKind.ADJUSTED, CREATED, "Anna", "delivery", "D-1", 5, 0, 0)
    assert ADJUSTMENT.ledger_entries("P1") == (entry,)


def test_reservation_has_an_entry_in_the_ledger_for_each_kind_of_movement() -> None:
    recorded = RecordedReservation(replace(RESERVATION, reservation_id="O1.0.F"), CREATED, CHANGED)

    def entry(kind: LedgerEntryKind, at: datetime, reason: str, *units: int) -> LedgerEntry:
        return LedgerEntry(kind, at, "order", reason, "O1", *units)

    kinds = LedgerEntryKind
    assert recorded.ledger_entries("P1") == (
        entry(kinds.RESERVED, CREATED, "order placed", -9, 9, 0),
        entry(kinds.RELEASED, CHANGED, "order cancelled or not placed", 1, -1, 0),
        entry(kinds.SHIPPED, CHANGED, "order fulfilled", 0, -5, 5),
        entry(kinds.RETURNED, CHANGED, "goods returned", 2, 0, -2),
    )
    assert recorded.ledger_entries("P2") == (
        entry(kinds.RESERVED, CREATED, "order placed", -4, 4, 0),
    )


def test_keys_are_paths_of_documents() -> None:
    assert product_key("P1") == ("products", "P1")
    assert reservation_key("R1") == ("reservations", "R1")
    assert adjustment_key("P1", "A") == ("products", "P1", "adjustments", "A")
