"""Parts of an order are cancelled, fulfilled and returned: counts, statuses, stock and history."""

from dataclasses import replace

import pytest
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, WholeShop, death, every_place
from support.stores.builders import BY, NOW, units

from order_function.domain import (
    MAX_MOVEMENTS,
    By,
    ExceedsRemainingError,
    IdempotencyKeyReusedError,
    Line,
    MovementKind,
    NotCancellableError,
    NotFulfillableError,
    NotReturnableError,
    Order,
    OrderNotFoundError,
    Status,
    TooManyMovementsError,
)

RELEASE, CONSUME, RESTOCK = MovementKind
LINES = (Line("P002", 3), Line("P001", 2))
OPERATOR = By("Anna", "damaged")


@pytest.fixture
def shop() -> WholeShop:
    return WholeShop(P001=10, P002=10)


@pytest.fixture
def order(shop: WholeShop) -> Order:
    return shop.place("C1", LINES, "key").order


def counts(order: Order) -> dict[str, tuple[int, int, int]]:
    """Cancelled, fulfilled and returned units of each line."""
    return {
        line_id: (line.cancelled, line.fulfilled, line.returned)
        for line_id, line in order.lines_by_id()
    }


def types(order: Order) -> list[str]:
    return [str(event.type) for event in order.history]


def move(shop: WholeShop, order: Order, kind: MovementKind, key: str, **wanted: int) -> Order:
    """``_1=2``: two units of line 1."""
    units_by_line = {line_id.removeprefix("_"): each for line_id, each in wanted.items()}
    return shop.orders.change_part(order.order_id, kind, units_by_line, OPERATOR, key)


def test_lines_keep_the_sequence_in_which_they_were_sent(order: Order) -> None:
    assert [line.product_id for line in order.lines] == ["P002", "P001"]
    assert [item.product_id for item in order.items] == ["P002", "P001"]


def test_part_is_cancelled(shop: WholeShop, order: Order) -> None:
    changed = move(shop, order, RELEASE, "K1", _1=2)
    assert counts(changed) == {"1": (2, 0, 0), "2": (0, 0, 0)}
    assert changed.status is Status.CONFIRMED
    assert units(shop.stock, "P002") == (9, 1, 0)
    assert units(shop.stock, "P001") == (8, 2, 0)
    event = changed.history[-1]
    assert (event.type, event.actor, event.reason) == ("line_cancelled", "Anna", "damaged")
    assert event.lines == (Line("P002", 2),)
    assert not shop.findings()


def test_parts_are_fulfilled_until_nothing_is_open(shop: WholeShop, order: Order) -> None:
    partly = move(shop, order, CONSUME, "K1", _1=1, _2=2)
    assert partly.status is Status.PARTIALLY_FULFILLED
    assert units(shop.stock, "P002") == (7, 2, 1)
    whole = move(shop, order, CONSUME, "K2", _1=2)
    assert whole.status is Status.FULFILLED
    assert counts(whole) == {"1": (0, 3, 0), "2": (0, 2, 0)}
    assert types(whole)[2:] == ["line_fulfilled", "line_fulfilled", "fulfilled"]
    assert units(shop.stock, "P002") == (7, 0, 3)
    assert not shop.findings()


def test_rest_is_cancelled_after_a_part_was_fulfilled(shop: WholeShop, order: Order) -> None:
    move(shop, order, CONSUME, "K1", _1=1)
    rest = shop.orders.cancel(order.order_id, BY)
    assert rest.status is Status.FULFILLED
    assert counts(rest) == {"1": (2, 1, 0), "2": (2, 0, 0)}
    assert types(rest)[2:] == ["line_fulfilled", "line_cancelled", "fulfilled"]
    assert shop.orders.cancel(order.order_id, BY) == rest, "a repeated request has the same result"
    assert units(shop.stock, "P001") == (10, 0, 0)
    assert units(shop.stock, "P002") == (9, 0, 1)
    assert not shop.findings()


def test_rest_is_fulfilled_after_a_part_was_cancelled(shop: WholeShop, order: Order) -> None:
    move(shop, order, RELEASE, "K1", _1=3)
    rest = shop.orders.fulfil(order.order_id, BY)
    assert rest.status is Status.FULFILLED
    assert counts(rest) == {"1": (3, 0, 0), "2": (0, 2, 0)}
    assert not shop.findings()


def test_order_is_cancelled_when_its_last_part_is_cancelled(shop: WholeShop, order: Order) -> None:
    move(shop, order, RELEASE, "K1", _1=3)
    assert move(shop, order, RELEASE, "K2", _2=2).status is Status.CANCELLED
    assert units(shop.stock, "P001") == (10, 0, 0)
    assert not shop.findings()


