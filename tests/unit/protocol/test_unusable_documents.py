"""Unusable documents: each fails only its own request, and is reported by its id."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.apps import inventory_app, signed
from support.in_process.client import client_of
from support.in_process.memory_shop import MemoryShop, WholeShop
from support.stores.builders import BY, product, release, reserve, soon, stocked, units
from support.stores.fakes import MemoryUnfinishedWork

from functions_common.firestore.errors import (
    DamagedDocumentError,
    NewerDocumentError,
    OutcomeUnknownError,
    StoreError,
    StoreRejectedError,
)
from inventory_function.domain import Line as StockLine
from inventory_function.domain import PricedLine, Reservation, ReservationStatus
from inventory_function.group_commit import GroupCommit
from inventory_function.operations import Confirm, Consume
from inventory_function.service import Inventory
from order_function.domain import (
    Attempt,
    Line,
    NewerRevisionError,
    NewerStatus,
    Order,
    OrderNotFoundError,
    ReservationName,
    Status,
)
from order_function.ports import NotSettledError
from order_function.reconcile.sweep import DECISION_BATCH, MAX_FAILED_CALLS, MAX_REASONS, PAGE

if TYPE_CHECKING:
    from support.stores.fakes import MemoryStock

    from inventory_function.operations import StockOperation
    from inventory_function.transactions import Outcome

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = (Line("P001", 1),)
DAMAGED = DamagedDocumentError("reservations/POISON", "at `$.lines`")
NEWER = NewerDocumentError("reservations/POISON", "partly_released")


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [
        type(each.error).__name__ if each.error else each.value.status.value for each in outcomes
    ]


def poison(store: MemoryStock, error: StoreError = DAMAGED) -> None:
    store.unusable["reservations", "POISON"] = error


# inventory: operations in a batch


@pytest.mark.parametrize("error", [DAMAGED, NEWER], ids=["damaged", "newer"])
@pytest.mark.parametrize(
    ("verb", "expected"),
    [("release", "released"), ("confirm", "confirmed"), ("consume", "consumed")],
)
def test_settling_an_unusable_reservation_fails_only_for_its_id(
    verb: str, expected: str, error: StoreError
) -> None:
    store = stocked(P001=9)
    inventory = Inventory(store, "USD", 5)
    for name in ("R1", "POISON", "R2"):
        inventory.reserve(name, (StockLine("P001", 1),))
    poison(store, error)
    outcomes = getattr(inventory, verb)(("R1", "POISON", "R2"))
    assert kinds(outcomes) == [expected, type(error).__name__, expected]


@pytest.mark.parametrize("verb", ["release", "consume"])
def test_settling_a_reservation_of_a_missing_product_fails_only_for_its_id(verb: str) -> None:
    store = stocked(P001=9, P002=9)
    inventory = Inventory(store, "USD", 5)
    inventory.reserve("R1", (StockLine("P001", 1),))
    inventory.reserve("POISON", (StockLine("P001", 1), StockLine("P002", 1)))
    inventory.reserve("R2", (StockLine("P001", 1),))
    del store.documents["products", "P002"]
    outcomes = getattr(inventory, verb)(("R1", "POISON", "R2"))
    assert kinds(outcomes)[1] == "UnknownProductsError"
    moved = (8, 1, 0) if verb == "release" else (6, 1, 2)
    assert units(store, "P001") == moved, "nothing of the poisonous one moved"


@pytest.mark.parametrize(
    "operation", [release("POISON"), Consume("POISON")], ids=["release", "consume"]
)
def test_settling_moves_every_line_when_two_lines_name_one_product(
    operation: StockOperation[Any],
) -> None:
    store = stocked(P001=9)
    line = PricedLine("P001", 2, 1, "Laptop")
    held = Reservation("POISON", ReservationStatus.HELD, "USD", (line, line))
    store.documents[held.key] = (held, NOW)
    store.documents["products", "P001"] = (product(available=5, reserved=4), NOW)
    GroupCommit(store).run(operation, soon())
    expected = (9, 0, 0) if isinstance(operation, type(release("R"))) else (5, 0, 4)
    assert units(store, "P001") == expected


def test_reserving_a_damaged_product_fails_and_the_others_are_held() -> None:
    store = stocked(P001=9, P002=9)
    store.unusable["products", "P002"] = DamagedDocumentError("products/P002", "at `$.price`")
    outcomes = GroupCommit(store).run_all(
        [reserve("R1", P001=1), reserve("R2", P001=1, P002=1), reserve("R3", P001=1)], soon()
    )
    refusals = [type(each.error) for each in outcomes]
    assert refusals == [type(None), DamagedDocumentError, type(None)]
    assert units(store, "P001") == (7, 2, 0)


class Oversized:
    """An operation whose change Firestore rejects permanently."""

    def needs(self, stock: Any) -> list[tuple[str, ...]]:  # noqa: ARG002
        return []

    def decide(self, stock: Any) -> None:
        stock.put(product("P999", name="x" * 1_100_000))


@pytest.mark.parametrize("place", [0, 5, 10])
def test_permanently_rejected_commit_fails_only_its_operation_without_a_retry(place: int) -> None:
    store = stocked(P001=50)
    operations: list[Any] = [reserve(f"R{n}", P001=1) for n in range(10)]
    operations.insert(place, Oversized())
    group = GroupCommit(store)
    began = time.monotonic()
    outcomes = group.run_all(operations, soon())
    assert time.monotonic() - began < 4, "no retry until the deadline of 5 s"
    refusals = [type(each.error) for each in outcomes]
    assert refusals.pop(place) is StoreRejectedError
    assert refusals == [type(None)] * 10
    assert units(store, "P001") == (40, 10, 0)


def test_permanently_rejected_commit_is_sent_once_when_it_is_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=5)
    commit, sent = store.commit, []

    def counted(*args: Any) -> None:
        sent.append(args)
        commit(*args)

    monkeypatch.setattr(store, "commit", counted)
    with pytest.raises(StoreRejectedError):
        GroupCommit(store).run(Oversized(), soon())
    assert len(sent) == 1


def test_permanently_rejected_confirmation_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stocked(P001=5)
    inventory = Inventory(store, "USD", 5)
    for name in ("R1", "POISON", "R2"):
        inventory.reserve(name, (StockLine("P001", 1),))
    commit = store.commit

    def reject_poison(changes: Any, deadline: Any) -> None:
        if any(entity.key[1] == "POISON" for entity, _ in changes):
            raise StoreRejectedError("INVALID_ARGUMENT")
        commit(changes, deadline)

    monkeypatch.setattr(store, "commit", reject_poison)
    outcomes = inventory.confirm(("R1", "POISON", "R2"))
    assert kinds(outcomes) == ["confirmed", "StoreRejectedError", "confirmed"]


def test_unexpected_read_error_fails_only_its_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = stocked(P001=9)
    read = store.read

    def poisonous(keys: Any, deadline: Any) -> Any:
        if ("reservations", "POISON") in keys:
            raise RuntimeError("not to be decoded")
        return read(keys, deadline)

    monkeypatch.setattr(store, "read", poisonous)
    outcomes = GroupCommit(store).run_all(
        [Confirm("R1"), Confirm("POISON"), Confirm("R2"), reserve("R3", P001=1)], soon()
    )
    refusals = [type(each.error) for each in outcomes]
    assert refusals == [type(None), RuntimeError, type(None), type(None)]


def test_outcome_stays_unknown_when_the_retry_is_rejected() -> None:
    """The first commit may yet be carried out."""
    store = stocked(P001=9)
    store.faults.coming.append("dropped")
    with pytest.raises(OutcomeUnknownError):
        GroupCommit(store).run(Oversized(), soon())


# inventory over HTTP


def settle(store: MemoryStock, verb: str, *ids: str) -> Any:
    path = f"/reservations:{verb}"
    client = inventory_app(store).test_client()
    return client.post(path, json={"ids": list(ids)}, headers=signed(path))


@pytest.fixture
def store() -> MemoryStock:
    """R1, POISON and R2 are held; POISON is damaged."""
    store = stocked(P001=9)
    inventory = Inventory(store, "USD", 5)
    for name in ("R1", "POISON", "R2"):
        inventory.reserve(name, (StockLine("P001", 1),))
    poison(store)
    return store


def test_response_has_each_reservation_and_a_problem_for_the_failed_one(
    store: MemoryStock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        response = settle(store, "release", "R1", "POISON", "R2")
    assert response.status_code == 200
    statuses = {each["reservation_id"]: each["status"] for each in response.json["reservations"]}
    assert statuses == {"R1": "released", "R2": "released"}
    (left,) = response.json["problems"]
    assert left["reservation_id"] == "POISON"
    assert left["problem"]["type"] == "urn:problem-type:damaged-document"
    assert left["problem"]["status"] == 500
    logged = [getattr(each, "fields", {}) for each in caplog.records]
    assert any(each.get("reservation_id") == "POISON" for each in logged)


def test_response_has_no_problems_field_when_all_succeed(store: MemoryStock) -> None:
    assert set(settle(store, "confirm", "R1", "unknown").json) == {"reservations"}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (DAMAGED, 500, "damaged-document"),
        (NEWER, 409, "newer-revision"),
        (StoreRejectedError("INVALID_ARGUMENT"), 500, "rejected-by-database"),
    ],
    ids=["damaged", "newer", "rejected"],
)
def test_response_is_the_problem_when_there_is_one_reservation(
    store: MemoryStock, error: StoreError, status: int, kind: str
) -> None:
    poison(store, error)
    response = settle(store, "release", "POISON")
    assert response.status_code == status
    assert response.json["type"] == f"urn:problem-type:{kind}"
    assert "Retry-After" not in response.headers


def test_permanently_rejected_commit_has_its_own_problem_type(store: MemoryStock) -> None:
    store.faults.coming.append("rejected")
    path = "/reservations/R9"
    body = {"items": [{"product_id": "P001", "quantity": 1}]}
    response = inventory_app(store).test_client().put(path, json=body, headers=signed(path))
    assert response.status_code == 500
    assert response.json is not None
    assert response.json["type"] == "urn:problem-type:rejected-by-database"
    assert "changed nothing" in response.json["detail"]
    assert ("reservations", "R9") not in store.documents


# order: the sweep


def abandoned_ones(shop: MemoryShop, count: int) -> list[str]:
    """Held reservations without an order, by id."""
    attempts = [Attempt.begin("C1", ONE, None) for _ in range(count)]
    for attempt in attempts:
        shop.reserve(attempt)
    return sorted(attempt.reservation_id for attempt in attempts)


@pytest.mark.parametrize("as_a_whole", [False, True], ids=["by id", "as a whole"])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_sweep_reaches_later_pages_and_retries_poison_in_the_next_sweep(
    caplog: pytest.LogCaptureFixture, *, as_a_whole: bool, in_flight: int
) -> None:
    """Inventory names the poisonous ids, or fails the whole request."""
    count = PAGE + 2 * DECISION_BATCH
    shop = MemoryShop(P001=count)
    ids = abandoned_ones(shop, count)
    poisonous = {ids[0], ids[DECISION_BATCH + 3], ids[-1]}
    shop.inventory.poison |= poisonous
    shop.inventory.fails_as_a_whole = as_a_whole
    sweep = shop.a_sweep(in_flight=in_flight)
    with caplog.at_level(logging.WARNING):
        report = sweep.run()
    assert (report.released, report.failed, report.left) == (count - 3, 3, 3)
    assert {reason.partition(":")[0] for reason in report.failures} == poisonous
    logged = {getattr(each, "fields", {}).get("document") for each in caplog.records}
    assert {f"reservations/{name}" for name in poisonous} <= logged
    assert set(shop.held) == poisonous
    shop.inventory.poison.clear()
    assert shop.sweep().released == 3
    assert not shop.held


def test_damaged_order_keeps_its_reservation_and_delays_no_other() -> None:
    shop = MemoryShop(P001=9)
    damaged, whole = (shop.place("C1", ONE, None).order for _ in range(2))
    shop.store.damage(damaged.order_id)
    report = shop.sweep()
    assert (report.confirmed, report.failed) == (1, 1)
    assert damaged.order_id in report.failures[0]
    assert shop.inventory.confirmed == {whole.reservation_id}
    assert shop.held[damaged.reservation_id], "not released: its order exists"


def test_damaged_unfinished_order_delays_no_other() -> None:
    shop = MemoryShop(P001=9)
    damaged, whole = (
        shop.write(shop.place("C1", ONE, None).order.begin_cancel(BY)) for _ in range(2)
    )
    shop.store.damage(damaged.order_id)
    report = shop.sweep()
    assert (report.unfinished, report.cancelled) == (2, 1)
    assert shop.orders.get(whole.order_id).status is Status.CANCELLED
    assert any(damaged.order_id in reason for reason in report.failures)


@pytest.mark.parametrize("method", ["read_orders", "held_reservations", "unfinished_orders"])
def test_sweep_continues_after_an_unexpected_error_of_one_step(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    shop = MemoryShop(P001=3 * DECISION_BATCH)
    abandoned_ones(shop, 2 * DECISION_BATCH)
    shop.write(shop.place("C1", ONE, None).order.begin_cancel(BY))
    real = getattr(MemoryUnfinishedWork, method)
    failed: list[Any] = []

    def fail_once(*args: Any) -> Any:
        if not failed:
            failed.append(args)
            raise ZeroDivisionError
        return real(*args)

    monkeypatch.setattr(MemoryUnfinishedWork, method, fail_once)
    report = shop.sweep()
    assert report.failed == 1
    assert report.done, "the other steps were taken"
    assert (report.oldest_held_seconds > 0) == (method != "held_reservations")
    shop.sweep_up()
    assert not shop.held


def test_report_limits_the_reasons_but_counts_all_failures() -> None:
    shop = MemoryShop(P001=99)
    shop.inventory.poison |= set(abandoned_ones(shop, MAX_REASONS + 5))
    report = shop.sweep()
    assert (len(report.failures), report.failed) == (MAX_REASONS, MAX_REASONS + 5)


def test_older_inventory_gets_fewer_ids_when_it_rejects_many() -> None:
    """It responds to more with 422 for the whole request."""
    app = inventory_app(stocked(P001=200))
    client = client_of(app)
    names = [f"R{n}" for n in range(60)]
    for name in names:
        client.reserve(name, ONE, soon())
    with pytest.raises(NotSettledError) as too_many:
        client.release(names, soon())
    assert too_many.value.whole_request_failed
    client.release(names[:30], soon())


def test_sweep_stops_calling_inventory_when_it_is_down() -> None:
    count = 2 * PAGE
    shop = MemoryShop(P001=count)
    abandoned_ones(shop, count)
    shop.inventory.away.extend([None] * 99)
    report = shop.sweep()
    calls = [verb for verb, _ in shop.inventory.calls if verb == "release"]
    assert len(calls) == MAX_FAILED_CALLS
    assert report.left == count
    assert any("inventory is unavailable" in reason for reason in report.failures)


def test_stopped_sweep_finishes_and_reports_the_current_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 3 * DECISION_BATCH
    shop = MemoryShop(P001=count)
    for _ in range(count):
        shop.place("C1", ONE, None)
    sweep = shop.a_sweep()
    confirm = shop.inventory.confirm

    def stop_then_confirm(*args: Any) -> None:
        sweep.stop()
        confirm(*args)

    monkeypatch.setattr(shop.inventory, "confirm", stop_then_confirm)
    report = sweep.run()
    assert (report.stopped, report.confirmed) == (True, DECISION_BATCH)
    assert report.left == count - DECISION_BATCH
    monkeypatch.undo()
    assert shop.sweep().confirmed == count - DECISION_BATCH


# order: a status of a newer revision


@pytest.fixture
def shop() -> MemoryShop:
    return MemoryShop(P001=9)


def newer_order(shop: MemoryShop, key: str | None = None) -> Order:
    order = shop.place("C1", ONE, key).order
    return shop.write(replace(order, status=NewerStatus("gift_wrapping")))


@pytest.mark.parametrize("verb", ["cancel", "fulfil"])
def test_order_of_a_newer_status_is_neither_cancelled_nor_fulfilled(
    shop: MemoryShop, verb: str
) -> None:
    order = newer_order(shop)
    with pytest.raises(NewerRevisionError, match="gift_wrapping"):
        getattr(shop.orders, verb)(order.order_id, BY)
    assert shop.stored(order.order_id) == order
    assert shop.held == {order.reservation_id: 1}


def test_sweep_does_not_change_an_order_of_a_newer_status(shop: MemoryShop) -> None:
    order = newer_order(shop)
    older = ReservationName(order.order_id, 7, order.fingerprint)
    shop.inventory.reserve(str(older), ONE, soon())
    shop.inventory.calls.clear()
    report = shop.sweep()
    assert (report.held, report.newer, report.done, report.failed) == (2, 2, 0, 0)
    assert report.oldest_held_seconds == 0, "no alarm for what a newer revision holds on purpose"
    assert not shop.inventory.calls
    assert shop.stored(order.order_id) == order


def test_repeated_request_replays_an_order_of_a_newer_status(
    shop: MemoryShop,
) -> None:
    order = newer_order(shop, "key")
    placed = shop.place("C1", ONE, "key")
    assert (placed.order, placed.replayed) == (order, True)
    assert shop.held == {order.reservation_id: 1}


def test_completing_an_order_of_a_newer_status_changes_nothing(shop: MemoryShop) -> None:
    order = newer_order(shop)
    assert shop.orders.decide_pending(order.order_id) == order
    assert shop.held == {order.reservation_id: 1}


def test_a_cancelled_order_stays_cancelling_while_its_reservation_is_poison(
    shop: MemoryShop,
) -> None:
    order = shop.place("C1", ONE, None).order
    shop.inventory.poison.add(order.reservation_id)
    assert shop.orders.cancel(order.order_id, BY).status is Status.CANCELLING
    reasons = shop.sweep().failures
    assert {reason.partition(" ")[0] for reason in reasons} == {
        order.order_id,
        f"{order.reservation_id}:",
    }
    shop.inventory.poison.clear()
    assert shop.sweep().cancelled == 1


def test_audit_has_no_finding_for_a_newer_status() -> None:
    shop = WholeShop(P001=9)
    order = shop.place("C1", ONE, None).order
    shop.write(replace(order, status=NewerStatus("gift_wrapping")))
    assert shop.findings() == []


def test_damaged_order_is_not_a_missing_order(shop: MemoryShop) -> None:
    order = shop.place("C1", ONE, None).order
    shop.store.damage(order.order_id)
    with pytest.raises(DamagedDocumentError):
        shop.orders.get(order.order_id)
    with pytest.raises(OrderNotFoundError):
        shop.orders.get("ORD" + "0" * 26)


def test_in_process_inventory_names_the_failed_reservations() -> None:
    shop = WholeShop(P001=9)
    names = [shop.place("C1", ONE, None).order.reservation_id for _ in range(2)]
    shop.stock.unusable["reservations", names[0]] = DAMAGED
    with pytest.raises(NotSettledError) as left:
        shop.inventory.release(names, soon())
    assert set(left.value.reasons) == {names[0]}
    assert units(shop.stock, "P001") == (8, 1, 0)
    assert shop.sweep(timedelta(hours=1)).failed == 0, "young ones are left alone"
