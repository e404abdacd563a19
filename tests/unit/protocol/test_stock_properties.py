"""Property tests: after any requests in any order, stock adds up and responses stay true."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, MemorySnapshot, WholeShop, death
from support.stores.builders import BY, SOON, stocked, units

from functions_common.firestore.errors import StoreError
from functions_common.ids import digest_id
from inventory_function.domain import (
    Adjustment,
    CatalogueChanges,
    Line,
    Movement,
    MovementKind,
    RecordedReservation,
    StockError,
    merge,
)
from inventory_function.service import Inventory
from order_function import domain as order
from order_function import service
from order_function.domain import Status
from order_function.ports import InventoryFailedError

BOUNDED = settings(max_examples=100, stateful_step_count=30, deadline=None, print_blob=True)

PRODUCTS = ("A", "B", "C")
OPENING = 12
names = st.sampled_from(["R1", "R2", "R3", "R4"])
products = st.sampled_from(PRODUCTS)
wanted = st.lists(st.tuples(products, st.integers(1, 5)), min_size=1, max_size=4)
movement_lines = st.lists(st.tuples(products, st.integers(1, 2)), min_size=1, max_size=2)


def is_rejected(call: Callable[[], object]) -> bool:
    try:
        call()
    except StockError:
        return True
    return False


@dataclass
class Shelf:
    """The model of a product."""

    bought: int = OPENING
    on_sale: bool = True


@dataclass
class Held:
    """The model of a reservation."""

    quantities: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    shipped: dict[str, int] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    """Applied ones; the number of the last is their count."""
    ever_shipped: bool = False

    @property
    def released(self) -> bool:
        """No unit is held, and none was ever shipped."""
        return not any(self.held.values()) and not self.ever_shipped

    def move_rest(self, kind: MovementKind) -> None:
        for name, held in self.held.items():
            self.move(kind, name, held)

    def move(self, kind: MovementKind, name: str, units: int) -> None:
        if kind is MovementKind.RESTOCK:
            self.shipped[name] -= units
            return
        self.held[name] -= units
        if kind is MovementKind.CONSUME:
            self.shipped[name] += units
            self.ever_shipped |= units > 0

    def accepts(self, movement: Movement) -> bool:
        if movement.seq <= len(self.movements):
            return movement == self.movements[-1]
        source = self.shipped if movement.kind is MovementKind.RESTOCK else self.held
        fits = all(line.quantity <= source.get(line.product_id, 0) for line in movement.lines)
        return movement.seq == len(self.movements) + 1 and fits


class InventoryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = stocked(**dict.fromkeys(PRODUCTS, OPENING))
        self.inventory = Inventory(self.store, "USD", SOON)
        self.shelves = {name: Shelf() for name in PRODUCTS}
        self.reservations: dict[str, Held] = {}
        self.adjusted: dict[tuple[str, str], int] = {}

    def units(self, product_id: str, state: str) -> int:
        return sum(getattr(each, state).get(product_id, 0) for each in self.reservations.values())

    def available(self, product_id: str) -> int:
        gone = self.units(product_id, "held") + self.units(product_id, "shipped")
        return self.shelves[product_id].bought - gone

    @rule(name=names, lines=wanted)
    def reserve(self, name: str, lines: list[tuple[str, int]]) -> None:
        quantities = {each: sum(n for other, n in lines if other == each) for each, _ in lines}
        there = self.reservations.get(name)
        fine = (
            not there.released and there.quantities == quantities
            if there
            else all(
                self.shelves[each].on_sale and n <= self.available(each)
                for each, n in quantities.items()
            )
        )
        merged = merge(Line(*each) for each in lines)
        assert is_rejected(lambda: self.inventory.reserve(name, merged)) != fine
        if fine:
            held = Held(quantities, dict(quantities), dict.fromkeys(quantities, 0))
            self.reservations.setdefault(name, held)

    @rule(some=st.lists(names, min_size=1, unique=True))
    def release(self, some: list[str]) -> None:
        self.inventory.release(tuple(some))
        for name in some:
            self.reservations.setdefault(name, Held()).move_rest(MovementKind.RELEASE)

    @rule(some=st.lists(names, min_size=1, unique=True))
    def consume(self, some: list[str]) -> None:
        self.inventory.consume(tuple(some))
        for there in (self.reservations[name] for name in some if name in self.reservations):
            there.move_rest(MovementKind.CONSUME)

    @rule(
        name=names,
        ahead=st.sampled_from([1, 1, 1, 0, -1, 2]),
        kind=st.sampled_from(MovementKind),
        lines=movement_lines,
    )
    def move(self, name: str, ahead: int, kind: MovementKind, lines: list[tuple[str, int]]) -> None:
        """``ahead``: by how much the movement's number differs from the last one."""
        there = self.reservations.get(name)
        last = len(there.movements) if there else 0
        merged = merge(Line(*each) for each in lines)
        self.send(name, Movement(max(1, last + ahead), kind, merged))

    @rule(name=names)
    def repeat_the_last_movement(self, name: str) -> None:
        there = self.reservations.get(name)
        if there and there.movements:
            self.send(name, there.movements[-1])

    def send(self, name: str, movement: Movement) -> None:
        there = self.reservations.get(name)
        fine = there is not None and there.accepts(movement)
        assert is_rejected(lambda: self.inventory.move(name, movement)) != fine
        if there and fine and movement.seq > len(there.movements):
            there.movements.append(movement)
            for line in movement.lines:
                there.move(movement.kind, line.product_id, line.quantity)

    @rule(some=st.lists(names, min_size=1, unique=True))
    def confirm(self, some: list[str]) -> None:
        """Changes the state of no unit."""
        self.inventory.confirm(tuple(some))

    @rule(name=products, key=st.sampled_from("12345"), delta=st.integers(-6, 6).filter(bool))
    def adjust(self, name: str, key: str, delta: int) -> None:
        known = self.adjusted.get((name, key))
        fine = known == delta if known else self.available(name) + delta >= 0
        assert is_rejected(lambda: self.inventory.adjust(name, key, delta, "counted")) != fine
        if fine and not known:
            self.adjusted[name, key] = delta
            self.shelves[name].bought += delta

    @rule(name=products, price=st.integers(0, 3), on_sale=st.sampled_from([True, False, None]))
    def put_product(self, name: str, price: int, *, on_sale: bool | None) -> None:
        changes: CatalogueChanges = {"name": "Lamp", "price": price}
        if on_sale is not None:
            changes["active"] = on_sale
        self.inventory.put_product(name, changes)
        if on_sale is not None:
            self.shelves[name].on_sale = on_sale

    @invariant()
    def every_unit_is_in_one_place(self) -> None:
        for name, shelf in self.shelves.items():
            expected = tuple(self.units(name, state) for state in ("held", "shipped"))
            found = units(self.store, name)
            assert found == (self.available(name), *expected)
            assert min(found) >= 0
            assert sum(found) == shelf.bought

    @invariant()
    def the_ledger_adds_up_in_pages_of_any_size(self) -> None:
        whole = self.ledger("A", 1000)
        assert len(whole) == len(set(map(place, whole)))
        moved = [changed for entry in whole for changed in entry.ledger_entries("A")]
        columns = zip(*((m.available, m.reserved, m.shipped) for m in moved), strict=True)
        assert tuple(map(sum, columns)) == units(self.store, "A")
        for size in range(1, len(whole)):
            assert self.ledger("A", size) == whole

    def ledger(self, product_id: str, size: int) -> list[Adjustment | RecordedReservation]:
        found: list[Adjustment | RecordedReservation] = []
        while page := self.inventory.ledger(product_id, place(found[-1]) if found else None, size):
            found += page
        return found


