"""What each error of a stock operation says: what happened, with names and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.stores.builders import lines, product

from inventory_function.domain import (
    ChangeSupersededError,
    ExceededLimit,
    ExcessLine,
    IdempotencyKeyReusedError,
    InsufficientStockError,
    MaxPerOrderExceededError,
    Movement,
    MovementExceedsReservationError,
    MovementKind,
    MovementMismatchError,
    MovementOutOfOrderError,
    NegativeStockError,
    PreconditionFailedError,
    Reservation,
    ReservationMismatchError,
    ReservationReleasedError,
    ReservationStatus,
    ShortLine,
    StockError,
    UnknownProductsError,
    UnknownReservationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVATION = Reservation("R1", ReservationStatus.PARTIAL, "USD", last_movement=3)
MESSAGES: list[tuple[Callable[[], StockError], str]] = [
    (lambda: UnknownProductsError(["A", "B"]), "Not in the catalogue, or not on sale: A, B"),
    (
        lambda: MaxPerOrderExceededError([ExceededLimit("A", 9, 2), ExceededLimit("B", 8, 3)]),
        "More than one order may have: A (at most 2, 9 requested), B (at most 3, 8 requested)",
    ),
    (
        lambda: InsufficientStockError([ShortLine("A", 9, 2), ShortLine("B", 8, 3)]),
        "Not enough in stock: A (2 available, 9 requested), B (3 available, 8 requested)",
    ),
    (
        lambda: NegativeStockError(product("A", available=2), -5),
        "A has 2 available, so a delta of -5 is not possible. Remove no more than is available.",
    ),
    (
        lambda: ReservationReleasedError("R1"),
        "The reservation R1 was released and cannot be held again",
    ),
    (
        lambda: ReservationMismatchError("R1"),
        "The reservation R1 exists with other lines. Repeat its lines, or use another id.",
    ),
    (lambda: UnknownReservationError("R1"), "There is no reservation R1"),
    (
        lambda: MovementOutOfOrderError(RESERVATION, 5),
        "Movement 5 of the reservation R1 leaves a gap: the last one is 3. Send movement 4 first.",
    ),
    (
        lambda: MovementOutOfOrderError(RESERVATION, 3),
        (
            "Movement 3 of the reservation R1 is stale: the last one is 3."
            " Only that one can be repeated."
        ),
    ),
    (
        lambda: MovementMismatchError("R1", 3),
        (
            "Movement 3 of the reservation R1 exists with another kind or other lines."
            " Repeat them, or send movement 4."
        ),
    ),
    (
        lambda: MovementExceedsReservationError(
            "R1",
            Movement(1, MovementKind.RELEASE, lines(A=9, B=8)),
            [ExcessLine("A", 9, 2), ExcessLine("B", 8)],
        ),
        (
            "The reservation R1 has too few units to release: A (2 can move, 9 requested),"
            " B (0 can move, 8 requested)"
        ),
    ),
    (
        IdempotencyKeyReusedError,
        "The Idempotency-Key was used for another adjustment of this product. Use a new key.",
    ),
    (
        lambda: PreconditionFailedError("A", exists=True),
        (
            "The product A exists and does not meet the condition of the request. Read it"
            " again, then repeat your change with its new ETag."
        ),
    ),
    (
        lambda: PreconditionFailedError("A", exists=False),
        "The product A does not exist, and the request requires that it does.",
    ),
    (
        lambda: ChangeSupersededError("A"),
        (
            "The change of A may have been made, and another change followed it. Repeat the"
            " request. If the response is 412, read the product to see which change it has."
        ),
    ),
]


@pytest.mark.parametrize(("make", "message"), MESSAGES)
def test_error_says_what_happened_with_names_and_numbers(
    make: Callable[[], StockError], message: str
) -> None:
    assert str(make()) == message


def test_every_error_has_a_message_here() -> None:
    assert {type(make()) for make, _ in MESSAGES} == set(StockError.__subclasses__())
