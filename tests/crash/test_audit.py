"""audit on a used database, before and after each kind of damage."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from support.in_process.crashing import PROJECT, CrashingShop
from support.stores.builders import soon

from firestore_emulator.launcher import free_port
from order_function.audit import __main__ as audit
from order_function.audit.invariants import Finding
from order_function.audit.snapshot import Snapshot
from order_function.domain import Attempt, Line

FULFILLED, CANCELLED, CONFIRMED, REFUSED = "fulfilled", "cancelled", "confirmed", "refused"
ORDER, RESERVATION, PRODUCT = "orders", "reservations", "product"
LACKS, LEAKS = "order-has-its-stock", "no-stock-leaks"
SUM, HELD, SHIPPED = "stock-adds-up", "reserved-is-held", "shipped-was-consumed"
COUNTS = "order-counts-as-reserved"


def order_id(answer: Any) -> str:
    return str(answer.json["order_id"])


@pytest.fixture
def orders(shop: CrashingShop) -> dict[str, str]:
    """The order ids by status, in a database with an order of every status, after a sweep."""
    shop.begin()
    shop.offer("P1", 100)
    ids = {key: order_id(shop.place(key)) for key in (FULFILLED, CANCELLED, CONFIRMED)}
    ids[REFUSED] = order_id(shop.place(REFUSED, 1000))
    shop.fulfil(ids[FULFILLED])
    shop.cancel(ids[CANCELLED])
    dead = Attempt.begin("C1", [Line("P1", 1)], "dead")
    shop.client.reserve(dead.reservation_id, dead.lines, soon())
    shop.sweep()
    return ids


@pytest.fixture
def environment(
    emulator: str,
    monkeypatch: pytest.MonkeyPatch,
    logging_as_it_was: None,  # noqa: ARG001
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    return monkeypatch


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def told(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    found = [line for line in lines(capsys) if line["message"] == "Finding"]
    return [(line["invariant"], line["subject"]) for line in found]


@pytest.mark.usefixtures("orders", "environment")
def test_used_database_has_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["--grace", "0"]) == 0
    (said,) = lines(capsys)
    counts = {name: said[name] for name in ("orders", "reservations", "products", "adjustments")}
    assert counts == {"orders": 5, "reservations": 4, "products": 1, "adjustments": 1}
    assert (said["message"], said["findings"]) == ("Audited", 0)


@pytest.fixture
def partly_moved(shop: CrashingShop) -> Any:
    """The document of a reservation of which 3 units of 4 have moved."""
    shop.begin()
    shop.offer("P1", 10)
    attempt = Attempt.begin("C1", [Line("P1", 4)], "moved")
    shop.place("moved", 4)
    name = attempt.reservation_id
    for number, kind in enumerate(("release", "consume", "consume", "restock"), start=1):
        shop.client.move(name, number, kind, [Line("P1", 1)], soon())
    counts = {"P1": {"cancelled": 1, "fulfilled": 2, "returned": 1}}
    order: Any = shop.database.document("orders", attempt.order_id)
    order.update({"status": "partially_fulfilled", "counts": counts})
    return shop.database.document("reservations", name)


@pytest.mark.usefixtures("partly_moved")
def test_partly_moved_reservation_has_no_findings(shop: CrashingShop) -> None:
    assert shop.findings() == []


@pytest.mark.parametrize(
    ("counts", "invariants"),
    [
        ({"released": 2, "consumed": 2, "returned": 1}, {HELD, COUNTS}),
        ({"released": 1, "consumed": 2, "returned": 2}, {SHIPPED, COUNTS}),
        ({"released": 1, "consumed": 3, "returned": 2}, {HELD, COUNTS}),
        ({"released": 1, "consumed": 2, "returned": 3}, {"document-is-whole"}),
    ],
)
def test_finding_is_reported_when_the_counts_of_a_reservation_are_wrong(
    shop: CrashingShop, partly_moved: Any, counts: dict[str, int], invariants: set[str]
) -> None:
    partly_moved.update({"counts": [{"product_id": "P1", **counts}]})
    assert {each.invariant for each in shop.findings()} == invariants


class Damage:
    """The database, and the order ids in it."""

    def __init__(self, shop: CrashingShop, orders: dict[str, str]) -> None:
        self.product: Any = shop.database.document("products", "P1")
        self.delivery: Any = next(iter(self.product.collection("adjustments").list_documents()))
        self.orders: dict[str, Any] = {
            key: shop.database.document("orders", order_id) for key, order_id in orders.items()
        }
        found: list[Any] = list(shop.database.collection("reservations").list_documents())
        self.reservations: dict[str, Any] = {
            key: each for key, of in orders.items() for each in found if each.id.startswith(of)
        }

    def path(self, kind: str, key: str | None = None) -> str:
        return str((getattr(self, kind)[key] if key else self.product).path)

    def restate(self, key: str, status: str) -> None:
        self.orders[key].update({"status": status})

    def reprice(self) -> None:
        (item,) = self.orders[CONFIRMED].get().get("items")
        self.orders[CONFIRMED].update({"items": [{**item, "unit_price": 1}]})


Found = set[tuple[str, ...]]
"""The broken invariant, its document, and its order."""

DAMAGES: dict[str, tuple[Callable[[Damage], object], Found]] = {
    "available is off": (lambda it: it.product.update({"available": 95}), {(SUM, PRODUCT)}),
    "units reserved for no reservation": (
        lambda it: it.product.update({"reserved": 3, "available": 95}),
        {(HELD, PRODUCT)},
    ),
    "units shipped for no order": (
        lambda it: it.product.update({"shipped": 3, "available": 95}),
        {(SHIPPED, PRODUCT)},
    ),
    "less than nothing": (
        lambda it: it.product.update({"available": -1}),
        {("stock-not-negative", PRODUCT), (SUM, PRODUCT)},
    ),
    "product deleted": (lambda it: it.product.delete(), {("product-exists", PRODUCT)}),
    "adjustment deleted": (lambda it: it.delivery.delete(), {(SUM, PRODUCT)}),
    "adjustment changed": (lambda it: it.delivery.update({"delta": 99}), {(SUM, PRODUCT)}),
    "reservation of a confirmed order deleted": (
        lambda it: it.reservations[CONFIRMED].delete(),
        {(LACKS, ORDER, CONFIRMED), (HELD, PRODUCT)},
    ),
    "reservation of a fulfilled order deleted": (
        lambda it: it.reservations[FULFILLED].delete(),
        {(LACKS, ORDER, FULFILLED), (SHIPPED, PRODUCT)},
    ),
    "reservation of a cancelled order deleted": (
        lambda it: it.reservations[CANCELLED].delete(),
        {(LACKS, ORDER, CANCELLED)},
    ),
    "reservation held for a cancelled order": (
        lambda it: it.reservations[CANCELLED].update({"status": "held"}),
        {(LACKS, ORDER, CANCELLED), (LEAKS, RESERVATION, CANCELLED), (HELD, PRODUCT)},
    ),
    "reservation of a confirmed order released": (
        lambda it: it.reservations[CONFIRMED].update({"status": "released"}),
        {(LACKS, ORDER, CONFIRMED), (HELD, PRODUCT)},
    ),
    "confirmed order deleted": (
        lambda it: it.orders[CONFIRMED].delete(),
        {(LEAKS, RESERVATION, CONFIRMED)},
    ),
    "fulfilled order deleted": (
        lambda it: it.orders[FULFILLED].delete(),
        {("shipped-for-an-order", RESERVATION, FULFILLED)},
    ),
    "confirmed order said to be fulfilled": (
        lambda it: it.restate(CONFIRMED, "fulfilled"),
        {(LACKS, ORDER, CONFIRMED), (LEAKS, RESERVATION, CONFIRMED)},
    ),
    "confirmed order said to be cancelled": (
        lambda it: it.restate(CONFIRMED, "cancelled"),
        {(LACKS, ORDER, CONFIRMED), (LEAKS, RESERVATION, CONFIRMED)},
    ),
    "cancelled order said to be confirmed": (
        lambda it: it.restate(CANCELLED, "confirmed"),
        {(LACKS, ORDER, CANCELLED)},
    ),
    "refused order said to be confirmed": (
        lambda it: it.restate(REFUSED, "confirmed"),
        {(LACKS, ORDER, REFUSED)},
    ),
    "order left half done": (
        lambda it: it.restate(CONFIRMED, "cancelling"),
        {("nothing-half-done", ORDER, CONFIRMED)},
    ),
    "price changed in an order": (
        Damage.reprice,
        {("order-is-as-reserved", ORDER, CONFIRMED)},
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.usefixtures("environment")
def test_damage_is_named(
    shop: CrashingShop, orders: dict[str, str], capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    database, (harm, found) = Damage(shop, orders), DAMAGES[damage]
    harm(database)
    expected = {(rule, database.path(*of)) for rule, *of in found}
    assert audit.main(["--grace", "0"]) == 1
    assert set(told(capsys)) == expected


def test_finding_is_dropped_when_it_is_gone_at_the_second_read(
    shop: CrashingShop, orders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damage was repaired between the audit's two reads, by hand or by a reconcile."""
    database, looks = Damage(shop, orders), 0
    database.product.update({"available": 95})

    class Look(Snapshot):
        def products(self) -> Iterator[Any]:
            nonlocal looks
            looks += 1
            yield from super().products()
            database.product.update({"available": 96})

    monkeypatch.setattr(audit, "Snapshot", Look)
    assert shop.findings() == []
    assert looks == 2