def place(entry: Adjustment | RecordedReservation) -> Any:
    if isinstance(entry, Adjustment):
        return entry.created_at, entry.adjustment_id
    return entry.reservation.reservation_id


TestInventory = InventoryMachine.TestCase
TestInventory.settings = settings(BOUNDED, max_examples=60)


keys = st.sampled_from(["k1", "k2", "k3"])
often_the_first = st.sampled_from(["k1", "k1", "k2", "k3"])
never_the_first = st.sampled_from(["k2", "k3"])
bodies = st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 4)), min_size=1, max_size=2)
places = st.one_of(st.just(0), st.integers(0, 8))
"""The number of the call at which a process ends; 0: it does not end."""


NO_RESPONSE = (
    ProcessDiedError,
    InventoryFailedError,
    service.OrderOutcomeUnknownError,
    service.UnfinishedChangeError,
    StoreError,
)
OUTCOMES = {
    "cancel": {Status.CANCELLING, Status.CANCELLED},
    "fulfil": {Status.FULFILLING, Status.FULFILLED},
}
PARTS = {
    order.MovementKind.RELEASE: {Status.CHANGING, Status.CANCELLED},
    order.MovementKind.CONSUME: {
        Status.CHANGING,
        Status.PARTIALLY_FULFILLED,
        Status.FULFILLED,
    },
    order.MovementKind.RESTOCK: {Status.CHANGING},
}
LINE_EVENTS = {
    order.MovementKind.RELEASE: order.EventType.LINE_CANCELLED,
    order.MovementKind.CONSUME: order.EventType.LINE_FULFILLED,
    order.MovementKind.RESTOCK: order.EventType.LINE_RETURNED,
}
UNDECIDED = (Status.PENDING, Status.AWAITING_PAYMENT)
parts = st.dictionaries(st.sampled_from("12"), st.integers(1, 2), min_size=1)


