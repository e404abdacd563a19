"""The specification's invariants hold, each rule is needed, and the code follows the specification.

The command explores more states than these tests: `python -m specification`. The calls of the code
are compared in tests/specification.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import product as combinations
from pathlib import Path
from typing import Any

import pytest
from specification import documents as spec
from specification import group_commit_explore as batches
from specification.__main__ import main
from specification.batched_creation import BatchedCreation
from specification.documents import Attempt, Body, Change, EventType, Kind, OrderStatus, Transition
from specification.documents import Status as ResponseStatus
from specification.explore import (
    CounterexampleError,
    Scenario,
    State,
    explore,
    first_state,
    reconcile_all,
    run_alone,
    successors,
)
from specification.group_commit import GroupCommit
from specification.group_commit_mutations import BATCHED_CREATION, GROUP_COMMIT
from specification.inventory import Inventory
from specification.mutations import MUTATIONS
from specification.processes import Process
from specification.protocol import Protocol, new_order
from specification.scenarios import ANY, AT_ONE, HELD, OTHER, TWO, scenarios
from support.in_process.memory_shop import WholeShop
from support.specification import use_cases
from support.specification.stock import counted, real_product, real_reservation
from support.specification.translation import (
    NOW,
    described,
    key_digest,
    real_attempt,
    real_order,
)
from support.stores.builders import BY, soon

from inventory_function import domain as inventory
from inventory_function import operations
from inventory_function.unit_of_work import UnitOfWork
from order_function import domain as order
from order_function.ports import VersionedOrder
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
    assert explored.states > 400
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
    "blind-confirm": ("cancel", "status differs from its units"),
    "no-mark": ("inventory unavailable", "a cancelled order keeps stock"),
    "reject-and-keep": ("inventory unavailable, and the last unit is released", "is left behind"),
    "release-before-rejection": ("price change", "the key A is stuck"),
    "move-twice": ("cancel a part, sent twice", "count different units"),
    "compare-last-movement": ("fulfil a part and restock it", "count different units"),
    "move-first": ("cancel a part, sent twice", "count different units"),
    "begin-blindly": ("cancel two parts", "count different units"),
    "close-without-move": ("cancel a part, sent twice", "count different units"),
    "replace-movement": ("cancel two parts", "count different units"),
    "move-again": ("cancel a part, sent twice", "a request has moved units .* twice"),
    "assume-closed": ("publish during a movement", "is left unfinished"),
    "cancel-once": ("fulfil a part and cancel the rest", "received '409 not cancellable'"),
    "restock-unshipped": ("fulfil a part and restock it", "the key r4 is stuck"),
    "expire-blindly": ("payment and expiry", "received '200 confirmed'"),
    "pay-blindly": ("payment and expiry", "count different units"),
    "confirm-expired": ("payment and expiry", "received '409 order-expired'"),
    "refund-paid": ("payment and cancel", "received '409 not confirmable'"),
    "confirm-unpaid": ("hold while inventory is unavailable", "without its payment"),
    "append-later": ("publish during a cancellation", "differs from its counts"),
    "record-first": ("publish a new order", "never receives the event A.1"),
    "record-blindly": ("publish during a cancellation", "never receives the event A.3"),
    "send-past-failure": ("two publishers", "received the event A.2 before"),
}


CAUGHT_IN_BATCHES = {  # the same, for the group commit and for batched creation
    "commit-blindly": ("two processes, one unit for each", "differ from its live reservations"),
    "create-blindly": ("release before reserve", "differ from its live reservations"),
    "reject-assumed": ("a request and its repeat, the last unit", "could never get"),
    "trust-lost-commit": ("release before reserve", "could never get"),
    "forget-unknown": ("three buyers, the last unit", "was unavailable, and"),
    "forget-members": ("three buyers, one unit for each", "C was unavailable, and"),
    "keep-leading": ("three buyers, the last unit", "waits forever"),
    "last-write-wins": ("two equal keys in one batch", "differs from its orders in turn"),
    "hide-lost-batch": ("two equal keys in one batch", "was unavailable, and"),
}


def test_every_mutation_is_tested_and_explained() -> None:
    readme = (ROOT / "specification/README.md").read_text(encoding="utf-8")
    in_batches = {**GROUP_COMMIT, **BATCHED_CREATION}
    assert set(CAUGHT) == set(MUTATIONS)
    assert set(CAUGHT_IN_BATCHES) == set(in_batches)
    explained = set(re.findall(r"^\| `([a-z-]+)`: ", readme, re.MULTILINE))
    assert explained == {*MUTATIONS, *in_batches}


@pytest.mark.parametrize("mutation", CAUGHT)
def test_explorer_finds_a_counterexample_of_each_mutation(mutation: str) -> None:
    scenario, invariant = CAUGHT[mutation]
    broken = MUTATIONS[mutation]()
    with pytest.raises(CounterexampleError, match=invariant):
        explore(broken, small(broken)[scenario])


BATCHES: list[tuple[type[GroupCommit], dict[str, batches.Scenario]]] = [
    (GroupCommit, batches.scenarios()),
    (BatchedCreation, batches.creation_scenarios()),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("model", "scenario"),
    [
        pytest.param(model, scenario, id=name)
        for model, scenarios in BATCHES
        for name, scenario in scenarios.items()
    ],
)
def test_every_batch_is_equal_to_its_operations_in_turn(
    model: type[GroupCommit], scenario: batches.Scenario
) -> None:
    assert batches.explore(model(), scenario).states > 500


@pytest.mark.parametrize("mutation", CAUGHT_IN_BATCHES)
def test_explorer_finds_a_counterexample_of_each_mutation_of_batches(mutation: str) -> None:
    scenario, invariant = CAUGHT_IN_BATCHES[mutation]
    creates = mutation in BATCHED_CREATION
    found = batches.creation_scenarios() if creates else batches.scenarios()
    broken = (BATCHED_CREATION if creates else GROUP_COMMIT)[mutation]()
    with pytest.raises(CounterexampleError, match=invariant):
        batches.explore(broken, found[scenario])


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
    assert output.startswith("Exploring takes a minute or two"), "a reader knows how long to wait"
    assert "BROKEN: the key A is stuck" in output
    assert "   1  buyer: reserve(A.0.x) -> held at 1\n" in output


# The code follows the specification.

LATER = NOW + timedelta(days=1)


def moved_counts(units: int) -> list[spec.Moved]:
    """All counts that a line of so many units can have."""
    numbers = range(units + 1)
    counts = (spec.Moved(*each) for each in combinations(numbers, numbers, numbers))
    return [each for each in counts if sum(each[:2]) <= units and each.returned <= each.consumed]


COUNTED: dict[OrderStatus, Callable[[spec.Moved], bool]] = {
    # Statuses of orders with moved units, and the counts that an order of two units then has.
    OrderStatus.CONFIRMED: lambda moved: not moved.consumed and moved.released < 2,
    OrderStatus.PARTIALLY_FULFILLED: lambda moved: moved[:2] == (0, 1),
    OrderStatus.CANCELLING: lambda moved: sum(moved[:2]) < 2,
    OrderStatus.CANCELLED: lambda moved: moved.released == 2,
    OrderStatus.FULFILLING: lambda moved: sum(moved[:2]) < 2,
    OrderStatus.FULFILLED: lambda moved: sum(moved[:2]) == 2 and moved.consumed > 0,
    OrderStatus.CHANGING: lambda moved: sum(moved[:2]) < 2 or moved.consumed > 0,
}


def is_nothing(moved: spec.Moved) -> bool:
    return not any(moved)


CHANGES = [Change("r1", kind, units) for kind in Kind for units in (1, 2)]


def orders_of(status: OrderStatus, body: Body = TWO) -> Iterator[spec.Order]:
    """All orders of this status, with each count and each open movement that it can have."""
    for moved in moved_counts(body.units):
        if not COUNTED.get(status, is_nothing)(moved):
            continue
        price = 0 if status in (OrderStatus.PENDING, OrderStatus.REJECTED) else 1
        found = spec.Order(Attempt("A", 0, body), status, price, moved=moved)
        if status is not OrderStatus.CHANGING:
            yield found
            continue
        for change in CHANGES:
            if change.units <= moved.movable(change.kind, body.units):
                yield found._replace(movement=spec.Movement(1, change), last_movement=1)


def test_code_has_every_order_that_is_compared() -> None:
    numbers = {status: len([*orders_of(status)]) for status in OrderStatus}
    assert all(numbers.values())
    assert numbers[OrderStatus.CHANGING] > 10


ITEMS = (order.PricedLine("P001", 2, 1, "Laptop"),)
SHORT = order.Rejection("insufficient-stock", "Short")
TRANSITIONS: dict[Transition, Callable[[order.Order], order.Order]] = {
    Transition.CANCEL: lambda found: found.begin_cancel(BY),
    Transition.RELEASED: lambda found: found.finish_cancel(NOW),
    Transition.FULFIL: lambda found: found.begin_fulfil(BY),
    Transition.CONSUMED: lambda found: found.finish_fulfil(NOW),
    Transition.COMPLETE: lambda found: found.confirm_or_reject(ITEMS, "USD", "customer", NOW),
    Transition.HOLD: lambda found: found.confirm_or_reject(ITEMS, "USD", "customer", NOW),
    Transition.REJECT: lambda found: found.reject(SHORT, "customer", NOW),
    Transition.CONFIRM: lambda found: found.confirm_payment(BY, NOW),
    Transition.EXPIRE: lambda found: found.begin_expiry(LATER),
    Transition.MOVED: lambda found: found.finish_movement(1, NOW),
}
OF_HOLD = (Transition.HOLD, Transition.CONFIRM, Transition.EXPIRE)


def test_every_transition_has_a_method_of_the_code() -> None:
    assert set(TRANSITIONS) | {Transition.MOVE} == set(Transition)


def test_order_has_the_specified_statuses_and_events() -> None:
    assert set(map(str, order.Status)) == set(map(str, OrderStatus))
    assert set(map(str, order.KEEPS_RESERVATION)) == set(map(str, spec.KEEPS_RESERVATION))
    assert set(map(str, order.EventType)) == set(map(str, EventType))
    assert set(map(str, order.MovementKind)) == set(map(str, Kind))


def specified(found: spec.Order, transition: Transition) -> spec.Order:
    if not found.allows(transition):
        return found
    if transition is Transition.MOVED:
        return found.close()
    after = found.after(transition)
    if transition is Transition.REJECT:
        return after._replace(rejection=ResponseStatus.SHORT)
    reserved = transition in (Transition.COMPLETE, Transition.HOLD)
    return after._replace(price=1) if reserved else after


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_order_changes_as_specified(transition: Transition, status: OrderStatus) -> None:
    """The code rejects any other transition, or changes nothing."""
    body = TWO._replace(hold=transition in OF_HOLD)
    for before in orders_of(status, body):
        real = real_order(before)
        try:
            after = TRANSITIONS[transition](real)
        except order.OrderError:
            after = real
        assert described(after) == described(real_order(specified(before, transition))), before


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_movement_begins_as_specified(change: Change, status: OrderStatus) -> None:
    for before in orders_of(status):
        real, key = real_order(before), key_digest(before, change.request)
        kind, wanted = order.MovementKind(change.kind), {"1": change.units}
        expected = before.begin(change) if before.can_move(change) else before
        try:
            after = real.begin_movement(kind, wanted, BY, key)
        except order.OrderError:
            after = real
        assert described(after) == described(real_order(expected)), before


ATTEMPT = Attempt("R", 0, TWO)
PRICE = 7
LINES = (inventory.Line("P001", 2),)
OPERATIONS: dict[str, tuple[Callable[..., Any], operations.StockOperation[Any]]] = {
    "reserve": (Inventory().reserve, operations.Reserve("R", LINES, "USD", "nonce")),
    "release": (Inventory().release, operations.Release("R", "USD")),
    "confirm": (Inventory().confirm, operations.Confirm("R")),
    "consume": (Inventory().consume, operations.Consume("R")),
}


def reservations() -> Iterator[spec.Reservation | None]:
    """Every reservation of two units, and the record of a release of an unknown one."""
    statuses = spec.ReservationStatus
    yield None
    yield spec.Reservation(statuses.RELEASED, units=0)
    for moved in moved_counts(2):
        left = moved.movable(Kind.RELEASE, 2)
        if left == 2:
            found = [statuses.HELD, statuses.CONFIRMED]
        elif left:
            found = [statuses.PARTIAL]
        else:
            found = [statuses.CONSUMED if moved.consumed else statuses.RELEASED]
        for status in found:
            yield spec.Reservation(status, PRICE, 2, moved)


def world_with(found: spec.Reservation | None, available: int) -> spec.World:
    if found is None:
        return spec.World(spec.Product(available, price=PRICE))
    shipped = found.moved.consumed - found.moved.returned
    world = spec.World(spec.Product(available, found.units_left, shipped, PRICE))
    return world.with_reservation(ATTEMPT, found)


def real_stock(world: spec.World, last: inventory.Movement | None = None) -> UnitOfWork:
    stock = UnitOfWork()
    product = real_product(world.product)
    stock.record_read(product.key, product, None)
    found = world.reservation(ATTEMPT)
    reservation = real_reservation("R", found, last) if found else None
    stock.record_read(inventory.reservation_key("R"), reservation, None)
    return stock


def real_decision(stock: UnitOfWork, operation: operations.StockOperation[Any]) -> str:
    """The result that the caller gets."""
    try:
        result = operation.decide(stock)
    except inventory.ReservationReleasedError:
        return "released"
    except inventory.InsufficientStockError:
        return "short"
    except inventory.StockError:
        return "refused"
    return "held" if isinstance(result, tuple) else "done"


def specified_decision(result: object) -> str:
    return "held" if isinstance(result, spec.Reservation) else str(result)


def assert_same_stock(stock: UnitOfWork, specified: spec.World) -> None:
    product = stock.known_product("P001")
    found, expected = stock.reservation("R"), specified.reservation(ATTEMPT)
    assert (product.available, product.reserved, product.shipped) == specified.product[:3]
    assert (found is None) == (expected is None)
    if found and expected:
        assert counted(found) == counted(real_reservation("R", expected))


@pytest.mark.parametrize("available", [0, 1, 2])
@pytest.mark.parametrize("found", [*reservations()], ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_changes_stock_as_specified(
    name: str, found: spec.Reservation | None, available: int
) -> None:
    specified, operation = OPERATIONS[name]
    before = world_with(found, available)
    stock = real_stock(before)
    decision = real_decision(stock, operation)
    after, result = specified(before, ATTEMPT)
    if name == "reserve":
        assert decision == specified_decision(result)
    assert_same_stock(stock, after)


@pytest.mark.parametrize("found", [*reservations()], ids=str)
@pytest.mark.parametrize("seq", [1, 2, 3, 4])
def test_movement_changes_stock_as_specified(seq: int, found: spec.Reservation | None) -> None:
    """The last movement was 2. Its number is repeated with the same kind and the same units."""
    before = world_with(found and found._replace(last_movement=2), 1)
    for change in CHANGES:
        lines = (inventory.Line("P001", change.units),)
        movement = inventory.Movement(seq, inventory.MovementKind(change.kind), lines)
        stock = real_stock(before, last=movement)
        decision = real_decision(stock, operations.Move("R", movement))
        after, moved = Inventory().move(before, ATTEMPT, spec.Movement(seq, change))
        assert decision == ("held" if moved else "refused"), change
        assert_same_stock(stock, after)


def test_reservation_id_belongs_to_one_attempt_of_one_body() -> None:
    bodies = (ANY, OTHER, AT_ONE, TWO, HELD)
    attempts = [Attempt(key, n, body) for key in "AB" for n in (0, 1) for body in bodies]
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


def move_of(change: Change) -> Process:
    return Process.of(PROTOCOL.move, "A", change)


CANCEL, FULFIL, CONFIRM = (
    Process.of(program, "A") for program in (PROTOCOL.cancel, PROTOCOL.fulfil, PROTOCOL.confirm)
)
CANCEL_PART, FULFIL_PART = Change("r1", Kind.RELEASE), Change("r2", Kind.CONSUME)
RESTOCK, CANCEL_TWO = Change("r3", Kind.RESTOCK), Change("r4", Kind.RELEASE, 2)


@cache
def some_worlds() -> frozenset[spec.World]:
    """Worlds that requests reach in any use case, with reconcile in between."""

    def place(body: Body) -> Process:
        return Process.of(PROTOCOL.place, Attempt("A", 0, body))

    def place_later(body: Body) -> Process:
        """Inventory is unavailable."""
        pending = new_order(Attempt("A", 0, body), spec.ABSENT).with_event(EventType.PLACED)
        return Process.of(PROTOCOL.create, pending, True)

    clients = [
        [place(ANY), place_later(ANY), place(OTHER), CANCEL, FULFIL],
        [place(TWO), CANCEL, *map(move_of, (FULFIL_PART, RESTOCK))],
        [place(TWO), FULFIL, *map(move_of, (CANCEL_PART, RESTOCK))],
        [place(TWO), *map(move_of, (CANCEL_PART, FULFIL_PART, RESTOCK))],
        [place(HELD), place_later(HELD), CONFIRM, CANCEL],
        [place(HELD), CONFIRM, FULFIL, move_of(CANCEL_PART)],
    ]
    scenarios = (
        Scenario(2, {str(n): client for n, client in enumerate(each)}, faults=0, reconciles=1)
        for each in clients
    )
    return frozenset(state.world for scenario in scenarios for state in reachable(scenario))


class Shop:
    """The code, in the state that a world of the specification describes."""

    def __init__(self, world: spec.World) -> None:
        self._shop = shop = WholeShop()
        self.orders = shop.orders
        for attempt, reserved in world.reservations:
            name = real_attempt(attempt).reservation_id
            self._put(real_reservation(name, reserved, last_movement(world, attempt)))
        self._put(real_product(world.product))
        for _, found in world.orders:
            shop.write(real_order(found))

    def _put(self, entity: inventory.Product | inventory.Reservation) -> None:
        self._shop.stock.commit([(entity, None)], soon())

    def reconcile(self) -> None:
        self._shop.sweep_up()

    def contents(self) -> dict[str, Any]:
        stock = {key: entity for key, (entity, _) in self._shop.stock.documents.items()}
        product = stock.pop(inventory.product_key("P001"))
        assert isinstance(product, inventory.Product)
        found = [each for each in stock.values() if isinstance(each, inventory.Reservation)]
        return {
            "orders": {name: described(each) for name, (each, _) in self.documents()},
            "stock": (product.available, product.reserved, product.shipped),
            "reservations": {each.reservation_id: counted(each) for each in found},
        }

    def documents(self) -> Iterable[tuple[str, VersionedOrder]]:
        return self._shop.store.documents.items()


def last_movement(world: spec.World, attempt: Attempt) -> inventory.Movement | None:
    """The order's open movement, if inventory has applied it. No other one can be repeated."""
    found = world.order(attempt.key)
    if found is None or found.movement is None:
        return None
    seq, change = found.movement
    lines = (inventory.Line("P001", change.units),)
    return inventory.Movement(seq, inventory.MovementKind(change.kind), lines)


