"""The rules of an order's parts, value by value: attempts, details, history, lines, statuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.stores.builders import BY

from functions_common.ids import digest_id
from order_function.domain import (
    RECONCILE,
    Address,
    Attempt,
    By,
    Details,
    Event,
    EventType,
    ExceedsRemainingError,
    IdempotencyKeyReusedError,
    Line,
    Movement,
    MovementKind,
    NewerRevisionError,
    NewerStatus,
    Order,
    OrderNotFoundError,
    PricedLine,
    Rejection,
    ReservationName,
    Status,
    is_order_id,
    is_order_id_prefix,
    merge_lines,
    parse_status,
)
from order_function.domain.lines import in_order_of
from order_function.domain.order import ERASED

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
LINES = (Line("P2", 3), Line("P1", 2))
ITEMS = (PricedLine("P1", 2, 1_000, "Mouse"), PricedLine("P2", 3, 99_999, "Laptop"))
ANNA = By("Anna", "asked by phone")
ADDRESS = Address("Ada", "1 Main Street", "London", "GB")
DETAILS = Details("S-1", "a gift", {"channel": "web"}, ADDRESS)
DIGEST = "0123456789ABCDEFGHJKMNPQRS"[: len(digest_id("x"))]


def begin(key: str | None = "key", **changes: object) -> Attempt:
    return Attempt.begin("C1", LINES, key, **changes)  # type: ignore[arg-type]


def confirmed() -> Order:
    return Order.new_reserved(begin(), ITEMS, "USD", NOW)


def with_status(status: Status | NewerStatus) -> Order:
    return replace(confirmed(), status=status)


# Attempts


def test_attempt_has_all_that_the_request_says() -> None:
    attempt = begin(expected_total=5, hold_seconds=60, details=DETAILS)
    assert attempt.order_id == f"ORD{digest_id('C1', 'key')}"
    assert attempt == replace(
        attempt,
        customer_id="C1",
        lines=LINES,
        keyed=True,
        expected_total=5,
        hold_seconds=60,
        details=DETAILS,
        actor="customer",
        number=0,
    )
    assert len(attempt.nonce) == len(begin().nonce) > 10
    assert attempt.nonce != begin().nonce


def test_attempt_without_a_key_has_an_id_of_its_own() -> None:
    first, second = begin(None), begin(None)
    assert (first.keyed, second.keyed) == (False, False)
    assert first.order_id != second.order_id
    assert is_order_id(first.order_id)


def test_fingerprint_depends_on_each_field_of_the_body_and_on_no_other() -> None:
    bodies = [
        begin(),
        begin(expected_total=5),
        begin(hold_seconds=5),
        begin(details=DETAILS),
        begin(details=replace(DETAILS, note=None)),
        Attempt.begin("C2", LINES, "key"),
        Attempt.begin("C1", LINES[:1], "key"),
        Attempt.begin("C1", (Line("P2", 3), Line("P1", 3)), "key"),
    ]
    assert len({each.fingerprint for each in bodies}) == len(bodies)
    assert begin("other key").fingerprint == begin().fingerprint
    assert Attempt.begin("C1", LINES[::-1], "key").fingerprint == begin().fingerprint


def test_fingerprint_of_a_body_never_changes() -> None:
    """Orders are stored with it, so a new release must compute the same."""
    assert begin().fingerprint == digest_id("C1", "P1", "2", "P2", "3")
    full = begin(expected_total=5, hold_seconds=60, details=Details("S-1"))
    details = 'details={"reference":"S-1"}'
    parts = ("P1", "2", "P2", "3", "total=5", "hold=60", details)
    assert full.fingerprint == digest_id("C1", *parts)


@pytest.mark.parametrize(("number", "abandoned", "following"), [(0, 0, 1), (0, 4, 5), (7, 4, 8)])
def test_next_attempt_has_a_higher_number(number: int, abandoned: int, following: int) -> None:
    attempt = replace(begin(), number=number)
    assert attempt.after(abandoned) == replace(attempt, number=following)


def test_reservation_name_is_parsed_as_it_is_written() -> None:
    name = ReservationName(f"ORD{DIGEST}", 12, DIGEST)
    assert str(name) == f"ORD{DIGEST}.12.{DIGEST}"
    assert ReservationName.parse(str(name)) == name
    assert ReservationName.parse(f"x{name}") is None
    assert ReservationName.parse("made-by-hand") is None


def test_order_id_is_complete_and_its_prefix_may_be_shorter() -> None:
    assert is_order_id(f"ORD{DIGEST}") is True
    assert is_order_id(f"ORD{DIGEST[1:]}") is False
    assert is_order_id_prefix("ORD") is True
    assert is_order_id_prefix(f"ORD{DIGEST[1:]}") is True
    assert is_order_id_prefix("OR") is False


# Details


def test_details_without_values_are_false() -> None:
    assert not Details()
    assert Details(note="x")


def test_canonical_details_leave_out_what_has_no_value() -> None:
    assert json.loads(DETAILS.canonical()) == {
        "reference": "S-1",
        "note": "a gift",
        "metadata": {"channel": "web"},
        "shipping_address": {
            "name": "Ada",
            "line1": "1 Main Street",
            "city": "London",
            "country": "GB",
        },
    }
    assert Details(note="x", reference="y").canonical() == '{"note":"x","reference":"y"}'


def test_only_the_reference_names_no_person() -> None:
    assert DETAILS.without_personal() == Details(reference="S-1")


# History


@pytest.mark.parametrize(
    ("by", "erased"),
    [
        (By("customer", "a text"), By("customer")),
        (By("operator", "a text"), By("operator")),
        (By("payment", "a text"), By("payment")),
        (By("reconcile", "a text"), By("reconcile")),
        (By("reconcile", "expired"), By("reconcile", "expired")),
        (By("Anna", "expired"), By("operator")),
    ],
)
def test_erasure_removes_names_and_texts(by: By, erased: By) -> None:
    assert by.without_personal() == erased
    event = Event(EventType.CANCELLED, NOW, *by, lines=LINES, key="k")
    assert event.without_personal() == Event(
        EventType.CANCELLED, NOW, *erased, lines=LINES, key="k"
    )
    movement = Movement(MovementKind.CONSUME, *by, number=3, lines=LINES, key="k")
    assert movement.without_personal() == Movement(
        MovementKind.CONSUME, *erased, number=3, lines=LINES, key="k"
    )


def test_erasure_keeps_the_kind_of_a_rejection() -> None:
    event = Event(EventType.REJECTED, NOW, "Anna", "insufficient-stock")
    assert event.without_personal() == Event(
        EventType.REJECTED, NOW, "operator", "insufficient-stock"
    )


# Lines


def test_line_counts_each_kind_of_change() -> None:
    line = Line("P1", 9, 1, 4, 2)
    assert (line.open, line.has_moved) == (4, True)
    assert line.cancel(2) == Line("P1", 9, 3, 4, 2)
    assert line.fulfil(2) == Line("P1", 9, 1, 6, 2)
    assert line.take_back(2) == Line("P1", 9, 1, 4, 4)


def test_lines_of_one_product_are_merged_where_it_is_first_named() -> None:
    merged = merge_lines([Line("P2", 1), Line("P1", 2), Line("P2", 3)])
    assert merged == (Line("P2", 4), Line("P1", 2))


def test_items_are_in_the_order_of_the_lines_and_unknown_ones_come_last() -> None:
    unknown = PricedLine("P0", 1, 1, "?")
    assert in_order_of(LINES, [unknown, *ITEMS]) == (ITEMS[1], ITEMS[0], unknown)
    assert in_order_of(LINES, ITEMS[:1]) == ITEMS[:1]


# Orders


def test_pending_order_has_all_that_the_attempt_says() -> None:
    attempt = replace(
        begin(expected_total=5, hold_seconds=60, details=DETAILS), actor="Anna", number=2
    )
    assert Order.new_pending(attempt, NOW) == Order(
        attempt.order_id,
        "C1",
        Status.PENDING,
        NOW,
        attempt.fingerprint,
        2,
        attempt.nonce,
        LINES,
        expected_total=5,
        details=DETAILS,
        expires_at=NOW + timedelta(seconds=60),
        history=(Event(EventType.PLACED, NOW, "Anna"),),
    )
    assert Order.new_pending(begin(), NOW).expires_at is None


def test_confirmed_order_has_prices_and_an_event() -> None:
    attempt = replace(begin(), actor="Anna")
    order = Order.new_reserved(attempt, ITEMS, "USD", NOW)
    placed = Event(EventType.PLACED, NOW, "Anna")
    assert order == replace(
        Order.new_pending(attempt, NOW),
        status=Status.CONFIRMED,
        items=(ITEMS[1], ITEMS[0]),
        currency="USD",
        history=(placed, Event(EventType.CONFIRMED, NOW, "Anna")),
    )
    assert order.total_price == 2 * 1_000 + 3 * 99_999


def test_order_with_another_total_is_rejected_with_both_totals() -> None:
    attempt = replace(begin(expected_total=500), actor="Anna")
    order = Order.new_reserved(attempt, ITEMS, "USD", NOW)
    rejection = Rejection(
        "price-changed",
        "The order costs 3019.97 USD now, not 5.00. To accept the new total, order again with it"
        " as expected_total and a new Idempotency-Key.",
        {"total_price": 301_997, "currency": "USD"},
    )
    assert order == replace(
        Order.new_pending(attempt, NOW),
        status=Status.REJECTED,
        rejection=rejection,
        history=(Event(EventType.REJECTED, NOW, "Anna", "price-changed"),),
    )
    assert order.rejected_for_price


@pytest.mark.parametrize(("extra", "stored"), [(0, 10**18), (1, str(10**18 + 1))])
def test_total_beyond_the_databases_integers_is_stored_as_a_text(
    extra: int, stored: int | str
) -> None:
    attempt = Attempt.begin("C1", (Line("P1", 1),), None, 500)
    order = Order.new_reserved(attempt, (PricedLine("P1", 1, 10**18 + extra, "?"),), "USD", NOW)
    assert order.rejection is not None
    assert order.rejection.extensions["total_price"] == stored


def test_decided_order_is_not_decided_again() -> None:
    order = confirmed()
    assert order.confirm_or_reject((), "EUR", "Anna", LATER) is order
    assert order.reject(Rejection("x", "y"), "Anna", LATER) is order


def test_abandoned_mark_has_the_parts_of_the_reservations_name() -> None:
    name = ReservationName(f"ORD{DIGEST}", 12, DIGEST)
    mark = Order.new_abandoned_mark(name, NOW)
    assert mark == Order(name.order_id, "", Status.ABANDONED, NOW, DIGEST, 12, mark.nonce, lines=())
    assert mark.nonce != Order.new_abandoned_mark(name, NOW).nonce
    assert mark.reservation_id == str(name)
    assert mark.can_be_replaced_by(name)
    assert not mark.can_be_replaced_by(replace(name, fingerprint="other"))
    assert not confirmed().can_be_replaced_by(begin())


def test_order_owns_its_own_reservation_while_it_keeps_it() -> None:
    order = confirmed()
    assert order.owns(order.reservation_id)
    assert not order.owns("another")
    assert not with_status(Status.CANCELLED).owns(order.reservation_id)
    assert with_status(NewerStatus("newer")).owns(order.reservation_id)


def test_order_is_shown_to_its_customer_and_to_staff_only() -> None:
    order = confirmed()
    order.require_customer("C1")
    order.require_customer(None)
    with pytest.raises(OrderNotFoundError, match=order.order_id):
        order.require_customer("C2")
    with pytest.raises(OrderNotFoundError):
        replace(order, customer_id=ERASED).require_customer(ERASED)


def test_erased_order_has_no_personal_data() -> None:
    movement = Movement(MovementKind.RELEASE, *ANNA)
    order = replace(
        confirmed(),
        details=DETAILS,
        movement=movement,
        history=(Event(EventType.PLACED, NOW, *ANNA),),
    )
    assert order.erase_personal() == replace(
        order,
        customer_id="erased",
        details=Details(reference="S-1"),
        movement=Movement(MovementKind.RELEASE, "operator"),
        history=(Event(EventType.PLACED, NOW, "operator"),),
    )
    assert confirmed().erase_personal().movement is None
    with pytest.raises(NewerRevisionError):
        with_status(NewerStatus("newer")).erase_personal()


def test_payment_is_recorded_with_who_reported_it() -> None:
    order = Order.new_reserved(begin(hold_seconds=60), ITEMS, "USD", NOW)
    assert order.confirm_payment(ANNA, LATER) == replace(
        order,
        status=Status.CONFIRMED,
        history=(*order.history, Event(EventType.CONFIRMED, LATER, *ANNA)),
    )


def test_expiry_begins_at_the_moment_of_the_deadline() -> None:
    order = Order.new_reserved(begin(hold_seconds=60), ITEMS, "USD", NOW)
    due = NOW + timedelta(seconds=60)
    assert order.begin_expiry(due - timedelta(microseconds=1)) is order
    assert order.begin_expiry(due) == replace(
        order,
        status=Status.CANCELLING,
        movement=Movement(MovementKind.RELEASE, "reconcile", "expired"),
        expired=True,
    )
    paid = confirmed()
    assert paid.begin_expiry(due) is paid


@pytest.mark.parametrize(
    ("begin_change", "kind", "status"),
    [
        (Order.begin_cancel, MovementKind.RELEASE, Status.CANCELLING),
        (Order.begin_fulfil, MovementKind.CONSUME, Status.FULFILLING),
    ],
)
def test_change_of_the_whole_order_records_who_began_it(
    begin_change: Callable[[Order, By], Order], kind: MovementKind, status: Status
) -> None:
    order = confirmed()
    begun = begin_change(order, ANNA)
    assert begun == replace(order, status=status, movement=Movement(kind, *ANNA))
    assert begin_change(begun, BY) is begun


def test_finished_cancellation_counts_all_units_and_records_who_began_it() -> None:
    order = confirmed().begin_cancel(ANNA)
    assert order.finish_cancel(LATER) == replace(
        order,
        status=Status.CANCELLED,
        movement=None,
        lines=(Line("P2", 3, 3), Line("P1", 2, 2)),
        history=(*order.history, Event(EventType.CANCELLED, LATER, *ANNA)),
    )


def test_finished_fulfilment_counts_all_units_and_records_who_began_it() -> None:
    order = confirmed().begin_fulfil(ANNA)
    assert order.finish_fulfil(LATER) == replace(
        order,
        status=Status.FULFILLED,
        movement=None,
        lines=(Line("P2", 3, 0, 3), Line("P1", 2, 0, 2)),
        history=(*order.history, Event(EventType.FULFILLED, LATER, *ANNA)),
    )


def test_change_that_an_older_revision_began_is_finished_by_reconcile() -> None:
    order = with_status(Status.CANCELLING).finish_cancel(LATER)
    assert order.history[-1] == Event(EventType.CANCELLED, LATER, RECONCILE)


def test_movement_of_a_part_and_its_end_are_recorded() -> None:
    order = confirmed()
    begun = order.begin_movement(MovementKind.CONSUME, {"1": 2}, ANNA, "key")
    movement = Movement(MovementKind.CONSUME, *ANNA, number=1, lines=(Line("P2", 2),), key="key")
    assert begun == replace(order, status=Status.CHANGING, movement=movement, last_movement=1)
    event = Event(EventType.LINE_FULFILLED, LATER, *ANNA, lines=(Line("P2", 2),), key="key")
    finished = begun.finish_movement(1, LATER)
    assert finished == replace(
        begun,
        status=Status.PARTIALLY_FULFILLED,
        movement=None,
        lines=(Line("P2", 3, 0, 2), Line("P1", 2)),
        history=(*order.history, event),
    )
    assert begun.finish_movement(2, LATER) is begun
    rest = finished.begin_cancel(BY).finish_cancel(LATER)
    assert rest.status is Status.FULFILLED
    assert rest.lines == (Line("P2", 3, 1, 2), Line("P1", 2, 2))
    cancelled = (Line("P1", 2), Line("P2", 1))
    assert rest.history[-2:] == (
        Event(EventType.LINE_CANCELLED, LATER, *BY, lines=cancelled),
        Event(EventType.FULFILLED, LATER, *BY),
    )


def test_key_that_changed_a_part_cannot_be_used_for_the_whole_order() -> None:
    begun = confirmed().begin_movement(MovementKind.CONSUME, {"1": 2}, ANNA, "used")
    for order in (begun, begun.finish_movement(1, LATER)):
        with pytest.raises(IdempotencyKeyReusedError, match="another change of this order"):
            order.require_key_changed_no_part("used")
        order.require_key_changed_no_part("other")
        order.require_key_changed_no_part(None)


def test_excess_of_each_line_is_explained() -> None:
    order = confirmed().begin_movement(MovementKind.CONSUME, {"1": 2}, ANNA, "a")
    order = order.finish_movement(1, LATER)
    with pytest.raises(Exception, match="does not allow this") as error:
        order.begin_movement(MovementKind.RELEASE, {"1": 2_000, "9": 1, "2": 2}, ANNA, "b")
    assert str(error.value).endswith(
        ": it has no line 9; line 1 (P2): 2,000 requested, and 1 of 3 are left"
    )
    with pytest.raises(Exception, match="does not allow this") as error:
        order.begin_movement(MovementKind.RESTOCK, {"1": 3}, ANNA, "b")
    assert str(error.value).endswith(": line 1 (P2): 3 requested, and 2 of 3 can come back")


def test_status_that_this_revision_does_not_know_is_kept() -> None:
    assert parse_status("confirmed") is Status.CONFIRMED
    newer = parse_status("gift_wrapping")
    assert isinstance(newer, NewerStatus)
    assert newer == "gift_wrapping"


def test_pending_order_with_another_total_is_rejected_by_the_one_who_decides() -> None:
    pending = Order.new_pending(begin(expected_total=500), NOW)
    order = pending.confirm_or_reject(ITEMS, "JPY", RECONCILE, LATER)
    assert order.rejection is not None
    assert order.rejection.detail.startswith("The order costs 301997 JPY now, not 500.")
    assert order.history == (
        *pending.history,
        Event(EventType.REJECTED, LATER, RECONCILE, "price-changed"),
    )


def test_order_without_a_movement_has_none_to_finish() -> None:
    order = with_status(Status.CHANGING)
    assert order.movement is None
    assert order.finish_movement(1, LATER) is order


def test_movement_of_the_last_units_ends_the_order() -> None:
    begun = confirmed().begin_movement(MovementKind.CONSUME, {"1": 3, "2": 2}, ANNA, "key")
    order = begun.finish_movement(1, LATER)
    assert order.status is Status.FULFILLED
    assert order.history[-1] == Event(EventType.FULFILLED, LATER, *ANNA)


def test_key_of_an_open_movement_stands_for_that_movement_only() -> None:
    begun = confirmed().begin_movement(MovementKind.CONSUME, {"1": 2}, ANNA, "key")
    assert begun.begin_movement(MovementKind.CONSUME, {"1": 2}, BY, "key") is begun
    for kind, wanted in (
        (MovementKind.RELEASE, {"1": 2}),
        (MovementKind.CONSUME, {"1": 1}),
        (MovementKind.CONSUME, {"1": 2, "9": 1}),
    ):
        with pytest.raises(IdempotencyKeyReusedError, match="for another change of this order"):
            begun.begin_movement(kind, wanted, ANNA, "key")


def test_units_that_came_back_cannot_come_back_again() -> None:
    order = confirmed().begin_movement(MovementKind.CONSUME, {"1": 2}, ANNA, "a")
    order = order.finish_movement(1, LATER)
    order = order.begin_movement(MovementKind.RESTOCK, {"1": 1}, ANNA, "b")
    order = order.finish_movement(2, LATER)
    with pytest.raises(ExceedsRemainingError, match="2 requested, and 1 of 3 can come back"):
        order.begin_movement(MovementKind.RESTOCK, {"1": 2}, ANNA, "c")


@pytest.mark.parametrize(
    "change",
    [
        lambda order: order.begin_cancel(BY),
        lambda order: order.begin_fulfil(BY),
        lambda order: order.confirm_payment(BY, LATER),
        lambda order: order.begin_movement(MovementKind.RELEASE, {"1": 1}, BY, "key"),
    ],
    ids=["cancel", "fulfil", "confirm", "cancel a part"],
)
def test_order_of_a_newer_revision_is_not_changed(change: Callable[[Order], Order]) -> None:
    order = with_status(NewerStatus("gift_wrapping"))
    with pytest.raises(NewerRevisionError) as error:
        change(order)
    assert error.value.order is order
