"""The findings of the audit: each invariant broken once, and any single damage to a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product as combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, MemorySnapshot, WholeShop, death
from support.stores.builders import BY

from order_function.audit import invariants
from order_function.audit.invariants import (
    AuditedOrder,
    AuditedProduct,
    AuditedReservation,
    Finding,
    MovedUnits,
    StockTotals,
)
from order_function.domain import (
    Attempt,
    Line,
    MovementKind,
    Order,
    OrderError,
    PricedLine,
    ReservationName,
    Status,
)
from order_function.ports import InventoryFailedError
from order_function.service import OrderOutcomeUnknownError, UnfinishedChangeError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ITEMS = (PricedLine("P001", 2, 99_999, "Laptop"), PricedLine("P002", 1, 2_490, "Mouse"))
LINES = tuple(Line(item.product_id, item.quantity) for item in ITEMS)
GRACE = timedelta(minutes=1)
YOUNG, OLD = GRACE / 2, GRACE
HELD, CONFIRMED, PARTIAL = "held", "confirmed", "partial"
RELEASED, CONSUMED = "released", "consumed"


def an_order(status: Status, customer_id: str = "C1", key: str = "key") -> Order:
    order = Order.new_reserved(Attempt.begin(customer_id, LINES, key), ITEMS, "USD", NOW)
    moves = {Status.CANCELLED: Line.cancel, Status.FULFILLED: Line.fulfil}
    if move := moves.get(status):
        order = replace(order, lines=tuple(move(line, line.open) for line in order.lines))
    return replace(order, status=status)


def a_reservation(name: str, status: str, age: timedelta = OLD) -> AuditedReservation:
    return AuditedReservation(name, ReservationName.parse(name), status, "USD", ITEMS, age)


def findings(
    orders: Iterable[Order],
    reservations: Iterable[AuditedReservation],
    age: timedelta = YOUNG,
) -> list[Finding]:
    """The findings of these orders and reservations. ``age``: since the orders' last change."""
    audited = (AuditedOrder(order, age) for order in sorted(orders, key=lambda o: o.order_id))
    by_id = sorted(reservations, key=lambda each: each.reservation_id)
    return [*invariants.check_orders(audited, by_id, StockTotals(), GRACE)]


def named(found: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.invariant, each.subject) for each in found]


# Findings by the statuses of order and reservation. S: order-has-its-stock, L: no-stock-leaks.
OWN = {
    #                   not there  held  confirmed  partial  released  consumed
    Status.PENDING: ("", "", "S", "S", "S", "S"),
    Status.AWAITING_PAYMENT: ("S", "", "", "S", "S", "S"),
    Status.CONFIRMED: ("S", "", "", "", "S", "S"),
    Status.CHANGING: ("S", "", "", "", "", ""),
    Status.PARTIALLY_FULFILLED: ("S", "S", "S", "", "S", "S"),
    Status.CANCELLING: ("", "", "", "", "", "S"),
    Status.CANCELLED: ("S", "LS", "LS", "LS", "", "S"),
    Status.REJECTED: ("", "L", "LS", "LS", "", "S"),
    Status.FULFILLING: ("S", "", "", "", "S", ""),
    Status.FULFILLED: ("S", "LS", "LS", "LS", "S", ""),
    Status.ABANDONED: ("", "L", "LS", "LS", "", "S"),
}
RESERVATIONS = (None, HELD, CONFIRMED, PARTIAL, RELEASED, CONSUMED)


def wrong(status: Status, reservation: str | None) -> str:
    return OWN[status][RESERVATIONS.index(reservation)]


@pytest.mark.parametrize(("status", "reservation"), [*combinations(Status, RESERVATIONS)])
def test_a_finding_is_reported_when_the_reservation_has_a_wrong_status(
    status: Status, reservation: str | None
) -> None:
    order = an_order(status)
    own = [a_reservation(order.reservation_id, reservation)] if reservation else []
    codes = {
        "L": ("no-stock-leaks", f"reservations/{order.reservation_id}"),
        "S": ("order-has-its-stock", f"orders/{order.order_id}"),
    }
    expected = [codes[code] for code in wrong(status, reservation)]
    assert named(findings([order], own)) == expected


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.FULFILLING, Status.FULFILLED])
@pytest.mark.parametrize(
    "items",
    [
        (replace(ITEMS[0], unit_price=1), ITEMS[1]),
        (replace(ITEMS[0], quantity=3), ITEMS[1]),
        (replace(ITEMS[0], name="Desk"), ITEMS[1]),
        ITEMS[:1],
    ],
    ids=["price", "quantity", "name", "line"],
)
def test_a_finding_is_reported_when_the_items_differ_from_the_reservation(
    status: Status, items: tuple[PricedLine, ...]
) -> None:
    order = replace(an_order(status), items=items)
    reserved = CONSUMED if status is Status.FULFILLED else CONFIRMED
    found = findings([order], [a_reservation(order.reservation_id, reserved)])
    assert named(found) == [("order-is-as-reserved", f"orders/{order.order_id}")]


