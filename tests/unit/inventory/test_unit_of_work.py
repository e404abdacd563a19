"""The unit of work: what was read, and the changes decided since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.stores.builders import adjust, lines, product

from functions_common.firestore.errors import DamagedDocumentError
from inventory_function.domain import (
    Line,
    MovementKind,
    PricedLine,
    Product,
    Reservation,
    ReservationStatus,
    UnknownProductsError,
    Unusable,
)
from inventory_function.unit_of_work import NotReadError, UnitOfWork

VERSION = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
LAPTOP = product("P1", available=5)
HELD = Reservation(
    "R1", ReservationStatus.HELD, "USD", (PricedLine("P1", 2, 99_999, "Laptop"),), "nonce"
)
RELEASED = HELD.move_rest(MovementKind.RELEASE)


def work_with(*entities: Product | Reservation, assume_absent: bool = False) -> UnitOfWork:
    work = UnitOfWork(assume_absent=assume_absent)
    for each in entities:
        work.record_read(each.key, each, VERSION)
    return work


def test_change_replaces_the_version_that_was_read() -> None:
    work = work_with(LAPTOP)
    work.record_read(HELD.key, None, None)
    mouse, sold = product("P2"), LAPTOP.reserve(2)
    for each in (sold, HELD, mouse):
        work.put(each)
    assert work.changes() == [(sold, VERSION), (HELD, None), (mouse, None)]


def test_changed_products_are_given_before_and_after_the_changes() -> None:
    work = work_with(LAPTOP, HELD)
    mouse, sold = product("P2"), LAPTOP.reserve(2)
    for each in (sold, RELEASED, mouse):
        work.put(each)
    assert work.changed_products() == [(LAPTOP, sold), (None, mouse)]


def test_later_read_drops_the_change_of_that_document_only() -> None:
    work = work_with(LAPTOP)
    work.put(LAPTOP.reserve(2))
    work.put(HELD)
    restocked = LAPTOP.restock(3)
    work.record_read(LAPTOP.key, restocked, LATER)
    assert work.product("P1") == restocked
    assert work.changes() == [(HELD, None)]
    work.put(LAPTOP)
    assert (LAPTOP, LATER) in work.changes()


def test_read_document_that_was_not_changed_can_be_read_again() -> None:
    work = work_with(LAPTOP)
    work.record_read(LAPTOP.key, None, None)
    assert work.product("P1") is None


def test_undo_keeps_what_was_read() -> None:
    work = work_with(LAPTOP)
    work.put(LAPTOP.reserve(2))
    work.put(HELD)
    work.undo()
    assert work.changes() == []
    assert work.product("P1") == LAPTOP
    assert LAPTOP.key in work
    assert HELD.key not in work


def test_unknown_product_is_an_error_that_names_it() -> None:
    work = UnitOfWork()
    work.record_read(LAPTOP.key, None, None)
    with pytest.raises(UnknownProductsError) as unknown:
        work.known_product("P1")
    assert unknown.value.product_ids == ("P1",)


def test_unusable_document_raises_its_own_error_until_it_is_replaced() -> None:
    error = DamagedDocumentError("products/P1", "no price")
    work = UnitOfWork()
    work.record_read(LAPTOP.key, Unusable(LAPTOP.key, error), VERSION)
    with pytest.raises(DamagedDocumentError, match="products/P1"):
        work.product("P1")
    work.put(LAPTOP)
    assert work.product("P1") == LAPTOP


def test_reservation_is_assumed_absent_until_it_is_read_or_created() -> None:
    work = UnitOfWork(assume_absent=True)
    assert work.reservation_if_read("R1") is None
    with pytest.raises(NotReadError, match="R1") as not_read:
        work.require_read("R1")
    assert not_read.value.key == HELD.key
    work.put(HELD)
    assert work.reservation_if_read("R1") == HELD
    work.require_read("R1")
    work.undo()
    work.record_read(HELD.key, RELEASED, VERSION)
    assert work.reservation_if_read("R1") == RELEASED
    work.require_read("R1")


def test_reservation_must_be_read_first_without_the_assumption() -> None:
    work = UnitOfWork()
    with pytest.raises(KeyError):
        work.reservation_if_read("R1")
    work.record_read(HELD.key, HELD, VERSION)
    assert work.reservation_if_read("R1") == HELD


def test_assumption_holds_until_its_failure_is_noted() -> None:
    works, failed = UnitOfWork(assume_absent=True), UnitOfWork(assume_absent=True)
    failed.note_failed_assumption()
    assert (works.assumption_failed, failed.assumption_failed) == (False, True)
    assert (works.assume_absent, UnitOfWork().assume_absent) == (True, False)


def test_operation_may_be_committed_when_it_is_that_same_request() -> None:
    operation = adjust("P1", 1)
    work = UnitOfWork(maybe_committed=[adjust("P1", 1), operation])
    assert work.may_be_committed(operation)
    assert not work.may_be_committed(replace(operation)), "equal, and of another request"
    assert not UnitOfWork().may_be_committed(operation)


def test_held_lines_are_those_of_the_changed_reservation() -> None:
    work = work_with(HELD)
    assert work.held_lines("R1") == lines(P1=2) == (Line("P1", 2),)
    work.put(RELEASED)
    assert work.held_lines("R1") == ()


def test_reservation_that_was_not_read_or_is_unusable_holds_nothing_yet() -> None:
    work = UnitOfWork()
    assert work.held_lines("R1") == ()
    work.record_read(HELD.key, None, None)
    assert work.held_lines("R1") == ()
    work.record_read(
        HELD.key, Unusable(HELD.key, DamagedDocumentError("reservations/R1", "no lines")), VERSION
    )
    assert work.held_lines("R1") == ()


def test_adjustment_is_found_by_product_and_id() -> None:
    work = UnitOfWork()
    work.record_read(("products", "P1", "adjustments", "A"), None, None)
    assert work.adjustment("P1", "A") is None
