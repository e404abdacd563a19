"""The lists of orders and of expired holds, on the store in memory and on the one in Firestore.

Each list is compared with a plain selection from the same orders in Python.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import pytest
from support.stores.builders import BY, soon
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryUnfinishedWork

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import DamagedDocumentError
from functions_common.runtime.settings import FirestoreSettings
from order_function.domain import (
    PUBLIC_STATUSES,
    Address,
    Attempt,
    By,
    Details,
    Line,
    Movement,
    MovementKind,
    NewerStatus,
    Order,
    PricedLine,
    ReservationName,
    Status,
)
from order_function.order_documents import SHARDS, shard
from order_function.ports import ChangedOrders, OrderFilter, OverdueOrder
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork
from order_function.store import FirestoreOrderStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from order_function.ports import OrderStore, UnfinishedWork

T = TypeVar("T")

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
CUSTOMERS = ("C1", "C2")
PRODUCTS = (("P1",), ("P2",), ("P2", "P1"))
HOURS = (0, 1)
"""After NOW. Many orders have the same time."""
NEWER = NewerStatus("returning")


def order(
    status: Status | NewerStatus = Status.CONFIRMED,
    customer_id: str = "C1",
    products: tuple[str, ...] = ("P1",),
    created_at: datetime = NOW,
) -> Order:
    attempt = Attempt.begin(customer_id, [Line(each, 1) for each in products], None)
    items = tuple(PricedLine(each, 1, 99_999, "Laptop") for each in products)
    placed = Order.new_reserved(attempt, items, "USD", created_at)
    if status is Status.CANCELLED:
        lines = tuple(line.cancel(1) for line in placed.lines)
    elif status is Status.FULFILLED:
        lines = tuple(line.fulfil(1) for line in placed.lines)
    else:
        lines = placed.lines
    changing = status is Status.CHANGING
    movement = Movement(MovementKind.RELEASE, "customer", number=1, lines=tuple(sorted(lines)))
    return replace(placed, status=status, lines=lines, movement=movement if changing else None)


def mark() -> Order:
    return Order.new_abandoned_mark(ReservationName(order().order_id, 0, "F" * 26), NOW)


def some_of_each() -> list[Order]:
    """An order of each customer, product, status and time; and two marks."""
    orders = [
        order(status, customer_id, products, NOW + timedelta(hours=hours))
        for customer_id in CUSTOMERS
        for products in PRODUCTS
        for status in (*PUBLIC_STATUSES, NEWER)
        for hours in HOURS
    ]
    return [*orders, mark(), mark()]


SEVERAL = frozenset((Status.CONFIRMED, Status.REJECTED, Status.CANCELLED))
STATUSES = {
    "all": frozenset[Status](),
    "one": frozenset((Status.CONFIRMED,)),
    "rejected": frozenset((Status.REJECTED,)),
    "several": SEVERAL,
    "every": frozenset(PUBLIC_STATUSES),
}
TIMES = {
    "any": (None, None),
    "from": (NOW + timedelta(hours=1), None),
    "before": (None, NOW + timedelta(hours=1)),
    "between": (NOW, NOW + timedelta(microseconds=1)),
}
FILTERS = {
    f"{customer_id} {statuses} {times} {product_id}": OrderFilter(
        customer_id, STATUSES[statuses], *TIMES[times], product_id
    )
    for customer_id in (None, "C1")
    for statuses in STATUSES
    for times in TIMES
    for product_id in (None, "P1")
}


def newest_first_by(order: Order) -> tuple[datetime, str]:
    return order.created_at, order.order_id


def is_listed(order: Order, wanted: OrderFilter) -> bool:
    """What the filter means, written without the code under test."""
    hidden = (Status.ABANDONED,) if wanted.statuses else (Status.ABANDONED, Status.REJECTED)
    return all(
        (
            order.status not in hidden,
            not wanted.statuses or order.status in wanted.statuses,
            wanted.customer_id is None or order.customer_id == wanted.customer_id,
            wanted.created_from is None or order.created_at >= wanted.created_from,
            wanted.created_before is None or order.created_at < wanted.created_before,
            wanted.product_id is None
            or wanted.product_id in [line.product_id for line in order.lines],
        )
    )


def pages(read: Callable[[T | None], list[T]], size: int) -> list[T]:
    """All entries of a list, read in pages of this size."""
    found: list[T] = []
    while page := read(found[-1] if found else None):
        assert len(page) <= size
        found += page
    return found


@dataclass(frozen=True, slots=True)
class Stored:
    store: OrderStore
    work: UnfinishedWork
    damage: Callable[[Order], None]
    orders: list[Order]

    def add(self, *orders: Order) -> None:
        for each in orders:
            self.store.create(each, soon())
        self.orders.extend(orders)

    def change(self, order: Order, change: Callable[[Order], Order]) -> Order:
        found = self.store.get(order.order_id, soon())
        assert found is not None
        changed = change(found.order)
        self.store.replace(changed, found.version, soon())
        return changed

    def newest(self, wanted: OrderFilter, limit: int = 99) -> list[Order]:
        def read(last: Order | None) -> list[Order]:
            after = None if last is None else newest_first_by(last)
            return self.store.list_newest(wanted, after, limit, soon())

        return pages(read, limit)

    def by_id(self, prefix: str, limit: int = 99) -> list[Order]:
        def read(last: Order | None) -> list[Order]:
            after = None if last is None else last.order_id
            return self.store.list_by_id(prefix, after, limit, soon())

        return pages(read, limit)

    def changed(self, since: datetime, limit: int = 99) -> ChangedOrders:
        """All changes, read in pages, and the read time of the first page."""
        first = page = self.store.list_changed(since, None, None, limit, soon())
        found = [*page.page]
        while page.page:
            last = page.page[-1]
            after = (last.stored_at, last.order.order_id)
            page = self.store.list_changed(since, first.read_time, after, limit, soon())
            found += page.page
        return ChangedOrders(found, first.read_time)

    def expired(self, now: datetime, limit: int = 99) -> list[OverdueOrder]:
        def read(last: OverdueOrder | None) -> list[OverdueOrder]:
            after = None if last is None else (last.due, last.order_id)
            return self.work.overdue_orders(now, after, limit, soon())

        return pages(read, limit)


def due(held: Order) -> tuple[datetime, str]:
    assert held.expires_at is not None
    return held.expires_at, held.order_id


def overdue(held: Order) -> OverdueOrder:
    return OverdueOrder(held.order_id, held, due(held)[0])


def in_memory() -> Stored:
    store = MemoryOrders()
    work = MemoryUnfinishedWork(store, FakeInventory())
    return Stored(store, work, lambda order: store.damage(order.order_id), [])


def in_firestore(connection: FirestoreConnection) -> Stored:
    def damage(order: Order) -> None:
        connection.client.document("orders", order.order_id).update({"lines": "damaged"})

    work = FirestoreUnfinishedWork(connection)
    return Stored(FirestoreOrderStore(connection), work, damage, [])


@pytest.fixture(scope="module")
def stored_orders() -> list[Order]:
    return some_of_each()


@pytest.fixture(scope="module")
def filled_memory(stored_orders: list[Order]) -> Stored:
    stored = in_memory()
    stored.add(*stored_orders)
    return stored


@pytest.fixture(scope="module")
def filled_database(emulator: str, stored_orders: list[Order]) -> Iterator[Stored]:
    connection = new_database(emulator)
    stored = in_firestore(connection)
    stored.add(*stored_orders)
    yield stored
    connection.close()


class ListContract:
    """``filled`` has ``some_of_each`` and is only read. ``empty`` is new for each test."""

    @pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
    def test_list_has_the_orders_of_the_filter_newest_first(
        self, filled: Stored, wanted: OrderFilter
    ) -> None:
        expected = [each for each in filled.orders if is_listed(each, wanted)]
        assert filled.newest(wanted) == sorted(expected, key=newest_first_by, reverse=True)

    @pytest.mark.parametrize("name", ["None all any None", "None every any P1", "C1 all any P1"])
    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_pages_have_each_order_once(self, filled: Stored, name: str, size: int) -> None:
        """Several orders have the same time, so a page can end between them."""
        assert filled.newest(FILTERS[name], size) == filled.newest(FILTERS[name])

    def test_every_filter_admits_some_orders_and_rejects_others(self, filled: Stored) -> None:
        for name, wanted in FILTERS.items():
            assert 0 < len(filled.newest(wanted)) < len(filled.orders), name

    @pytest.mark.parametrize("customer_id", [None, "C1"])
    def test_rejected_orders_are_listed_only_if_they_are_named(
        self, filled: Stored, customer_id: str | None
    ) -> None:
        def rejected(*statuses: Status) -> set[bool]:
            found = filled.newest(OrderFilter(customer_id, frozenset(statuses)))
            return {each.status is Status.REJECTED for each in found}

        assert rejected() == {False}
        assert rejected(Status.CONFIRMED, Status.REJECTED) == {False, True}
        assert rejected(Status.REJECTED) == {True}

    def test_order_of_a_newer_revision_is_listed(self, filled: Stored) -> None:
        newer = [each.order_id for each in filled.orders if each.status == NEWER]
        listed = {
            "newest": filled.newest(OrderFilter()),
            "of a customer": filled.newest(OrderFilter("C1")) + filled.newest(OrderFilter("C2")),
            "by id": filled.by_id("ORD"),
            "changed": [each.order for each in filled.changed(LONG_AGO).page],
        }
        for name, found in listed.items():
            assert {*newer} <= {each.order_id for each in found}, name

    def test_list_by_id_has_the_orders_with_the_prefix_by_id(self, filled: Stored) -> None:
        listed = sorted(each.order_id for each in filled.newest(OrderFilter()))
        for length in (0, 3, 4, 5, 29):
            prefix = listed[len(listed) // 2][:length]
            expected = [each for each in listed if each.startswith(prefix)]
            for size in (1, 2, 99):
                found = [each.order_id for each in filled.by_id(prefix, size)]
                assert found == expected, (prefix, size)
        assert filled.by_id("ORDZZZZZZZZZZ") == []

    def test_all_orders_but_marks_are_changed_since_long_ago(self, filled: Stored) -> None:
        found = filled.changed(LONG_AGO)
        expected = {each.order_id for each in filled.orders if each.status is not Status.ABANDONED}
        assert {each.order.order_id for each in found.page} == expected
        assert len(found.page) == len(expected)
        places = [(each.stored_at, each.order.order_id) for each in found.page]
        assert places == sorted(places)
        assert found.read_time > places[-1][0]
        for size in (1, 5):
            assert filled.changed(LONG_AGO, size).page == found.page

    def test_change_is_listed_since_its_own_time_and_not_later(self, filled: Stored) -> None:
        found = filled.changed(LONG_AGO).page
        middle = found[len(found) // 2].stored_at
        expected = [each for each in found if each.stored_at >= middle]
        assert filled.changed(middle).page == expected
        after_all = found[-1].stored_at + timedelta(microseconds=1)
        assert filled.changed(after_all).page == []

    def test_change_moves_an_order_to_the_end(self, empty: Stored) -> None:
        first, second = order(), order()
        empty.add(first, second)
        before = empty.changed(LONG_AGO)
        changed = empty.change(first, lambda found: found.begin_cancel(BY))
        found = empty.changed(LONG_AGO).page
        assert [each.order.order_id for each in found] == [second.order_id, first.order_id]
        assert found[-1].order == changed
        assert found[-1].stored_at > before.page[-1].stored_at
        assert [each.order for each in empty.changed(found[-1].stored_at).page] == [changed]

    def test_order_that_replaces_a_mark_is_listed_everywhere(self, empty: Stored) -> None:
        abandoned = mark()
        empty.add(abandoned)
        assert (empty.newest(OrderFilter()), empty.by_id(""), empty.changed(LONG_AGO).page) == (
            [],
            [],
            [],
        )
        placed = replace(order(), order_id=abandoned.order_id)
        empty.change(abandoned, lambda _: placed)
        assert [each.order_id for each in empty.newest(OrderFilter())] == [placed.order_id]
        assert [each.order_id for each in empty.by_id("")] == [placed.order_id]
        found = empty.changed(LONG_AGO).page
        assert [each.order.order_id for each in found] == [placed.order_id]

    def test_pending_order_moves_to_the_rejected_ones_when_it_is_rejected(
        self, empty: Stored
    ) -> None:
        pending = order(Status.PENDING)
        empty.add(pending)
        rejected = empty.change(
            pending, lambda found: replace(found, status=Status.REJECTED, items=())
        )
        assert empty.newest(OrderFilter()) == []
        assert empty.newest(OrderFilter(statuses=frozenset((Status.REJECTED,)))) == [rejected]
        assert [each.order for each in empty.changed(LONG_AGO).page] == [rejected]

    def test_damaged_order_is_left_out_and_the_page_is_full(self, empty: Stored) -> None:
        placed = [order(created_at=NOW + timedelta(seconds=n)) for n in range(5)]
        empty.add(*placed)
        for each in (placed[1], placed[3]):
            empty.damage(each)
        whole = [placed[4], placed[2], placed[0]]
        for wanted in (
            OrderFilter(),
            OrderFilter("C1"),
            OrderFilter(product_id="P1"),
            OrderFilter("C1", frozenset((Status.CONFIRMED,)), product_id="P1"),
        ):
            assert empty.store.list_newest(wanted, None, 2, soon()) == whole[:2]
            assert empty.newest(wanted, 2) == whole
        by_id = sorted(whole, key=lambda each: each.order_id)
        assert empty.store.list_by_id("ORD", None, 2, soon()) == by_id[:2]
        assert empty.by_id("ORD", 2) == by_id
        changes = empty.changed(LONG_AGO, 2).page
        assert {each.order.order_id for each in changes} == {each.order_id for each in whole}

    @pytest.mark.parametrize("size", [1, 2, 99])
    def test_orders_of_a_customer_are_all_listed_by_id(self, filled: Stored, size: int) -> None:
        expected = sorted(each.order_id for each in filled.orders if each.customer_id == "C1")
        found: list[str] = []
        while page := filled.store.orders_of("C1", found[-1] if found else None, size, soon()):
            found += [each.order_id for each in page]
        assert found == expected
        assert {each.status for each in filled.orders if each.order_id in found} >= {
            *PUBLIC_STATUSES,
            NEWER,
        }

    def test_orders_of_a_customer_have_the_errors_of_damaged_documents(self, empty: Stored) -> None:
        placed = sorted((order() for _ in range(3)), key=lambda each: each.order_id)
        empty.add(*placed)
        empty.damage(placed[1])
        first, damaged, last = empty.store.orders_of("C1", None, 9, soon())
        assert first == (placed[0].order_id, empty.store.get(placed[0].order_id, soon()))
        assert last == (placed[2].order_id, empty.store.get(placed[2].order_id, soon()))
        assert damaged.order_id == placed[1].order_id
        assert isinstance(damaged.found, DamagedDocumentError)

    def test_erased_order_is_stored_without_what_was_erased(self, empty: Stored) -> None:
        details = Details("WEB-1", "Ring twice", {"email": "a@b"}, Address("Ada", "1 A", "B", "GB"))
        attempt = Attempt.begin("C1", [Line("P1", 2)], "key", details=details)
        items = (PricedLine("P1", 2, 99_999, "Laptop"),)
        placed = Order.new_reserved(attempt, items, "USD", NOW)
        empty.add(placed)
        by = By("Grace", "Ada called")
        empty.change(placed, lambda found: found.begin_cancel(by))
        empty.change(placed, lambda found: found.finish_cancel(NOW))
        erased = empty.change(placed, Order.erase_personal)
        found = empty.store.get(placed.order_id, soon())
        assert found is not None
        assert found.order == erased
        assert found.order.details == Details("WEB-1")
        assert [each.actor for each in found.order.history] == ["customer", "customer", "operator"]
        assert empty.store.orders_of("C1", None, 9, soon()) == []
        event = replace(found.order.history[0], at=NOW + timedelta(seconds=1))
        again = empty.change(placed, lambda found: found.with_events(event))
        found = empty.store.get(placed.order_id, soon())
        assert found is not None
        assert found.order == again

    def test_expired_holds_are_listed_the_longest_overdue_first(self, empty: Stored) -> None:
        def held(seconds: float) -> Order:
            return replace(
                order(Status.AWAITING_PAYMENT), expires_at=NOW + timedelta(seconds=seconds)
            )

        holds = [held(seconds) for seconds in (3, -1, -5, 0, -5, 9)]
        other = [
            replace(order(status), expires_at=NOW - timedelta(days=1))
            for status in PUBLIC_STATUSES
            if status is not Status.AWAITING_PAYMENT
        ]
        empty.add(*holds, *other, order(), mark())
        expired = sorted((each for each in holds if due(each)[0] <= NOW), key=due)
        assert len(expired) == 4
        for size in (1, 2, 99):
            assert empty.expired(NOW, size) == [*map(overdue, expired)]
        assert empty.expired(NOW - timedelta(seconds=6)) == []

    def test_hold_is_no_longer_expired_when_its_order_changes(self, empty: Stored) -> None:
        due_at = NOW - timedelta(seconds=1)
        holds = [replace(order(Status.AWAITING_PAYMENT), expires_at=due_at) for _ in range(3)]
        empty.add(*holds)
        empty.change(holds[0], lambda found: found.confirm_payment(BY, NOW))
        empty.change(holds[1], lambda found: found.begin_cancel(BY))
        assert [each.order_id for each in empty.expired(NOW)] == [holds[2].order_id]

    def test_damaged_hold_has_its_error(self, empty: Stored) -> None:
        due_at = NOW - timedelta(seconds=1)
        holds = sorted(
            (replace(order(Status.AWAITING_PAYMENT), expires_at=due_at) for _ in range(3)),
            key=lambda each: each.order_id,
        )
        empty.add(*holds)
        empty.damage(holds[0])
        damaged, *others = empty.expired(NOW, 1)
        assert isinstance(damaged.order, DamagedDocumentError)
        assert (damaged.order_id, damaged.due) == (holds[0].order_id, due_at)
        assert others == [*map(overdue, holds[1:])]


class TestListsInMemory(ListContract):
    @pytest.fixture
    def filled(self, filled_memory: Stored) -> Stored:
        return filled_memory

    @pytest.fixture
    def empty(self) -> Stored:
        return in_memory()


class TestListsInFirestore(ListContract):
    @pytest.fixture
    def filled(self, filled_database: Stored) -> Stored:
        return filled_database

    @pytest.fixture
    def connection(self, emulator: str) -> Iterator[FirestoreConnection]:
        connection = new_database(emulator)
        yield connection
        connection.close()

    @pytest.fixture
    def empty(self, connection: FirestoreConnection) -> Stored:
        return in_firestore(connection)

    def test_orders_are_spread_over_all_shards(self, stored_orders: list[Order]) -> None:
        live = [each for each in stored_orders if each.status is not Status.ABANDONED]
        assert {shard(each) % SHARDS for each in live} == {*range(SHARDS)}

    def test_orders_changed_at_one_time_are_listed_once_each(
        self, empty: Stored, connection: FirestoreConnection
    ) -> None:
        """All writes of one commit have the same time."""
        placed = sorted((order() for _ in range(5)), key=lambda each: each.order_id)
        empty.add(*placed)
        batch = connection.client.batch()
        for each in placed:
            batch.update(connection.client.document("orders", each.order_id), {"stored_at": NOW})
        batch.commit()
        for size in (1, 2, 5):
            found = empty.changed(NOW, size).page
            assert [each.order.order_id for each in found] == [each.order_id for each in placed]


def new_database(emulator: str) -> FirestoreConnection:
    project = f"test-{uuid.uuid4().hex[:12]}"
    return FirestoreConnection(FirestoreSettings(project, "(default)", emulator))