def test_fulfilled_units_are_returned_to_the_stock(shop: WholeShop, order: Order) -> None:
    shop.orders.fulfil(order.order_id, BY)
    returned = move(shop, order, RESTOCK, "K1", _1=1)
    assert (returned.status, counts(returned)["1"]) == (Status.FULFILLED, (0, 3, 1))
    assert units(shop.stock, "P002") == (8, 0, 2)
    assert types(returned)[-1] == "line_returned"
    everything = move(shop, order, RESTOCK, "K2")
    assert counts(everything) == {"1": (0, 3, 3), "2": (0, 2, 2)}
    assert units(shop.stock, "P001") == (10, 0, 0)
    assert move(shop, order, RESTOCK, "K2") == everything
    with pytest.raises(NotReturnableError):
        move(shop, order, RESTOCK, "K3")
    assert not shop.findings()


def test_part_is_moved_once_when_the_request_is_repeated(shop: WholeShop, order: Order) -> None:
    first = move(shop, order, RELEASE, "K1", _1=1)
    assert move(shop, order, RELEASE, "K1", _1=1) == first
    assert units(shop.stock, "P002") == (8, 2, 0)
    later = move(shop, order, CONSUME, "K2", _1=2)
    assert move(shop, order, RELEASE, "K1", _1=1) == later


def test_everything_is_returned_once_when_the_request_is_repeated(
    shop: WholeShop, order: Order
) -> None:
    shop.orders.fulfil(order.order_id, BY)
    returned = move(shop, order, RESTOCK, "K1")
    assert move(shop, order, RESTOCK, "K1") == returned
    assert units(shop.stock, "P002") == (10, 0, 0)
    with pytest.raises(IdempotencyKeyReusedError):
        move(shop, order, CONSUME, "K1", _1=1)


def test_key_is_refused_when_it_made_another_movement(shop: WholeShop, order: Order) -> None:
    move(shop, order, RELEASE, "K1", _1=1)
    others = (
        (RELEASE, {"_1": 2}),
        (CONSUME, {"_1": 1}),
        (RELEASE, {"_2": 1}),
        (RELEASE, {"_1": 1, "_9": 1}),
    )
    for kind, wanted in others:
        with pytest.raises(IdempotencyKeyReusedError):
            move(shop, order, kind, "K1", **wanted)
    for change_all in (shop.orders.cancel, shop.orders.fulfil):
        with pytest.raises(IdempotencyKeyReusedError):
            change_all(order.order_id, BY, key="K1")
    assert shop.orders.fulfil(order.order_id, BY, key="K2").status is Status.FULFILLED


@pytest.mark.parametrize("kind", [RELEASE, CONSUME])
def test_movement_is_refused_when_it_exceeds_what_is_left(
    shop: WholeShop, order: Order, kind: MovementKind
) -> None:
    move(shop, order, RELEASE, "K1", _1=2)
    before = shop.stored(order.order_id)
    with pytest.raises(ExceedsRemainingError, match=r"line 1 \(P002\): 2 requested, and 1 of 3"):
        move(shop, order, kind, "K2", _1=2)
    with pytest.raises(ExceedsRemainingError, match="no line 3"):
        move(shop, order, kind, "K3", _3=1, _1=1)
    assert shop.stored(order.order_id) == before


def test_return_is_refused_when_it_exceeds_what_was_fulfilled(
    shop: WholeShop, order: Order
) -> None:
    with pytest.raises(NotReturnableError):
        move(shop, order, RESTOCK, "K1", _1=1)
    move(shop, order, CONSUME, "K2", _1=1)
    with pytest.raises(ExceedsRemainingError, match="2 requested, and 1 of 3 can come back"):
        move(shop, order, RESTOCK, "K3", _1=2)
    assert counts(move(shop, order, RESTOCK, "K4", _1=1))["1"] == (0, 1, 1)
    assert not shop.findings()


def test_movement_is_refused_when_nothing_is_open(shop: WholeShop, order: Order) -> None:
    shop.orders.cancel(order.order_id, BY)
    with pytest.raises(NotCancellableError):
        move(shop, order, RELEASE, "K1", _1=1)
    with pytest.raises(NotFulfillableError):
        move(shop, order, CONSUME, "K2", _1=1)
    with pytest.raises(NotReturnableError):
        move(shop, order, RESTOCK, "K3", _1=1)


def test_movement_of_another_customer_s_order_is_not_found(shop: WholeShop, order: Order) -> None:
    with pytest.raises(OrderNotFoundError):
        shop.orders.change_part(order.order_id, RELEASE, {"1": 1}, BY, "K1", customer_id="C2")


