"""Orders that hold their stock until the payment is confirmed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.in_process.dying import ProcessDiedError
from support.in_process.memory_shop import Between, WholeShop, death, every_place
from support.stores.builders import BY, units

from order_function.domain import (
    Attempt,
    By,
    Line,
    MovementKind,
    NotCancellableError,
    NotConfirmableError,
    NotFulfillableError,
    Order,
    OrderExpiredError,
    Status,
)
from order_function.service import Placed

TWO = (Line("P001", 2),)
PAYMENT = By("payment")


@pytest.fixture
def shop() -> WholeShop:
    return WholeShop(P001=10)


def place(shop: WholeShop, key: str = "key", *, respond_async: bool = False) -> Placed:
    attempt = Attempt.begin("C1", TWO, key, hold_seconds=900)
    return shop.orders.place(attempt, respond_async=respond_async)


@pytest.fixture
def order(shop: WholeShop) -> Order:
    return place(shop).order


def pass_the_time(shop: WholeShop, order: Order) -> None:
    """The payment becomes overdue."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    shop.write(replace(shop.stored(order.order_id), expires_at=past))


def types(order: Order) -> list[str]:
    return [str(event.type) for event in order.history]


def test_stock_is_held_until_the_payment_is_due(shop: WholeShop, order: Order) -> None:
    assert order.status is Status.AWAITING_PAYMENT
    assert order.expires_at == order.created_at + timedelta(seconds=900)
    assert units(shop.stock, "P001") == (8, 2, 0)
    assert types(order) == ["placed", "awaiting_payment"]
    assert shop.sweep().expired == 0
    assert shop.stored(order.order_id).status is Status.AWAITING_PAYMENT
    assert not shop.findings()


def test_payment_is_confirmed_once(shop: WholeShop, order: Order) -> None:
    confirmed = shop.orders.confirm(order.order_id, PAYMENT)
    assert confirmed.status is Status.CONFIRMED
    assert types(confirmed) == ["placed", "awaiting_payment", "confirmed"]
    assert shop.orders.confirm(order.order_id, By("Anna")) == confirmed
    pass_the_time(shop, order)
    assert shop.sweep().expired == 0
    assert shop.orders.fulfil(order.order_id, BY).status is Status.FULFILLED
    assert shop.orders.confirm(order.order_id, PAYMENT).status is Status.FULFILLED
    assert not shop.findings()


def test_order_is_cancelled_when_its_payment_is_overdue(shop: WholeShop, order: Order) -> None:
    pass_the_time(shop, order)
    assert shop.sweep().expired == 1
    expired = shop.stored(order.order_id)
    assert expired.status is Status.CANCELLED
    event = expired.history[-1]
    assert (event.type, event.actor, event.reason) == ("cancelled", "reconcile", "expired")
    assert units(shop.stock, "P001") == (10, 0, 0)
    for _ in range(2):
        with pytest.raises(OrderExpiredError):
            shop.orders.confirm(order.order_id, PAYMENT)
    assert shop.sweep().done == 0
    assert not shop.findings()


def test_overdue_payment_is_confirmed_when_nothing_has_cancelled_the_order(
    shop: WholeShop, order: Order
) -> None:
    """The document decides, not the clock."""
    pass_the_time(shop, order)
    assert shop.orders.confirm(order.order_id, PAYMENT).status is Status.CONFIRMED
    assert shop.sweep().expired == 0


def test_held_order_is_cancelled_by_the_customer(shop: WholeShop, order: Order) -> None:
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLED
    with pytest.raises(NotConfirmableError):
        shop.orders.confirm(order.order_id, PAYMENT)
    assert not shop.findings()