UseCase = tuple[Process, Callable[[Orders], ResponseStatus | None]]


def places(body: Body) -> UseCase:
    attempt = Attempt("A", 0, body)
    return Process.of(PROTOCOL.place, attempt), lambda orders: use_cases.place(orders, attempt)


def moves(change: Change) -> UseCase:
    return move_of(change), lambda orders: use_cases.move(orders, "A", change)


USE_CASES: dict[str, UseCase] = {
    "place": places(ANY),
    "place another body": places(OTHER),
    "place with a hold": places(HELD),
    "cancel": (CANCEL, lambda orders: use_cases.cancel(orders, "A")),
    "fulfil": (FULFIL, lambda orders: use_cases.fulfil(orders, "A")),
    "confirm": (CONFIRM, lambda orders: use_cases.confirm(orders, "A")),
    "cancel a part": moves(CANCEL_PART),
    "cancel two units": moves(CANCEL_TWO),
    "fulfil a part": moves(FULFIL_PART),
    "restock a part": moves(RESTOCK),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", USE_CASES)
def test_use_case_follows_the_specification_in_every_world(name: str) -> None:
    process, use_case = USE_CASES[name]
    worlds = some_worlds()
    assert len(worlds) > 300
    for world in worlds:
        shop, run = Shop(world), run_alone(world, process)
        status = use_case(shop.orders)
        assert [each.status for each in run.responses] == ([status] if status else []), world
        assert shop.contents() == Shop(run.world).contents(), world


@pytest.mark.exhaustive
def test_reconcile_follows_the_specification_in_every_world() -> None:
    """It finishes movements, and cancels the orders that no payment has confirmed."""
    for world in some_worlds():
        shop = Shop(world)
        shop.reconcile()
        assert shop.contents() == Shop(reconcile_all(PROTOCOL, world).world).contents(), world