def test_orders_in_flight_are_no_finding(shop: CrashingShop) -> None:
    shop.begin()
    shop.offer("P1", 10_000)
    closed = threading.Event()

    def buy(buyer: int) -> int:
        count = 0
        while not closed.is_set():
            bought = order_id(shop.place(f"{buyer}-{count}", 1))
            if count % 2:
                (shop.cancel if count % 4 == 1 else shop.fulfil)(bought)
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        buyers = [pool.submit(buy, n) for n in range(4)]
        seen: list[Finding] = []
        for _ in range(10):
            snapshot = Snapshot(shop.unharmed)
            seen += audit.findings(snapshot, timedelta(hours=1))
        closed.set()
        bought = sum(buyer.result() for buyer in buyers)
    assert seen == [], "not at one moment, and without a second read"
    assert bought > snapshot.counts["orders"] > 10, "orders were placed during the audit"


def test_audit_reports_neither_result_when_the_database_is_unavailable(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    environment.setenv("FIRESTORE_EMULATOR_HOST", address)
    environment.setattr("order_function.audit.snapshot.CALL_SECONDS", 1.0)
    assert audit.main([]) == 2
    said = lines(capsys)[-1]
    assert said["severity"] == "CRITICAL"
    assert said["message"].startswith("The database cannot be read")
    assert said["message"].endswith(f"Does an emulator run at {address}?")