def test_a_finding_is_reported_when_the_currency_differs_from_the_reservation() -> None:
    order = replace(an_order(Status.CONFIRMED), currency="EUR")
    found = findings([order], [a_reservation(order.reservation_id, HELD)])
    assert named(found) == [("order-is-as-reserved", f"orders/{order.order_id}")]


@pytest.mark.parametrize("status", [Status.PENDING, Status.CANCELLING, Status.FULFILLING])
def test_an_unfinished_order_is_a_finding_when_it_is_old(status: Status) -> None:
    order = an_order(status)
    held = [a_reservation(order.reservation_id, HELD)]
    assert findings([order], held, YOUNG) == []
    found = findings([order], held, OLD)
    assert named(found) == [("nothing-half-done", f"orders/{order.order_id}")]


@pytest.mark.parametrize(
    ("status", "age", "leaks"),
    [
        (HELD, YOUNG, False),
        (HELD, OLD, True),
        (CONFIRMED, YOUNG, True),
        (PARTIAL, YOUNG, True),
        (RELEASED, OLD, False),
    ],
)
@pytest.mark.parametrize("name", [an_order(Status.CONFIRMED).reservation_id, "made-by-hand"])
def test_a_live_reservation_without_an_order_is_a_finding_unless_it_is_young_and_held(
    status: str, age: timedelta, name: str, *, leaks: bool
) -> None:
    found = findings([], [a_reservation(name, status, age)])
    assert named(found) == ([("no-stock-leaks", f"reservations/{name}")] if leaks else [])


@pytest.mark.parametrize("name", [an_order(Status.CONFIRMED).reservation_id, "made-by-hand"])
def test_a_consumed_reservation_without_an_order_is_a_finding(name: str) -> None:
    found = findings([], [a_reservation(name, CONSUMED)])
    assert named(found) == [("shipped-for-an-order", f"reservations/{name}")]


def test_an_order_has_only_the_reservation_of_its_attempt() -> None:
    attempts = [Attempt.begin("C1", LINES, "key")]
    for _ in range(11):  # sorted by id, 10 comes before 2
        attempts.append(replace(attempts[-1], number=attempts[-1].number + 1))
    order = Order.new_reserved(attempts[2], ITEMS, "USD", NOW)
    statuses = dict.fromkeys((each.reservation_id for each in attempts), RELEASED)
    statuses[order.reservation_id] = HELD

    def found() -> list[tuple[str, str]]:
        return named(findings([order], [a_reservation(*each) for each in statuses.items()]))

    assert found() == []
    leaked = attempts[10].reservation_id
    statuses[leaked] = HELD
    assert found() == [("no-stock-leaks", f"reservations/{leaked}")]


@given(st.data())
@settings(deadline=None)
def test_orders_and_reservations_are_matched_when_their_ids_are_random(data: st.DataObject) -> None:
    """Some orders have no reservation, and some reservations have no order."""
    keys = data.draw(st.lists(st.text(), unique=True, max_size=8))
    orders, reservations, expected = [], [], set()
    for key in keys:
        order = an_order(Status.CONFIRMED, key=key)
        name, kind = order.reservation_id, data.draw(st.sampled_from(["both", "order", "stock"]))
        if kind != "stock":
            orders.append(order)
        if kind != "order":
            reservations.append(a_reservation(name, CONFIRMED))
        if kind == "order":
            expected.add(("order-has-its-stock", f"orders/{order.order_id}"))
        if kind == "stock":
            expected.add(("no-stock-leaks", f"reservations/{name}"))
    for name in data.draw(st.sets(st.sampled_from(["0", "ORD", "ORDER-7", "by-hand", "zzz"]))):
        reservations.append(a_reservation(name, HELD))
        expected.add(("no-stock-leaks", f"reservations/{name}"))
    found = named(findings(orders, reservations))
    assert len(found) == len(expected)
    assert set(found) == expected