class Part(NamedTuple):
    """A request to move a part of an order."""

    order_id: str
    key: str
    kind: order.MovementKind
    units: tuple[tuple[str, int], ...]
    """By line id."""


class OrderMachine(RuleBasedStateMachine):
    """Customers, an operator and reconcile. Each process can be killed at any call."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = WholeShop(A=6, B=6)
        self.deliveries: list[order.Attempt] = []
        self.confirmed: set[str] = set()
        """Orders whose response was 201."""
        self.requested: dict[str, set[Status]] = {}
        """Further statuses that an order may have, because a request began to change it."""
        self.rejections: dict[tuple[str, str], order.Rejection] = {}
        """The rejection of a body under a key."""
        self.paid: set[str] = set()
        """Orders whose payment was confirmed."""
        self.expired: set[str] = set()
        """Orders whose confirmation was refused as too late."""
        self.moved: set[Part] = set()
        """Requests whose response was 200."""
        self.refused: set[Part] = set()
        """Requests whose response was a final 409."""
        self.impatience = pytest.MonkeyPatch()
        self.impatience.setattr(service, "FIRST_BACKOFF_SECONDS", 0.0)

    @initialize(fulfilled=st.sampled_from([{}, {}, {"1": 2}, {"1": 3, "2": 2}]))
    def an_order_has_parts_that_can_move(self, fulfilled: dict[str, int]) -> None:
        self.place("k1", [("A", 3), ("B", 2)], None, None, dies=0)
        if fulfilled:
            self.move_a_part(order.MovementKind.CONSUME, "k1", "m0", fulfilled, dies=0)

    @rule(
        key=keys,
        lines=bodies,
        total=st.sampled_from([None, None, 1]),
        hold=st.sampled_from([None, 0, 0, 3600]),
        dies=places,
    )
    def place(
        self,
        key: str,
        lines: list[tuple[str, int]],
        total: int | None,
        hold: int | None,
        dies: int,
    ) -> None:
        """``hold``: after 0 seconds the next sweep expires the order, unless it is confirmed."""
        merged = order.merge_lines(order.Line(*each) for each in lines)
        attempt = order.Attempt.begin("C1", merged, key, total, hold)
        self.deliveries.append(attempt)
        orders = self.shop.orders_with(Between(dies, death))
        body = (attempt.order_id, attempt.fingerprint)
        refusal = None
        with suppress(*NO_RESPONSE, order.IdempotencyKeyReusedError):
            try:
                placed = orders.place(attempt, respond_async=key == "k3").order
            except order.OrderRejectedError as error:
                refusal = error.rejection
            else:
                assert body not in self.rejections, "a rejection is final"
                if placed.status is Status.CONFIRMED:
                    self.confirmed.add(placed.order_id)
        if refusal:
            assert self.rejections.setdefault(body, refusal) == refusal

    @rule(verb=st.sampled_from(["cancel", "fulfil"]), key=keys, dies=places)
    def move(self, verb: str, key: str, dies: int) -> None:
        order_id = order.Attempt.begin("C1", [], key).order_id
        self.requested.setdefault(order_id, set()).update(OUTCOMES[verb])
        with suppress(*NO_RESPONSE, order.OrderError):
            getattr(self.shop.orders_with(Between(dies, death)), verb)(order_id, BY)

    @rule(
        kind=st.sampled_from(order.MovementKind),
        key=often_the_first,
        request=st.sampled_from(["m1", "m2", "m3", "m4"]),
        units=parts,
        dies=places,
    )
    def move_a_part(
        self, kind: order.MovementKind, key: str, request: str, units: dict[str, int], dies: int
    ) -> None:
        order_id = order.Attempt.begin("C1", [], key).order_id
        self.requested.setdefault(order_id, set()).update(PARTS[kind])
        part = Part(order_id, request, kind, tuple(sorted(units.items())))
        with suppress(*NO_RESPONSE, order.OrderNotFoundError, order.IdempotencyKeyReusedError):
            self.send(part, self.shop.orders_with(Between(dies, death)))

    def send(self, part: Part, orders: service.Orders) -> None:
        try:
            changed = orders.change_part(part.order_id, part.kind, dict(part.units), BY, part.key)
        except order.UnchangeableOrderError as refusal:
            assert part not in self.moved
            if part.kind is not order.MovementKind.RESTOCK and (
                refusal.order.status not in UNDECIDED
            ):
                self.refused.add(part)
        else:
            assert part not in self.refused
            if changed.status is not Status.CHANGING:
                self.moved.add(part)

    @rule(key=never_the_first, dies=places)
    def confirm(self, key: str, dies: int) -> None:
        self.confirm_with(Between(dies, death), key)

    @rule(key=never_the_first, lines=bodies, sweeps=st.integers(1, 3))
    def confirm_while_the_hold_expires(
        self, key: str, lines: list[tuple[str, int]], sweeps: int
    ) -> None:
        """``sweeps``: the call of the confirmation before which a sweep runs."""
        self.place(key, lines, None, 0, dies=0)
        self.confirm_with(Between(sweeps, self.shop.sweep), key)

    def confirm_with(self, between: Between, key: str) -> None:
        order_id = order.Attempt.begin("C1", [], key).order_id
        with suppress(*NO_RESPONSE, order.OrderError):
            try:
                self.shop.orders_with(between).confirm(order_id, BY)
            except order.OrderExpiredError:
                self.expired.add(order_id)
            else:
                self.paid.add(order_id)

    @rule(units_more=st.integers(1, 3), name=st.sampled_from("AB"), key=st.integers(0, 99))
    def restock(self, name: str, units_more: int, key: int) -> None:
        with suppress(StockError):
            self.shop.inventory.service.adjust(name, str(key), units_more, "delivery")

    @rule(away=st.sampled_from([False, False, True]))
    def inventory_goes_or_comes_back(self, *, away: bool) -> None:
        self.shop.inventory.away = away

    @precondition(lambda self: not self.shop.store.faults.coming)
    @rule(fault=st.sampled_from(["conflict", "lost", "dropped", "away"]))
    def a_write_goes_wrong(self, fault: str) -> None:
        self.shop.store.faults.coming.append(fault)

    @rule(dies=places)
    def sweep(self, dies: int) -> None:
        with suppress(ProcessDiedError):
            self.shop.sweep(between=Between(dies, death))

    @invariant()
    def a_201_stays_true(self) -> None:
        for order_id in self.confirmed:
            status = self.shop.orders.get(order_id).status
            assert status in {Status.CONFIRMED, *self.requested.get(order_id, ())}

    @invariant()
    def a_payment_is_confirmed_or_late_for_ever(self) -> None:
        for order_id in self.paid:
            found = self.shop.stored(order_id)
            assert not found.expired
            assert found.status in {Status.CONFIRMED, *self.requested.get(order_id, ())}
        for order_id in self.expired:
            found = self.shop.stored(order_id)
            assert found.expired
            assert found.status in OUTCOMES["cancel"]

    @invariant()
    def a_part_moves_once(self) -> None:
        for part in self.moved:
            found = self.shop.stored(part.order_id)
            lines = dict(found.lines_by_id())
            key = digest_id(part.order_id, part.key)
            (event,) = (each for each in found.history if each.key == key)
            assert event.type == LINE_EVENTS[part.kind]
            assert sorted(event.lines) == sorted(
                order.Line(lines[line_id].product_id, units) for line_id, units in part.units
            )

    @invariant()
    def the_history_adds_up(self) -> None:
        """The counts of a line are the sums of its events. Only a change of the whole has none."""
        for found, _ in self.shop.store.documents.values():
            keys_of_events = [each.key for each in found.history if each.key]
            assert len(keys_of_events) == len(set(keys_of_events))
            types = [each.type for each in found.history]
            if not any(each in types for each in LINE_EVENTS.values()):
                continue
            for line in found.lines:
                moved = [
                    sum(
                        each.quantity
                        for event in found.history
                        if event.type == kind
                        for each in event.lines
                        if each.product_id == line.product_id
                    )
                    for kind in LINE_EVENTS.values()
                ]
                whole = order.EventType.LINE_CANCELLED not in types and (
                    order.EventType.LINE_FULFILLED not in types
                )
                moved[1] += line.quantity if whole else 0  # it was fulfilled before the first part
                assert moved == [line.cancelled, line.fulfilled, line.returned]

    @invariant()
    def nothing_is_wrong_before_reconcile(self) -> None:
        assert not MemorySnapshot(self.shop).findings(timedelta(days=1))

    @invariant()
    def a_rejection_stays_final(self) -> None:
        for order_id, fingerprint in self.rejections:
            found = self.shop.store.documents.get(order_id)
            assert found, "a rejection is stored before its response"
            assert (found[0].status, found[0].fingerprint) == (Status.REJECTED, fingerprint)

    def teardown(self) -> None:
        """All faults end and reconcile runs: no stock is leaked, and every key can be used."""
        self.impatience.undo()
        self.shop.inventory.away = False
        self.shop.store.faults.coming.clear()
        self.shop.sweep_up()
        assert not self.shop.findings()
        for delivery in self.deliveries:
            with suppress(order.OrderRejectedError, order.IdempotencyKeyReusedError):
                self.shop.orders.place(delivery)
        for part in [*self.moved]:
            self.send(part, self.shop.orders)
        self.shop.sweep_up()
        assert not self.shop.findings()
        self.a_part_moves_once()
        self.a_payment_is_confirmed_or_late_for_ever()
        self.a_201_stays_true()
        self.a_rejection_stays_final()


TestOrders = OrderMachine.TestCase
TestOrders.settings = BOUNDED