def test_number_of_movements_is_limited(shop: WholeShop, order: Order) -> None:
    shop.write(replace(shop.stored(order.order_id), last_movement=MAX_MOVEMENTS))
    with pytest.raises(TooManyMovementsError):
        move(shop, order, RELEASE, "K1", _1=1)
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED


def test_movement_stays_open_when_inventory_is_away_and_reconcile_finishes_it(
    shop: WholeShop, order: Order
) -> None:
    shop.inventory.away = True
    assert move(shop, order, RELEASE, "K1", _1=1).status is Status.CHANGING
    shop.inventory.away = False
    assert shop.sweep().moved == 1
    assert counts(shop.stored(order.order_id))["1"] == (1, 0, 0)
    assert units(shop.stock, "P002") == (8, 2, 0)
    assert not shop.findings()


@pytest.mark.parametrize("next_change", ["cancel", "fulfil", "move", "repeat"])
def test_next_change_finishes_an_open_movement_first(
    shop: WholeShop, order: Order, next_change: str
) -> None:
    shop.inventory.away = True
    move(shop, order, RELEASE, "K1", _1=1)
    shop.inventory.away = False
    changes = {
        "cancel": lambda: shop.orders.cancel(order.order_id, BY),
        "fulfil": lambda: shop.orders.fulfil(order.order_id, BY),
        "move": lambda: move(shop, order, CONSUME, "K2", _1=1),
        "repeat": lambda: move(shop, order, RELEASE, "K1", _1=1),
    }
    changed = changes[next_change]()
    assert counts(changed)["1"][0] == (3 if next_change == "cancel" else 1)
    assert types(changed)[2] == "line_cancelled"
    assert not shop.findings()


@pytest.mark.parametrize("kind", [RELEASE, CONSUME, RESTOCK])
def test_crash_at_every_call_leaves_a_movement_that_happens_once_or_never(
    kind: MovementKind,
) -> None:
    def act(place: int) -> Between:
        shop = WholeShop(P001=10, P002=10)
        order = shop.place("C1", LINES, "key").order
        if kind is RESTOCK:
            shop.orders.fulfil(order.order_id, BY)
        between = Between(place, death)
        orders = shop.orders_with(between)
        try:
            orders.change_part(order.order_id, kind, {"1": 2}, BY, "K1")
        except ProcessDiedError:
            assert between.happened
        shop.sweep_up()
        assert not shop.findings()
        found = shop.orders.change_part(order.order_id, kind, {"1": 2}, BY, "K1")
        assert sum(counts(found)["1"]) == (5 if kind is RESTOCK else 2)
        assert not shop.findings()
        return between

    every_place(act)


@pytest.mark.parametrize("kind", [RELEASE, CONSUME])
def test_another_request_at_every_call_does_not_disturb_a_movement(kind: MovementKind) -> None:
    def act(place: int) -> Between:
        shop = WholeShop(P001=10, P002=10)
        order = shop.place("C1", LINES, "key").order
        between = Between(place, lambda: shop.orders.cancel(order.order_id, BY))
        try:
            shop.orders_with(between).change_part(order.order_id, kind, {"1": 2}, BY, "K1")
        except (NotCancellableError, NotFulfillableError):
            assert shop.stored(order.order_id).status is Status.CANCELLED
        shop.sweep_up()
        assert not shop.findings()
        return between

    every_place(act)


@pytest.mark.parametrize("change", ["move", "cancel"])
def test_slow_request_continues_when_its_movement_is_finished_and_another_one_is_made(
    shop: WholeShop, order: Order, change: str
) -> None:
    """Inventory refuses the slow request's call: the number is no longer the last one."""
    shop.inventory.away = True
    move(shop, order, RELEASE, "K1", _1=1)
    shop.inventory.away = False

    def other_process() -> None:
        move(shop, order, CONSUME, "K2", _2=1)
        move(shop, order, CONSUME, "K3", _2=1)

    slow = shop.orders_with(Between(2, other_process))  # after it has read the order
    if change == "move":
        changed = slow.change_part(order.order_id, RELEASE, {"1": 1}, BY, "K1")
        assert counts(changed) == {"1": (1, 0, 0), "2": (0, 2, 0)}
    else:
        changed = slow.cancel(order.order_id, BY)
        assert counts(changed) == {"1": (3, 0, 0), "2": (0, 2, 0)}
    assert not shop.findings()


def test_document_of_an_older_revision_has_no_counts(shop: WholeShop, order: Order) -> None:
    """Its status says what became of the units: see test_stored_orders."""
    older = replace(shop.stored(order.order_id), history=(), movement=None)
    shop.write(older)
    changed = move(shop, order, CONSUME, "K1", _1=1)
    assert types(changed) == ["line_fulfilled"]
    assert changed.updated_at is not None
    assert changed.updated_at > NOW