SOUND = AuditedProduct("P001", available=5, reserved=2, shipped=1)


@pytest.mark.parametrize(
    ("product", "invariants_broken"),
    [
        (SOUND, []),
        (replace(SOUND, available=6), ["stock-adds-up"]),
        (replace(SOUND, reserved=3, available=4), ["reserved-is-held"]),
        (replace(SOUND, shipped=2, available=4), ["shipped-was-consumed"]),
        (replace(SOUND, available=-1), ["stock-not-negative", "stock-adds-up"]),
    ],
)
def test_a_finding_is_reported_when_a_product_differs_from_its_totals(
    product: AuditedProduct, invariants_broken: list[str]
) -> None:
    totals = StockTotals()
    for delta in (10, -2):
        totals.add_adjustment("P001", delta)
    one = (PricedLine("P001", 1, 99_999, "Laptop"),)
    for name, status in enumerate((HELD, CONFIRMED, CONSUMED, RELEASED)):
        totals.add_reservation(replace(a_reservation(str(name), status), items=one))
    found = [*totals.check_products([product])]
    assert named(found) == [(name, "products/P001") for name in invariants_broken]


@pytest.mark.parametrize(
    ("status", "counts", "available", "reserved", "shipped"),
    [
        (HELD, MovedUnits(), 2, 3, 0),
        (CONFIRMED, MovedUnits(), 2, 3, 0),
        (PARTIAL, MovedUnits(released=1), 3, 2, 0),
        (PARTIAL, MovedUnits(consumed=2), 2, 1, 2),
        (PARTIAL, MovedUnits(released=1, consumed=1, returned=1), 4, 1, 0),
        (RELEASED, MovedUnits(released=3), 5, 0, 0),
        (RELEASED, MovedUnits(), 5, 0, 0),
        (CONSUMED, MovedUnits(), 2, 0, 3),
        (CONSUMED, MovedUnits(released=1, consumed=2, returned=2), 5, 0, 0),
        (CONSUMED, MovedUnits(released=2, consumed=1), 4, 0, 1),
    ],
)
def test_totals_follow_from_the_status_and_the_counts_of_a_reservation(
    status: str, counts: MovedUnits, available: int, reserved: int, shipped: int
) -> None:
    """Three of five units were reserved. Without counts, the status applies to all of them."""
    product = AuditedProduct("P001", available, reserved, shipped)

    def found(counts: MovedUnits) -> list[tuple[str, str]]:
        totals = StockTotals()
        totals.add_adjustment("P001", 5)
        three = (PricedLine("P001", 3, 99_999, "Laptop"),)
        totals.add_reservation(
            replace(a_reservation("R", status), items=three, counts={"P001": counts})
        )
        return named(totals.check_products([product]))

    assert found(counts) == []
    if status == PARTIAL:
        other = replace(counts, released=counts.released + 1)
        assert found(other) == [("reserved-is-held", "products/P001")]


def test_a_finding_is_reported_when_a_product_with_stock_is_missing() -> None:
    totals = StockTotals()
    totals.add_adjustment("P001", 5)
    assert named(totals.check_products([])) == [("product-exists", "products/P001")]
    totals = StockTotals()
    totals.add_adjustment("P001", 5)
    totals.add_adjustment("P001", -5)
    assert not [*totals.check_products([])], "its total is zero"


# A database that only the functions have written has no finding. Any damage to it is one.

PRODUCTS = ("P001", "P002")
KEYS = st.text("abc", min_size=1, max_size=2)
Step = Callable[[WholeShop], object]


def placing(
    key: str, quantities: dict[str, int], total: int | None, hold: int | None, dies_before: int
) -> Step:
    lines = [Line(*each) for each in quantities.items()]
    return lambda shop: shop.place(
        "C1",
        lines,
        key,
        total,
        hold_seconds=hold,
        respond_async=len(key) == 1,
        between=Between(dies_before, death),
    )


def moving(verb: str, which: int, dies_before: int) -> Step:
    def move(shop: WholeShop) -> None:
        order_ids = sorted(shop.store.documents)
        if order_ids:
            orders = shop.orders_with(Between(dies_before, death))
            getattr(orders, verb)(order_ids[which % len(order_ids)], BY)

    return move


