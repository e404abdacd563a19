"""The protocol, step by step: what is written, what is told, and what is left behind."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.memory_shop import Between, MemoryShop

from order_function.domain import (
    Attempt,
    IdempotencyKeyReusedError,
    Line,
    NotCancellableError,
    Order,
    OrderNotFoundError,
    OrderRejectedError,
    Status,
    is_order_id,
)
from order_function.ports import InventoryUnavailableError
from order_function.service import OrderOutcomeUnknownError, Placed

TWO = (Line("P001", 2),)


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=5, P002=1)


def test_an_order_is_confirmed_with_the_prices_it_was_reserved_at(shop: MemoryShop) -> None:
    placed = shop.place("C1", TWO, None)
    assert not placed.replayed
    assert is_order_id(placed.order.order_id)
    assert placed.order.status is Status.CONFIRMED
    assert placed.order.total_price == 2 * 99_999
    assert shop.held == {placed.order.reservation_id: 2}


def test_without_a_key_two_equal_requests_are_two_orders(shop: MemoryShop) -> None:
    first, second = (shop.place("C1", TWO, None).order for _ in range(2))
    assert first.order_id != second.order_id
    assert shop.inventory.available["P001"] == 1


def test_the_same_key_is_the_same_order(shop: MemoryShop) -> None:
    first = shop.place("C1", TWO, "key")
    again = shop.place("C1", TWO, "key")
    assert again.order == first.order
    assert (first.replayed, again.replayed) == (False, True)
    assert shop.held == {first.order.reservation_id: 2}


def test_a_key_belongs_to_its_customer(shop: MemoryShop) -> None:
    mine, theirs = (shop.place(who, TWO, "key").order for who in ("C1", "C2"))
    assert mine.order_id != theirs.order_id


def test_lines_in_another_order_are_the_same_body(shop: MemoryShop) -> None:
    first = shop.place("C1", [Line("P001", 1), Line("P002", 1), Line("P001", 1)], "key")
    again = shop.place("C1", [Line("P002", 1), Line("P001", 2)], "key")
    assert again.order == first.order


def test_another_body_under_the_same_key_is_refused_and_keeps_no_stock(shop: MemoryShop) -> None:
    first = shop.place("C1", TWO, "key").order
    with pytest.raises(IdempotencyKeyReusedError):
        shop.place("C1", [Line("P001", 3)], "key")
    assert shop.held == {first.reservation_id: 2}
    assert shop.inventory.available["P001"] == 3


def test_a_refusal_without_a_key_writes_nothing(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], None)
    assert refused.value.order_id is None
    assert refused.value.rejection.extensions["lines"][0]["available_quantity"] == 5
    assert not shop.store.documents


def test_a_refusal_under_a_key_is_final_even_when_stock_arrives(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    shop.inventory.available["P001"] = 100
    with pytest.raises(OrderRejectedError) as again:
        shop.place("C1", [Line("P001", 6)], "key")
    assert (refused.value.replayed, again.value.replayed) == (False, True)
    assert again.value.rejection == refused.value.rejection
    assert shop.inventory.available["P001"] == 100
    assert not shop.held


def test_a_product_that_is_not_sold_is_a_refusal(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P999", 1)], None)
    assert refused.value.rejection.kind == "unknown-product"


@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_a_create_of_unknown_outcome_is_looked_at_again(shop: MemoryShop, fault: str) -> None:
    shop.store.faults.coming.append(fault)
    placed = shop.place("C1", TWO, "key")
    assert not placed.replayed, "it finds its own write"
    assert len(shop.store.documents) == 1
    assert shop.held == {placed.order.reservation_id: 2}


def test_a_create_that_stays_unknown_says_which_order_to_look_for() -> None:
    shop = MemoryShop(deadline_seconds=0.2, P001=5)
    shop.store.faults.coming.extend(["dropped"] * 100)
    with pytest.raises(OrderOutcomeUnknownError) as unknown:
        shop.place("C1", TWO, "key")
    shop.store.faults.coming.clear()
    assert shop.place("C1", TWO, "key").order.order_id == unknown.value.order_id


def test_a_store_that_refuses_after_the_reservation_says_which_order_to_look_for(
    shop: MemoryShop,
) -> None:
    shop.store.faults.coming.append("away")
    with pytest.raises(OrderOutcomeUnknownError) as unknown:
        shop.place("C1", TWO, "key")
    placed = shop.place("C1", TWO, "key")
    assert placed.order.order_id == unknown.value.order_id
    assert shop.held == {placed.order.reservation_id: 2}


def test_a_crash_between_reservation_and_order_is_mended_by_the_retry(shop: MemoryShop) -> None:
    crashed = Attempt.begin("C1", TWO, "key")
    shop.inventory._hold(crashed.reservation_id, crashed.lines)  # noqa: SLF001
    placed = shop.place("C1", TWO, "key")
    assert placed.order.reservation_id == crashed.reservation_id
    assert shop.inventory.available["P001"] == 3


@pytest.mark.parametrize("carried_out", [True, None, False])
def test_an_order_without_a_key_is_not_placed_when_inventory_is_unavailable(
    shop: MemoryShop, *, carried_out: bool | None
) -> None:
    shop.inventory.away.append(carried_out)
    with pytest.raises(InventoryUnavailableError):
        shop.place("C1", TWO, None)
    assert not shop.store.documents


@pytest.mark.parametrize("carried_out", [True, None, False])
def test_an_order_with_a_key_names_its_id_when_inventory_is_unavailable(
    shop: MemoryShop, *, carried_out: bool | None
) -> None:
    shop.inventory.away.append(carried_out)
    with pytest.raises(OrderOutcomeUnknownError) as unknown:
        shop.place("C1", TWO, "key")
    again = shop.place("C1", TWO, "key")
    assert again.order.order_id == unknown.value.order_id
    assert shop.inventory.available["P001"] == 3


def test_cancelling_gives_the_stock_back_once(shop: MemoryShop) -> None:
    order = shop.place("C1", TWO, None).order
    assert shop.orders.cancel(order.order_id).status is Status.CANCELLED
    assert shop.orders.cancel(order.order_id).status is Status.CANCELLED
    assert shop.inventory.available["P001"] == 5
    assert not shop.held


def test_a_cancelled_order_is_replayed_as_it_is_and_takes_no_stock(shop: MemoryShop) -> None:
    order = shop.place("C1", TWO, "key").order
    shop.orders.cancel(order.order_id)
    again = shop.place("C1", TWO, "key")
    assert (again.replayed, again.order.status) == (True, Status.CANCELLED)
    assert shop.inventory.available["P001"] == 5


def test_cancelling_while_inventory_is_away_is_finished_later(shop: MemoryShop) -> None:
    order = shop.place("C1", TWO, None).order
    shop.inventory.away.append(None)
    assert shop.orders.cancel(order.order_id).status is Status.CANCELLING
    assert shop.inventory.available["P001"] == 3
    assert shop.orders.cancel(order.order_id).status is Status.CANCELLED
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize("faults", [["conflict"], ["lost"], ["dropped"], ["", "lost"]])
def test_cancelling_survives_writes_that_go_wrong(shop: MemoryShop, faults: list[str]) -> None:
    order = shop.place("C1", TWO, None).order
    shop.store.faults.coming.extend(faults)
    assert shop.orders.cancel(order.order_id).status is Status.CANCELLED
    assert shop.inventory.available["P001"] == 5


def test_what_was_rejected_cannot_be_cancelled(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    assert refused.value.order_id is not None
    with pytest.raises(NotCancellableError):
        shop.orders.cancel(refused.value.order_id)


@pytest.mark.parametrize("status", [Status.FULFILLING, Status.FULFILLED])
def test_what_has_left_cannot_be_cancelled(status: Status) -> None:
    order = Order.reserved(Attempt.begin("C1", TWO, None), (), "USD", datetime.now(UTC))
    with pytest.raises(NotCancellableError):
        replace(order, status=status).cancel()


PRICE = 99_999


def test_at_the_total_that_was_expected_it_is_confirmed(shop: MemoryShop) -> None:
    assert shop.place("C1", TWO, "key", 2 * PRICE).order.status is Status.CONFIRMED


def test_at_another_total_it_is_refused_and_keeps_no_stock(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", TWO, "key", 2 * PRICE - 1)
    assert refused.value.rejection.kind == "price-changed"
    assert refused.value.rejection.extensions == {"total_price": 2 * PRICE, "currency": "USD"}
    assert refused.value.order_id is not None
    assert shop.stored(refused.value.order_id).status is Status.REJECTED
    assert shop.inventory.available["P001"] == 5
    with pytest.raises(OrderRejectedError) as again:
        shop.place("C1", TWO, "key", 2 * PRICE - 1)
    assert again.value.replayed


def test_a_changed_price_is_written_before_the_stock_is_given_back(shop: MemoryShop) -> None:
    shop.store.faults.coming.append("away")
    with pytest.raises(OrderOutcomeUnknownError):
        shop.place("C1", TWO, "key", 1)
    assert sum(shop.held.values()) == 2


def test_without_a_key_a_changed_price_writes_nothing(shop: MemoryShop) -> None:
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", TWO, None, 1)
    assert refused.value.order_id is None
    assert not shop.store.documents
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize(("key", "calls_before"), [("key", 2), (None, 1)])
def test_stock_that_cannot_be_given_back_leaves_the_refusal_standing(
    shop: MemoryShop, key: str | None, calls_before: int
) -> None:
    release = Between(calls_before + 1, lambda: shop.inventory.away.append(None))
    with pytest.raises(OrderRejectedError):
        shop.place("C1", TWO, key, 1, between=release)
    assert shop.inventory.available["P001"] == 3
    assert shop.sweep().released == 1
    assert shop.inventory.available["P001"] == 5


@pytest.mark.parametrize("other", [None, 2 * PRICE + 1])
def test_another_expectation_is_another_body(shop: MemoryShop, other: int | None) -> None:
    first = shop.place("C1", TWO, "key", 2 * PRICE).order
    with pytest.raises(IdempotencyKeyReusedError):
        shop.place("C1", TWO, "key", other)
    assert shop.held == {first.reservation_id: 2}


def test_a_body_that_expects_nothing_has_the_fingerprint_that_it_always_had() -> None:
    """Stored orders are compared with it, so it must never change."""
    assert Attempt.begin("C1", TWO, "key").fingerprint == "ZBZNXD71AZE4MSQ6V01X64DGV4"
    assert Attempt.begin("C1", TWO, "key", 1).fingerprint != "ZBZNXD71AZE4MSQ6V01X64DGV4"


def test_a_delivery_that_finds_its_own_refusal_replays_nothing(shop: MemoryShop) -> None:
    shop.store.faults.coming.append("lost")
    with pytest.raises(OrderRejectedError) as refused:
        shop.place("C1", [Line("P001", 6)], "key")
    assert not refused.value.replayed


def test_a_delivery_that_comes_second_replays_the_first(shop: MemoryShop) -> None:
    placed: list[Placed] = []
    create = Between(2, lambda: placed.append(shop.place("C1", TWO, "key")))
    second = shop.place("C1", TWO, "key", between=create)
    assert second.order == placed[0].order
    assert (placed[0].replayed, second.replayed) == (False, True)
    assert shop.held == {second.order.reservation_id: 2}


def test_an_order_that_is_not_there(shop: MemoryShop) -> None:
    for use_case in (shop.orders.get, shop.orders.cancel, shop.orders.fulfil, shop.orders.complete):
        with pytest.raises(OrderNotFoundError):
            use_case("ORD" + "0" * 26)