@pytest.mark.parametrize("shipped", [0, 1, 2])
@pytest.mark.parametrize("inventory", ["answers", "is away"])
def test_repeated_confirmation_of_a_paid_order_is_no_reason_for_a_refund(
    shop: WholeShop, order: Order, shipped: int, inventory: str
) -> None:
    """Payment providers repeat their notifications, also after the order was cancelled."""
    shop.orders.confirm(order.order_id, PAYMENT)
    if shipped:
        shop.orders.change_part(order.order_id, MovementKind.CONSUME, {"1": shipped}, BY, "K1")
    shop.inventory.away = inventory == "is away"
    if shipped < 2:
        shop.orders.cancel(order.order_id, BY)
    before = shop.stored(order.order_id)
    assert shop.orders.confirm(order.order_id, PAYMENT) == before
    assert types(before).count("confirmed") == 1


def test_held_order_cannot_be_fulfilled_or_changed_in_part(shop: WholeShop, order: Order) -> None:
    with pytest.raises(NotFulfillableError):
        shop.orders.fulfil(order.order_id, BY)
    with pytest.raises(NotCancellableError, match="cannot be cancelled in part"):
        shop.orders.change_part(order.order_id, MovementKind.RELEASE, {"1": 1}, BY, "K1")


def test_held_order_is_replayed(shop: WholeShop, order: Order) -> None:
    again = place(shop)
    assert (again.order.order_id, again.replayed) == (order.order_id, True)
    shop.orders.confirm(order.order_id, PAYMENT)
    assert place(shop).order.status is Status.CONFIRMED


def test_pending_order_awaits_its_payment_after_the_decision(shop: WholeShop) -> None:
    shop.inventory.away = True
    order = place(shop, respond_async=True).order
    assert order.status is Status.PENDING
    with pytest.raises(NotConfirmableError):
        shop.orders.confirm(order.order_id, PAYMENT)
    shop.inventory.away = False
    shop.sweep()
    decided = shop.stored(order.order_id)
    assert decided.status is Status.AWAITING_PAYMENT
    assert types(decided) == ["placed", "awaiting_payment"]
    assert not shop.findings()


def test_damaged_order_that_awaits_its_payment_fails_the_sweep(
    shop: WholeShop, order: Order
) -> None:
    pass_the_time(shop, order)
    shop.store.damage(order.order_id)
    report = shop.sweep()
    assert (report.expired, report.failed > 0) == (0, True)
    assert order.order_id in report.failures[0]


def test_expiry_waits_until_inventory_is_back(shop: WholeShop, order: Order) -> None:
    pass_the_time(shop, order)
    shop.inventory.away = True
    assert shop.sweep().expired == 0
    with pytest.raises(OrderExpiredError):
        shop.orders.confirm(order.order_id, PAYMENT)
    shop.inventory.away = False
    shop.sweep_up()
    assert shop.stored(order.order_id).status is Status.CANCELLED
    assert units(shop.stock, "P001") == (10, 0, 0)
    assert not shop.findings()


@pytest.mark.parametrize("happening", ["crash", "confirm", "cancel", "expire"])
def test_expiry_survives_a_crash_or_another_change_at_every_call(happening: str) -> None:
    def act(place_of_event: int) -> Between:
        shop = WholeShop(P001=10)
        order = place(shop).order
        pass_the_time(shop, order)

        def confirm() -> None:
            confirmed.append(shop.orders.confirm(order.order_id, PAYMENT).status)

        confirmed: list[object] = []
        happenings = {
            "crash": death,
            "confirm": lambda: _ignoring(confirm),
            "cancel": lambda: shop.orders.cancel(order.order_id, BY),
            "expire": lambda: shop.orders.expire(order.order_id),
        }
        between = Between(place_of_event, happenings[happening])
        _ignoring(lambda: shop.orders_with(between).expire(order.order_id))
        shop.sweep_up()
        status = shop.stored(order.order_id).status
        assert status is (Status.CONFIRMED if confirmed else Status.CANCELLED)
        assert units(shop.stock, "P001") == ((8, 2, 0) if confirmed else (10, 0, 0))
        assert not shop.findings()
        return between

    every_place(act)


def _ignoring(act: Callable[[], object]) -> None:
    with suppress(ProcessDiedError, OrderExpiredError, NotConfirmableError):
        act()