def moving_a_part(
    kind: MovementKind, units: dict[str, int], key: str, which: int, dies_before: int
) -> Step:
    def move(shop: WholeShop) -> None:
        order_ids = sorted(shop.store.documents)
        if order_ids:
            orders = shop.orders_with(Between(dies_before, death))
            orders.change_part(order_ids[which % len(order_ids)], kind, units, BY, key)

    return move


def away(*, is_away: bool) -> Step:
    return lambda shop: setattr(shop.inventory, "away", is_away)


PLACES = st.integers(0, 6)
STEPS = st.one_of(
    st.builds(
        placing,
        KEYS,
        st.dictionaries(st.sampled_from(PRODUCTS), st.integers(1, 4), min_size=1),
        st.sampled_from([None, None, None, 1]),
        st.sampled_from([None, None, 0, 3600]),
        PLACES,
    ),
    st.builds(moving, st.sampled_from(["cancel", "fulfil", "confirm"]), st.integers(0, 9), PLACES),
    st.builds(
        moving_a_part,
        st.sampled_from(MovementKind),
        st.dictionaries(st.sampled_from("12"), st.integers(1, 2), min_size=1),
        KEYS,
        st.integers(0, 9),
        PLACES,
    ),
    st.builds(away, is_away=st.booleans()),
    st.just(WholeShop.sweep),
)


def lived(steps: Iterable[Step]) -> WholeShop:
    shop = WholeShop(P001=30, P002=12, P003=1)
    for step in steps:
        with suppress(*EXPECTED):
            step(shop)
    return shop


EXPECTED = (
    OrderError,
    InventoryFailedError,
    OrderOutcomeUnknownError,
    UnfinishedChangeError,
    ProcessDiedError,
)

