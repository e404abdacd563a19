"""The specification's invariants hold, each rule is needed, and the code follows the specification.

The command explores more states than these tests: `python -m specification`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from specification import documents as spec
from specification.__main__ import main
from specification.documents import Attempt, OrderStatus, Transition
from specification.documents import Status as ResponseStatus
from specification.explore import (
    CounterexampleError,
    Scenario,
    State,
    explore,
    first_state,
    run_alone,
    successors,
)
from specification.mutations import MUTATIONS
from specification.processes import Process
from specification.protocol import Inventory, Protocol
from specification.scenarios import ANY, OTHER, scenarios
from support.stores.fakes import FakeInventory, MemoryOrders

from functions_common.runtime.deadlines import Deadline
from inventory_function import domain as inventory
from inventory_function import operations
from inventory_function.unit_of_work import UnitOfWork
from order_function import domain as order
from order_function.service import Orders

ROOT = Path(__file__).parents[3]
PROTOCOL = Protocol()


def small(protocol: Protocol) -> dict[str, Scenario]:
    """The same scenarios with fewer faults: seconds instead of a minute."""
    found = scenarios(protocol).items()
    return {name: replace(s, faults=min(s.faults, 1), reconciles=1) for name, s in found}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", small(PROTOCOL))
def test_every_invariant_holds_in_every_interleaving(name: str) -> None:
    explored = explore(PROTOCOL, small(PROTOCOL)[name])
    assert explored.states > 500
    assert explored.outcomes > 1


CAUGHT = {  # mutation: the scenario that finds it, and the broken invariant
    "skip-abandon": ("a request and its retry, the last unit", "the key A is stuck"),
    "respond-early": ("a request and its retry, the last unit", "received '201 created'"),
    "keep-abandoned": ("a request and its retry, the last unit", "and there was enough"),
    "release-twice": (
        "a request and its retry, the last unit",
        "differ from its live reservations",
    ),
    "forget-rejection": ("two buyers, the last unit", "received '409 short'"),
    "blind-confirm": ("cancel", "differ from its live reservations"),
    "no-mark": ("inventory unavailable", "a cancelled order keeps stock"),
    "reject-and-keep": ("inventory unavailable, and the last unit is released", "is left behind"),
    "release-before-rejection": ("price change", "the key A is stuck"),
}


def test_every_mutation_is_tested_and_explained() -> None:
    readme = (ROOT / "specification/README.md").read_text(encoding="utf-8")
    assert set(CAUGHT) == set(MUTATIONS)
    assert set(re.findall(r"^\| `([a-z-]+)`: ", readme, re.MULTILINE)) == set(MUTATIONS)


@pytest.mark.parametrize("mutation", CAUGHT)
def test_explorer_finds_a_counterexample_of_each_mutation(mutation: str) -> None:
    scenario, invariant = CAUGHT[mutation]
    broken = MUTATIONS[mutation]()
    with pytest.raises(CounterexampleError, match=invariant):
        explore(broken, small(broken)[scenario])


def test_counterexample_lists_each_step() -> None:
    broken = MUTATIONS["blind-confirm"]()
    with pytest.raises(CounterexampleError) as found:
        explore(broken, small(broken)["cancel"])
    assert found.value.trace == [
        "buyer: reserve(A.0.x) -> held at 1",
        "buyer: write(A.0.x confirmed) -> True",
        "buyer's client receives '201 created' for A.x",
        "cancel: read(A) -> A.0.x confirmed v1",
        "reconcile 1 starts",
        "reconcile 1: read(A) -> A.0.x confirmed v1",
        "cancel: write(A.0.x cancelling v1) -> True",
        "cancel: release(A.0.x) -> None",
        "reconcile 1: confirm(A.0.x) -> None",
    ]


def test_command_prints_the_counterexample(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--break", "skip-abandon"]) == 1
    output = capsys.readouterr().out
    assert "BROKEN: the key A is stuck" in output
    assert "   1  buyer: reserve(A.0.x) -> held at 1\n" in output


# The code follows the specification.

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTS = {ANY: "P001", OTHER: "P002"}
"""A body with the other product is another body. It takes one unit as well."""


def real_attempt(attempt: Attempt) -> order.Attempt:
    lines = [order.Line(PRODUCTS[attempt.body], 1)]
    return replace(order.Attempt.begin("C1", lines, attempt.key), number=attempt.number)


def real_order(found: spec.Order) -> order.Order:
    attempt = real_attempt(found.attempt)
    if found.status is OrderStatus.ABANDONED:
        name = order.ReservationName.parse(attempt.reservation_id)
        assert name is not None
        return order.Order.new_abandoned_mark(name, NOW)
    made = order.Order.new_reserved(attempt, (), "USD", NOW)
    rejection = order.Rejection("insufficient-stock", "Short") if found.rejection else None
    return replace(made, status=order.Status(found.status), rejection=rejection)


TRANSITIONS: dict[Transition, Callable[[order.Order], order.Order]] = {
    Transition.CANCEL: order.Order.begin_cancel,
    Transition.RELEASED: order.Order.finish_cancel,
    Transition.FULFIL: order.Order.begin_fulfil,
    Transition.CONSUMED: order.Order.finish_fulfil,
    Transition.COMPLETE: lambda found: found.confirm_or_reject((), "USD"),
    Transition.REJECT: lambda found: found.reject(order.Rejection("short", "Short")),
}


def test_every_transition_has_a_method_of_the_code() -> None:
    assert set(TRANSITIONS) == set(Transition)


def test_order_has_the_specified_statuses() -> None:
    assert set(map(str, order.Status)) == set(map(str, OrderStatus))
    assert set(map(str, order.KEEPS_RESERVATION)) == set(map(str, spec.KEEPS_RESERVATION))


@pytest.mark.parametrize("status", order.Status)
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_order_changes_as_specified(transition: Transition, status: order.Status) -> None:
    """The code rejects any other transition, or changes nothing."""
    before = spec.Order(Attempt("A", 0, ANY), OrderStatus(status))
    expected = before.after(transition).status if before.allows(transition) else before.status
    try:
        after = TRANSITIONS[transition](real_order(before)).status
    except order.OrderError:
        after = status
    assert str(after) == str(expected)


ATTEMPT = Attempt("R", 0, ANY)
LINES = (inventory.Line("P001", 1),)
PRICE = 7
OPERATIONS: dict[str, tuple[Callable[..., Any], operations.StockOperation[Any]]] = {
    "reserve": (Inventory().reserve, operations.Reserve("R", LINES, "USD", "nonce")),
    "release": (Inventory().release, operations.Release("R", "USD")),
    "confirm": (Inventory().confirm, operations.Confirm("R")),
    "consume": (Inventory().consume, operations.Consume("R")),
}


def world_with(status: spec.ReservationStatus | None, available: int) -> spec.World:
    live = int(status is not None and status.live)
    shipped = int(status is spec.ReservationStatus.CONSUMED)
    world = spec.World(spec.Product(available, live, shipped, PRICE))
    return world.with_reservation(ATTEMPT, spec.Reservation(status, PRICE)) if status else world


def real_stock(world: spec.World) -> UnitOfWork:
    stock = UnitOfWork()
    available, reserved, shipped, price = world.product
    product = inventory.Product("P001", "Laptop", price, "USD", True, available, reserved, shipped)
    stock.add(product.key, product, None)
    found = world.reservation(ATTEMPT)
    priced = (inventory.PricedLine("P001", 1, PRICE, "Laptop"),)
    status = inventory.ReservationStatus(found.status) if found else None
    reservation = inventory.Reservation("R", status, "USD", priced) if status else None
    stock.add(inventory.reservation_key("R"), reservation, None)
    return stock


def real_decision(stock: UnitOfWork, operation: operations.StockOperation[Any]) -> str:
    """The result that the caller gets."""
    try:
        result = operation.decide(stock)
    except inventory.ReservationReleasedError:
        return "released"
    except inventory.InsufficientStockError:
        return "short"
    return "held" if isinstance(result, tuple) else "done"


def specified_decision(result: object) -> str:
    if isinstance(result, spec.Reservation):
        return "held"
    return str(result or "short")


@pytest.mark.parametrize("available", [0, 1])
@pytest.mark.parametrize("status", [None, *spec.ReservationStatus])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_changes_stock_as_specified(
    name: str, status: spec.ReservationStatus | None, available: int
) -> None:
    specified, operation = OPERATIONS[name]
    before = world_with(status, available)
    stock = real_stock(before)
    decision = real_decision(stock, operation)
    after, result = specified(before, ATTEMPT)
    if name == "reserve":
        assert decision == specified_decision(result)
    product = stock.known_product("P001")
    reservation, expected = stock.reservation("R"), after.reservation(ATTEMPT)
    assert (product.available, product.reserved, product.shipped) == after.product[:3]
    assert (reservation and reservation.status) == (expected and expected.status)
    if reservation and expected and expected.status.live:
        assert [line.unit_price for line in reservation.lines] == [expected.price]


def test_reservation_id_belongs_to_one_attempt_of_one_body() -> None:
    attempts = [Attempt(key, n, body) for key in "AB" for n in (0, 1) for body in (ANY, OTHER)]
    names = {real_attempt(attempt).reservation_id for attempt in attempts}
    assert len(names) == len(attempts)
    assert names == {real_attempt(attempt).reservation_id for attempt in attempts}


def reachable(scenario: Scenario) -> Iterator[State]:
    seen = waiting = {first_state(scenario)}
    while waiting:
        yield from waiting
        following = {after for state in waiting for _, after in successors(PROTOCOL, state)}
        waiting = following - seen
        seen = seen | waiting


@cache
def some_worlds() -> frozenset[spec.World]:
    """Worlds that requests with two bodies reach in any use case, with reconcile in between."""
    clients = {
        "buyer": Process.of(PROTOCOL.place, Attempt("A", 0, ANY)),
        "later": Process.of(PROTOCOL.place_pending, Attempt("A", 0, ANY)),
        "other": Process.of(PROTOCOL.place, Attempt("A", 0, OTHER)),
        "cancel": Process.of(PROTOCOL.cancel, "A"),
        "fulfil": Process.of(PROTOCOL.fulfil, "A"),
    }
    scenario = Scenario(2, clients, faults=0, reconciles=1)
    return frozenset(state.world for state in reachable(scenario))


class Shop:
    """The code, in the state that a world of the specification describes."""

    def __init__(self, world: spec.World) -> None:
        self.store, self.inventory = MemoryOrders(), FakeInventory(P001=2, P002=2)
        self.orders = Orders(self.store, self.inventory, deadline_seconds=5)
        for attempt, reservation in world.reservations:
            real, deadline = real_attempt(attempt), Deadline.after(5)
            if reservation.status is spec.ReservationStatus.RELEASED:
                self.inventory.release([real.reservation_id], deadline)
                continue
            self.inventory.reserve(real.reservation_id, real.lines, deadline)
            if reservation.status is spec.ReservationStatus.CONFIRMED:
                self.inventory.confirm([real.reservation_id], deadline)
            if reservation.status is spec.ReservationStatus.CONSUMED:
                self.inventory.consume([real.reservation_id], deadline)
        for _, found in world.orders:
            self.store.create(real_order(found), Deadline.after(5))

    def place(self, attempt: Attempt) -> ResponseStatus | None:
        try:
            placed = self.orders.place(real_attempt(attempt))
        except order.IdempotencyKeyReusedError:
            return ResponseStatus.KEY_REUSED
        except order.OrderRejectedError:
            return ResponseStatus.SHORT
        pending = placed.order.status is order.Status.PENDING
        return ResponseStatus.ACCEPTED if pending else ResponseStatus.CREATED

    def cancel(self, key: str) -> ResponseStatus | None:
        try:
            cancelled = self.orders.cancel(real_attempt(Attempt(key, 0, ANY)).order_id)
        except order.OrderNotFoundError:
            return None
        except order.NotCancellableError:
            return ResponseStatus.NOT_CANCELLABLE
        assert cancelled.status is order.Status.CANCELLED
        return ResponseStatus.CANCELLED

    def fulfil(self, key: str) -> ResponseStatus | None:
        try:
            fulfilled = self.orders.fulfil(real_attempt(Attempt(key, 0, ANY)).order_id)
        except (order.OrderNotFoundError, order.NotFulfillableError):
            return None
        assert fulfilled.status is order.Status.FULFILLED
        return ResponseStatus.FULFILLED

    def contents(self) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
        """The status and reservation of each order, and the status of each reservation."""
        orders = {
            name: (str(found.status), found.reservation_id)
            for name, (found, _) in self.store.documents.items()
        }
        return orders, {name: self.reservation_status(name) for name in self.inventory.reservations}

    def reservation_status(self, reservation_id: str) -> str:
        if self.inventory.reservations[reservation_id] is None:
            return "released"
        if reservation_id in self.inventory.consumed:
            return "consumed"
        return "confirmed" if reservation_id in self.inventory.confirmed else "held"


PLACE, PLACE_OTHER = (Attempt("A", 0, body) for body in (ANY, OTHER))
USE_CASES: dict[str, tuple[Process, Callable[[Shop], ResponseStatus | None]]] = {
    "place": (Process.of(PROTOCOL.place, PLACE), lambda shop: shop.place(PLACE)),
    "place another body": (
        Process.of(PROTOCOL.place, PLACE_OTHER),
        lambda shop: shop.place(PLACE_OTHER),
    ),
    "cancel": (Process.of(PROTOCOL.cancel, "A"), lambda shop: shop.cancel("A")),
    "fulfil": (Process.of(PROTOCOL.fulfil, "A"), lambda shop: shop.fulfil("A")),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", USE_CASES)
def test_use_case_follows_the_specification_in_every_world(name: str) -> None:
    process, use_case = USE_CASES[name]
    worlds = some_worlds()
    assert len(worlds) > 50
    for world in worlds:
        shop, run = Shop(world), run_alone(world, process)
        status = use_case(shop)
        assert [each.status for each in run.responses] == ([status] if status else []), world
        assert shop.contents() == Shop(run.world).contents(), world
