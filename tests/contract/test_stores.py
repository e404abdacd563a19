"""One suite for each store, run on the fake of unit tests and on the store in Firestore."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.in_process.apps import inventory_app
from support.in_process.client import client_of
from support.stores.builders import BY, lines, product, soon
from support.stores.fakes import FakeInventory, MemoryOrders, MemoryStock, MemoryUnfinishedWork

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import (
    ConflictError,
    DamagedDocumentError,
    StoreError,
    StoreRejectedError,
)
from functions_common.runtime.settings import FirestoreSettings
from inventory_function import store as inventory_store
from inventory_function.domain import (
    Adjustment,
    Entity,
    Movement,
    MovementKind,
    PricedLine,
    Product,
    ProductFilter,
    Reservation,
    ReservationStatus,
)
from order_function import domain as order_domain
from order_function import store as order_store
from order_function.domain import (
    MOVING_STATUSES,
    Attempt,
    Line,
    Order,
    Rejection,
    ReservationName,
    Status,
)
from order_function.ports import OrderFilter
from order_function.reconcile.unfinished_work import FirestoreUnfinishedWork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inventory_function.ports import CatalogueStore
    from order_function.ports import Inventory, OrderStore, UnfinishedWork, VersionedOrder

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def connection(emulator: str) -> Iterator[FirestoreConnection]:
    connection = FirestoreConnection(
        FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    )
    yield connection
    connection.close()


RESERVATION = Reservation(
    "ORD1.0.F",
    ReservationStatus.HELD,
    "USD",
    (PricedLine("P001", 2, 99_999, "Laptop"), PricedLine("P002", 1, 2_490, "Mouse")),
    "nonce",
)


def consumed(units: int) -> Reservation:
    """The reservation after a first movement, which consumed units of P001."""
    return RESERVATION.apply(Movement(1, MovementKind.CONSUME, lines(P001=units)))


MOVED = tuple(
    replace(reservation, reservation_id=name)
    for name, reservation in {
        "1-released": RESERVATION.move_rest(MovementKind.RELEASE),
        "2-consumed": RESERVATION.move_rest(MovementKind.CONSUME),
        "3-partial": consumed(1),
        "4-restocked": consumed(2).apply(Movement(2, MovementKind.RESTOCK, lines(P001=1))),
        "5-rest-released": consumed(1).move_rest(MovementKind.RELEASE),
        "6-restocked-after-all": RESERVATION.move_rest(MovementKind.CONSUME).apply(
            Movement(1, MovementKind.RESTOCK, lines(P001=1, P002=1))
        ),
    }.items()
)
"""A reservation after each kind of change."""


def adjustment(adjustment_id: str, created_at: datetime = NOW) -> Adjustment:
    return Adjustment(adjustment_id, "P001", 5, "delivery", None, created_at, 5, "nonce")


def version(stock: CatalogueStore, entity: Entity) -> datetime:
    ((_, found, update_time),) = stock.read([entity.key], soon())
    assert found is not None
    assert update_time is not None
    return update_time


class StockStoreContract:
    @pytest.mark.parametrize("entity", [product(available=7), RESERVATION, adjustment("A1")])
    def test_stored_document_is_read_back_unchanged(
        self, stock: CatalogueStore, entity: Entity
    ) -> None:
        stock.commit([(entity, None)], soon())
        found = stock.get(entity.key, soon())
        if isinstance(found, Product):
            assert found.updated_at == version(stock, entity)
            found = replace(found, updated_at=None)
        assert found == entity

    def test_read_reports_missing_documents(self, stock: CatalogueStore) -> None:
        stock.commit([(product("P001"), None)], soon())
        keys = [("products", "P001"), ("products", "P002"), ("reservations", "R")]
        found = {
            key: (entity is None, update_time is None)
            for key, entity, update_time in stock.read(keys, soon())
        }
        assert found == {keys[0]: (False, False), keys[1]: (True, True), keys[2]: (True, True)}

    def test_commit_is_all_or_nothing(self, stock: CatalogueStore) -> None:
        stock.commit([(product("P001"), None)], soon())
        with pytest.raises(ConflictError):
            stock.commit([(product("P002"), None), (product("P001"), None)], soon())
        assert stock.get(("products", "P002"), soon()) is None

    def test_change_fails_when_its_version_is_not_the_stored_one(
        self, stock: CatalogueStore
    ) -> None:
        stock.commit([(product(available=1), None)], soon())
        read = version(stock, product())
        stock.commit([(product(available=2), read)], soon())
        with pytest.raises(ConflictError):
            stock.commit([(product(available=3), read)], soon())
        stock.commit([(product(available=4), version(stock, product()))], soon())
        found = stock.get(("products", "P001"), soon())
        assert isinstance(found, Product)
        assert found.available == 4

    def test_change_of_a_missing_document_is_a_conflict(self, stock: CatalogueStore) -> None:
        with pytest.raises(ConflictError):
            stock.commit([(product(), NOW)], soon())

    def test_commit_is_rejected_when_a_document_is_too_large(self, stock: CatalogueStore) -> None:
        too_large = product("P002", name="x" * 1_100_000)
        with pytest.raises(StoreRejectedError):
            stock.commit([(product("P001"), None), (too_large, None)], soon())
        assert stock.get(("products", "P001"), soon()) is None

    def test_products_are_listed_by_id_in_pages(self, stock: CatalogueStore) -> None:
        for name in ("P3", "P1", "P2"):
            stock.commit([(product(name), None)], soon())
        assert [p.product_id for p in stock.products(None, 2, soon())] == ["P1", "P2"]
        assert [p.product_id for p in stock.products("P2", 2, soon())] == ["P3"]

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            (ProductFilter(sold_in="USD"), ["P1", "P2", "P3"]),
            (ProductFilter(not_sold_in="USD"), ["P4", "P0", "P5"]),
            (ProductFilter(name_prefix="La"), ["P0", "P5", "P1", "P2"]),
            (ProductFilter(sold_in="USD", name_prefix="La"), ["P1", "P2"]),
            (ProductFilter(max_available=5), ["P3", "P2", "P1"]),
            (ProductFilter(sold_in="USD", max_available=1), ["P3", "P2"]),
            (ProductFilter(ids=("P9", "P5", "P1")), ["P1", "P5"]),
            (ProductFilter(ids=("P1", "P3", "P5"), sold_in="USD", max_available=4), ["P3"]),
        ],
    )
    def test_products_are_listed_by_a_filter_in_pages(
        self, stock: CatalogueStore, filters: ProductFilter, found: list[str]
    ) -> None:
        for each in (
            product("P1", available=5, name="Lamp"),
            product("P2", available=1, name="Laptop"),
            product("P3", available=0, name="lap"),
            product("P4", available=9, name="Mouse", active=False),
            product("P5", available=9, name="Lab", currency="EUR"),
            product("P0", available=9, name="Lab", currency="CHF"),
        ):
            stock.commit([(each, None)], soon())
        for limit in (1, 2, 9):
            pages: list[str] = []
            after = None
            while page := stock.products(after, limit, soon(), filters):
                pages += [each.product_id for each in page]
                after = filters.place(page[-1])
            assert pages == found

    def test_adjustments_are_listed_newest_first_in_pages(self, stock: CatalogueStore) -> None:
        later = NOW + timedelta(seconds=1)
        made = [adjustment("A", later), adjustment("C"), adjustment("B")]
        stock.commit([(each, None) for each in made], soon())
        first = stock.adjustments("P001", None, 2, soon())
        assert first == made[:2]
        assert stock.adjustments("P001", (NOW, "C"), 2, soon()) == made[2:]
        assert stock.adjustments("P002", None, 2, soon()) == []

    def test_reservation_is_read_back_unchanged_after_each_change(
        self, stock: CatalogueStore
    ) -> None:
        for each in MOVED:
            reserved = replace(RESERVATION, reservation_id=each.reservation_id)
            stock.commit([(reserved, None)], soon())
            stock.commit([(each, version(stock, each))], soon())
            assert stock.get(each.key, soon()) == each
        for each in MOVED:
            created = replace(each, reservation_id=f"{each.reservation_id}-created")
            stock.commit([(created, None)], soon())
            assert stock.get(created.key, soon()) == created

    def test_ledger_has_the_counts_of_each_reservation(self, stock: CatalogueStore) -> None:
        stock.commit([(each, None) for each in MOVED], soon())
        found = [each.reservation for each in stock.reservations_of("P001", None, 9, soon())]
        assert found == list(MOVED)


class TestStockInMemory(StockStoreContract):
    @pytest.fixture
    def stock(self) -> CatalogueStore:
        return MemoryStock()


class TestStockInFirestore(StockStoreContract):
    @pytest.fixture
    def stock(self, connection: FirestoreConnection) -> CatalogueStore:
        return inventory_store.Store(connection)

    def test_fields_of_another_revision_stay_unchanged(
        self, stock: CatalogueStore, connection: FirestoreConnection
    ) -> None:
        stock.commit([(product(available=7), None)], soon())
        document = connection.client.document("products", "P001")
        document.update({"weight": 2.5})
        found = stock.get(("products", "P001"), soon())
        assert isinstance(found, Product)
        stock.commit([(found.reserve(1), version(stock, found))], soon())
        assert document.get().to_dict()["weight"] == 2.5

    def test_movement_keeps_the_lines_with_their_fields_of_another_revision(
        self, stock: CatalogueStore, connection: FirestoreConnection
    ) -> None:
        stock.commit([(RESERVATION, None)], soon())
        document = connection.client.document("reservations", RESERVATION.reservation_id)
        stored = [each | {"tax": 19} for each in document.get().to_dict()["lines"]]
        document.update({"lines": stored})
        stock.commit([(consumed(1), version(stock, RESERVATION))], soon())
        found = document.get().to_dict()
        assert found["lines"] == stored
        assert found["counts"] == [
            {"product_id": "P001", "released": 0, "consumed": 1, "returned": 0}
        ]

    @pytest.mark.parametrize("whole", MOVED[:2], ids=lambda each: each.reservation_id)
    def test_reservation_is_stored_without_counts_when_it_moves_as_a_whole(
        self, stock: CatalogueStore, connection: FirestoreConnection, whole: Reservation
    ) -> None:
        """So do older revisions, and an older revision can read it."""
        stock.commit([(whole, None)], soon())
        found = connection.client.document("reservations", whole.reservation_id).get().to_dict()
        assert found.keys() == {"currency", "nonce", "lines", "product_ids", "status"}
        assert found["lines"][0].keys() == {"product_id", "quantity", "unit_price", "name"}

    @pytest.mark.parametrize(
        "counts",
        [
            {"released": 3},
            {"released": -1},
            {"released": 1, "consumed": 2},
            {"consumed": 1, "returned": 2},
            {"returned": 1},
            {"consumed": "1"},
        ],
    )
    def test_reservation_is_damaged_when_its_counts_do_not_fit(
        self, stock: CatalogueStore, connection: FirestoreConnection, counts: dict[str, object]
    ) -> None:
        stock.commit([(RESERVATION, None)], soon())
        document = connection.client.document("reservations", RESERVATION.reservation_id)
        document.update({"counts": [{"product_id": "P001", **counts}]})
        with pytest.raises(DamagedDocumentError):
            stock.get(RESERVATION.key, soon())


def order(customer_id: str = "C1", created_at: datetime = NOW) -> Order:
    attempt = Attempt.begin(customer_id, [Line("P001", 2)], None)
    return Order.new_reserved(
        attempt, (order_domain.PricedLine("P001", 2, 99_999, "Laptop"),), "USD", created_at
    )


def of_status(status: Status) -> OrderFilter:
    return OrderFilter("C1", frozenset((status,)))


REJECTION = Rejection(
    "insufficient-stock",
    "Short",
    {"lines": [{"product_id": "P001", "requested": 2, "available_quantity": 1}]},
)


class OrderStoreContract:
    @pytest.mark.parametrize(
        "stored",
        [
            order(),
            Order.new_rejected(Attempt.begin("C1", [Line("P001", 2)], "key"), REJECTION, NOW),
        ],
        ids=["confirmed", "rejected"],
    )
    def test_order_is_read_back_unchanged(self, orders: OrderStore, stored: Order) -> None:
        orders.create(stored, soon())
        found = orders.get(stored.order_id, soon())
        assert found is not None
        assert found[0] == stored

    def test_missing_order_is_none(self, orders: OrderStore) -> None:
        assert orders.get("ORD" + "0" * 26, soon()) is None

    def test_order_is_created_once(self, orders: OrderStore) -> None:
        stored = order()
        orders.create(stored, soon())
        with pytest.raises(ConflictError):
            orders.create(stored, soon())

    def test_concurrent_orders_are_each_created_once(self, orders: OrderStore) -> None:
        """Some are in the same request, and some in one with an order that exists already."""
        each_twice = [stored for stored in (order() for _ in range(30)) for _ in range(2)]

        def create(stored: Order) -> bool:
            try:
                orders.create(stored, soon())
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(20) as pool:
            assert sum(pool.map(create, each_twice)) == 30
        for stored in each_twice:
            found = orders.get(stored.order_id, soon())
            assert found is not None
            assert found[0] == stored

    def test_too_large_order_is_rejected_and_the_others_are_created(
        self, orders: OrderStore
    ) -> None:
        """Created concurrently, so that some share a request to Firestore with the large one."""
        stored = [order() for _ in range(30)]
        too_large = order("C" * 1_100_000)

        def create(new: Order) -> type[Exception] | None:
            try:
                orders.create(new, soon())
            except StoreError as error:
                return type(error)
            return None

        with ThreadPoolExecutor(31) as pool:
            results = [*pool.map(create, [*stored[:15], too_large, *stored[15:]])]
        assert results == [*[None] * 15, StoreRejectedError, *[None] * 15]
        assert all(orders.get(each.order_id, soon()) for each in stored)

    def test_order_is_replaced_under_the_version_read(self, orders: OrderStore) -> None:
        stored = order()
        orders.create(stored, soon())
        found = orders.get(stored.order_id, soon())
        assert found is not None
        cancelling = stored.begin_cancel(BY)
        orders.replace(cancelling, found[1], soon())
        with pytest.raises(ConflictError):
            orders.replace(stored, found[1], soon())
        now = orders.get(stored.order_id, soon())
        assert now is not None
        assert now[0] == cancelling

    def test_orders_of_a_customer_are_listed_newest_first_in_pages(
        self, orders: OrderStore
    ) -> None:
        mine = [order(created_at=NOW + timedelta(seconds=n)) for n in range(3)]
        for each in [*mine, order("C2")]:
            orders.create(each, soon())
        first = orders.list_newest(OrderFilter("C1"), None, 2, soon())
        assert first == mine[:0:-1]
        place = (first[-1].created_at, first[-1].order_id)
        assert orders.list_newest(OrderFilter("C1"), place, 2, soon()) == mine[:1]

    def test_orders_of_a_customer_are_listed_by_status(self, orders: OrderStore) -> None:
        kept, cancelled = order(), order().begin_cancel(BY)
        for each in (kept, cancelled):
            orders.create(each, soon())
        assert orders.list_newest(of_status(Status.CONFIRMED), None, 9, soon()) == [kept]
        assert orders.list_newest(of_status(Status.CANCELLING), None, 9, soon()) == [cancelled]


class TestOrdersInMemory(OrderStoreContract):
    @pytest.fixture
    def orders(self) -> OrderStore:
        return MemoryOrders()


class TestOrdersInFirestore(OrderStoreContract):
    @pytest.fixture
    def orders(self, connection: FirestoreConnection) -> OrderStore:
        return order_store.FirestoreOrderStore(connection)

    def test_fields_of_another_revision_stay_unchanged(
        self, orders: OrderStore, connection: FirestoreConnection
    ) -> None:
        stored = order()
        orders.create(stored, soon())
        connection.client.document("orders", stored.order_id).update({"gift": True})
        found = orders.get(stored.order_id, soon())
        assert found is not None
        assert found[0] == stored


@dataclass(frozen=True, slots=True)
class BothSides:
    orders: OrderStore
    inventory: Inventory
    """Writes what UnfinishedWork reads: both sides know the same documents."""
    work: UnfinishedWork

    def reserve(self, *reservation_ids: str) -> None:
        for reservation_id in reservation_ids:
            self.inventory.reserve(reservation_id, [Line("P001", 1)], soon())

    def held(self, after: str | None = None, limit: int = 9) -> list[str]:
        return [each.reservation_id for each in self.work.held_reservations(after, limit, soon())]


def found_order(sides: BothSides, order_id: str) -> VersionedOrder:
    found = sides.work.read_orders([order_id], soon())[order_id]
    assert isinstance(found, tuple)
    return found


class BacklogContract:
    def test_held_reservations_are_listed_by_id_in_pages(self, sides: BothSides) -> None:
        sides.reserve("R3", "R1", "R2")
        assert sides.held(None, 2) == ["R1", "R2"]
        assert sides.held("R2", 2) == ["R3"]
        assert sides.held("R3", 2) == []

    def test_settled_reservation_is_not_listed_as_held(self, sides: BothSides) -> None:
        sides.reserve("held", "confirmed", "consumed", "released")
        sides.inventory.confirm(["confirmed"], soon())
        sides.inventory.consume(["consumed"], soon())
        sides.inventory.release(["released", "unknown"], soon())
        assert sides.held() == ["held"]

    def test_reservation_names_its_attempt_or_no_order(self, sides: BothSides) -> None:
        attempt = Attempt.begin("C1", [Line("P001", 1)], None)
        sides.reserve(attempt.reservation_id, "made-by-hand")
        mine, other = sides.work.held_reservations(None, 9, soon())
        assert mine.name == ReservationName(attempt.order_id, 0, attempt.fingerprint)
        assert other.name is None

    def test_age_of_a_reservation_counts_from_its_creation(self, sides: BothSides) -> None:
        sides.reserve("R1")
        (before,) = sides.work.held_reservations(None, 9, soon())
        sides.reserve("R2")
        after, younger = sides.work.held_reservations(None, 9, soon())
        assert timedelta() < before.age < after.age
        assert younger.age < after.age

    @pytest.mark.parametrize("status", Status)
    def test_unfinished_orders_are_listed_by_status(self, sides: BothSides, status: Status) -> None:
        movement = order_domain.Movement(order_domain.MovementKind.RELEASE, "customer", number=1)
        stored = replace(
            order(), status=status, movement=movement if status is Status.CHANGING else None
        )
        sides.orders.create(stored, soon())
        found = [each.order for each in sides.work.unfinished_orders(None, 9, soon())]
        half_done = status in (Status.PENDING, *MOVING_STATUSES)
        assert found == ([stored] if half_done else [])

    def test_unfinished_orders_are_listed_by_id_in_pages(self, sides: BothSides) -> None:
        stored = sorted(
            (order().begin_cancel(BY) for _ in range(3)), key=lambda each: each.order_id
        )
        for each in reversed(stored):
            sides.orders.create(each, soon())
        first = sides.work.unfinished_orders(None, 2, soon())
        assert [each.order for each in first] == stored[:2]
        rest = sides.work.unfinished_orders(stored[1].order_id, 2, soon())
        assert [each.order for each in rest] == stored[2:]

    def test_age_of_an_order_counts_from_its_last_change(self, sides: BothSides) -> None:
        stored = order().begin_cancel(BY)
        sides.orders.create(stored, soon())
        other = order().begin_cancel(BY)
        sides.orders.create(other, soon())
        ages = self.ages(sides)
        assert timedelta() < ages[other.order_id] < ages[stored.order_id]
        _, version = found_order(sides, stored.order_id)
        sides.orders.replace(replace(stored, status=Status.FULFILLING), version, soon())
        later = self.ages(sides)
        assert timedelta() < later[stored.order_id] < later[other.order_id]
        assert later[other.order_id] > ages[other.order_id]

    def ages(self, sides: BothSides) -> dict[str, timedelta]:
        found = sides.work.unfinished_orders(None, 9, soon())
        return {each.order.order_id: each.age for each in found}

    def test_existing_orders_are_read_with_versions_even_if_abandoned(
        self, sides: BothSides
    ) -> None:
        name = ReservationName(order().order_id, 2, "F" * 26)
        stored = {each.order_id: each for each in (order(), Order.new_abandoned_mark(name, NOW))}
        for each in stored.values():
            sides.orders.create(each, soon())
        found = sides.work.read_orders([*stored, "ORD" + "0" * 26], soon())
        assert set(found) == set(stored)
        for order_id, each in stored.items():
            read, version = found_order(sides, order_id)
            assert read == each
            assert sides.orders.get(order_id, soon()) == (each, version)
            sides.orders.replace(each, version, soon())


class TestBacklogInMemory(BacklogContract):
    @pytest.fixture
    def sides(self) -> BothSides:
        orders, inventory = MemoryOrders(), FakeInventory(P001=9)
        return BothSides(orders, inventory, MemoryUnfinishedWork(orders, inventory))


class TestBacklogInFirestore(BacklogContract):
    @pytest.fixture
    def sides(self, connection: FirestoreConnection) -> BothSides:
        stock = inventory_store.Store(connection)
        stock.commit([(product(available=9), None)], soon())
        inventory = client_of(inventory_app(stock))
        return BothSides(
            order_store.FirestoreOrderStore(connection),
            inventory,
            FirestoreUnfinishedWork(connection),
        )