lives = st.lists(STEPS, min_size=1, max_size=20).map(lived)
unhurried = settings(
    deadline=None,
    max_examples=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@given(lives)
@unhurried
def test_a_database_has_no_finding_after_any_use_of_the_functions(shop: WholeShop) -> None:
    assert not MemorySnapshot(shop).findings(timedelta(days=1)), "no finding before reconcile"
    shop.inventory.away = False
    shop.sweep_up()
    assert not MemorySnapshot(shop).findings(timedelta()), "no finding after reconcile"


def replaced(among: list[Any], victim: Any, damaged: Any) -> None:
    among[among.index(victim)] = damaged


def miscounted(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    victim = data.draw(st.sampled_from(snapshot.all_products))
    place = data.draw(st.sampled_from(["available", "reserved", "shipped"]))
    units = getattr(victim, place) + data.draw(st.sampled_from([-1, 1, 1000]))
    replaced(snapshot.all_products, victim, replace(victim, **{place: units}))


def misplaced(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    """The units move to another counter, so the sum stays right."""
    victim = data.draw(st.sampled_from(snapshot.all_products))
    places = st.permutations(["available", "reserved", "shipped"])
    source, target, _ = data.draw(places)
    changes = {source: getattr(victim, source) - 1, target: getattr(victim, target) + 1}
    replaced(snapshot.all_products, victim, replace(victim, **changes))


def product_lost(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    snapshot.all_products.remove(data.draw(st.sampled_from(snapshot.all_products)))


def adjustment_lost(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    snapshot.all_adjustments.remove(data.draw(st.sampled_from(snapshot.all_adjustments)))


def holding(snapshot: MemorySnapshot) -> list[AuditedReservation]:
    """Without released reservations: their loss breaks no invariant if they held nothing."""
    return [each for each in snapshot.all_reservations if each.status != RELEASED]


def reservation_lost(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    snapshot.all_reservations.remove(data.draw(st.sampled_from(holding(snapshot))))


def reservation_flipped(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    """The status changes to one whose units have another counter."""
    victim = data.draw(st.sampled_from(holding(snapshot)))
    status = data.draw(st.sampled_from([RELEASED, CONSUMED if victim.live else CONFIRMED]))
    replaced(snapshot.all_reservations, victim, replace(victim, status=status))


def order_lost(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    names = {each.name.order_id for each in holding(snapshot) if each.name}
    found = [each for each in snapshot.all_orders if each.order.order_id in names]
    snapshot.all_orders.remove(data.draw(st.sampled_from(found)))


def order_flipped(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    """The status changes to one that does not match the reservation."""
    statuses = {each.reservation_id: each.status for each in snapshot.all_reservations}
    found = [
        (each, status)
        for each in snapshot.all_orders
        for status in Status
        if wrong(status, statuses.get(each.order.reservation_id))
    ]
    victim, status = data.draw(st.sampled_from(found))
    damaged = replace(victim, order=replace(victim.order, status=status))
    replaced(snapshot.all_orders, victim, damaged)


def order_repriced(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    priced = (Status.CONFIRMED, Status.FULFILLED)
    found = [each for each in snapshot.all_orders if each.order.status in priced]
    victim = data.draw(st.sampled_from(found))
    items = tuple(replace(item, unit_price=item.unit_price + 1) for item in victim.order.items)
    damaged = replace(victim, order=replace(victim.order, items=items))
    replaced(snapshot.all_orders, victim, damaged)


def order_miscounted(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    counted = (Status.CONFIRMED, Status.PARTIALLY_FULFILLED, Status.FULFILLED)
    found = [each for each in snapshot.all_orders if each.order.status in counted]
    victim = data.draw(st.sampled_from(found))
    first, *rest = victim.order.lines
    move = data.draw(st.sampled_from([Line.cancel, Line.fulfil, Line.take_back]))
    lines = (move(first, data.draw(st.sampled_from([-1, 1]))), *rest)
    replaced(snapshot.all_orders, victim, replace(victim, order=replace(victim.order, lines=lines)))


def reservation_miscounted(snapshot: MemorySnapshot, data: st.DataObject) -> None:
    victim = data.draw(st.sampled_from(holding(snapshot)))
    product_id, counts = next(iter(victim.counts.items()))
    name = data.draw(st.sampled_from(["released", "consumed", "returned"]))
    damaged = replace(counts, **{name: getattr(counts, name) + 1})
    if victim.status == CONSUMED and name == "consumed":
        damaged = replace(damaged, released=counts.released - 1)  # all units stay counted
    counts_by_product = {**victim.counts, product_id: damaged}
    replaced(snapshot.all_reservations, victim, replace(victim, counts=counts_by_product))


DAMAGES = (
    miscounted,
    misplaced,
    product_lost,
    adjustment_lost,
    reservation_lost,
    reservation_flipped,
    order_lost,
    order_flipped,
    order_repriced,
    order_miscounted,
    reservation_miscounted,
)


@pytest.mark.parametrize("damage", DAMAGES)
@given(lives, st.data())
@settings(unhurried, max_examples=50)
def test_any_single_damage_is_found(
    damage: Callable[[MemorySnapshot, st.DataObject], None], shop: WholeShop, data: st.DataObject
) -> None:
    shop.inventory.away = False
    shop.place("C2", [Line("P003", 1)], None)  # something to damage
    shop.sweep_up()
    snapshot = MemorySnapshot(shop)
    damage(snapshot, data)
    assert snapshot.findings()


@pytest.mark.parametrize(
    ("status", "moved", "counted"),
    [
        (Status.PARTIALLY_FULFILLED, MovedUnits(consumed=1), Line("P001", 2, fulfilled=1)),
        (Status.CONFIRMED, MovedUnits(released=1), Line("P001", 2, cancelled=1)),
    ],
    ids=["fulfilled", "cancelled"],
)
def test_a_finding_is_reported_when_the_counts_differ_from_the_reservation(
    status: Status, moved: MovedUnits, counted: Line
) -> None:
    order = an_order(status)
    same = replace(order, lines=(counted, *order.lines[1:]))
    reservation = replace(
        a_reservation(order.reservation_id, PARTIAL), counts={counted.product_id: moved}
    )
    assert findings([same], [reservation]) == []
    assert named(findings([order], [reservation])) == [
        ("order-counts-as-reserved", f"orders/{order.order_id}")
    ]
    without = replace(reservation, counts={})
    assert named(findings([same], [without])) == [
        ("order-counts-as-reserved", f"orders/{order.order_id}")
    ]


def test_rest_of_a_partly_fulfilled_order_may_be_cancelled() -> None:
    order = an_order(Status.CANCELLING)
    partly = replace(order, lines=(order.lines[0].fulfil(1), *order.lines[1:]))
    consumed = [a_reservation(order.reservation_id, CONSUMED)]
    assert findings([partly], consumed) == []
    assert named(findings([order], consumed)) == [
        ("order-has-its-stock", f"orders/{order.order_id}")
    ]
