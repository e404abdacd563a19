"""Documents of the previous and of the next revision, read and changed by this one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from google.cloud.firestore import DELETE_FIELD
from support.in_process.apps import signed
from support.in_process.fixture_documents import NO_TIME, Shop, load
from support.stores.builders import soon

from functions_common.firestore.client import FirestoreConnection
from functions_common.firestore.errors import NewerDocumentError
from functions_common.runtime.settings import FirestoreSettings
from inventory_function.domain import Unusable
from order_function.audit import __main__ as audit
from order_function.audit.snapshot import Snapshot
from order_function.domain import NewerStatus, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

AWAITING = "ORD" + "A" * 26
AWAITING_RESERVATION = f"{AWAITING}.0.{'B' * 26}"
PARTIAL = "ORD" + "C" * 26
PARTIAL_RESERVATION = f"{PARTIAL}.0.{'D' * 26}"
STATUSES = {
    "pending": 1,
    "confirmed": 1,
    "cancelling": 1,
    "cancelled": 1,
    "rejected": 3,
    "fulfilling": 1,
    "fulfilled": 1,
}


@pytest.fixture
def revision(emulator: str) -> Iterator[Shop]:
    settings = FirestoreSettings(f"test-{uuid.uuid4().hex[:12]}", "(default)", emulator)
    connection = FirestoreConnection(settings)
    yield Shop(connection)
    connection.close()


@pytest.fixture
def previous(revision: Shop) -> Shop:
    load(revision.connection, "previous")
    return revision


@pytest.fixture
def following(revision: Shop) -> Shop:
    load(revision.connection, "next")
    return revision


@pytest.fixture(params=["previous", "next"])
def either(revision: Shop, request: pytest.FixtureRequest) -> Shop:
    load(revision.connection, request.param)
    return revision


def test_orders_of_another_revision_are_listed_and_shown(either: Shop) -> None:
    found = either.list_orders()
    counts = {status: sum(each["status"] == status for each in found) for status in STATUSES}
    assert counts == STATUSES
    for each in found:
        response = either.order_http.get(f"/orders/{each['order_id']}")
        assert (response.status_code, response.json) == (200, each)
    (confirmed,) = (each for each in found if each["status"] == "confirmed")
    assert (confirmed["total_price"], len(confirmed["items"])) == (2024.88, 2)
    assert {each["rejection"]["type"] for each in found if "rejection" in each} == {
        f"urn:problem-type:{kind}"
        for kind in ("insufficient-stock", "unknown-product", "price-changed")
    }


def test_products_ledgers_and_reservations_of_another_revision_are_shown(
    either: Shop,
) -> None:
    products = either.inventory("/products").json["products"]
    assert [each["product_id"] for each in products] == ["P001", "P002"]
    for path in ("/products/P002/adjustments", "/products/P002/ledger"):
        assert either.inventory(path).status_code == 200
    (confirmed,) = either.ids("confirmed")
    found = either.orders.get(confirmed, soon())
    assert found is not None
    shown = either.inventory(f"/reservations/{found[0].reservation_id}").json
    assert (shown["status"], len(shown["items"])) == ("confirmed", 2)


def test_database_of_another_revision_is_swept_and_audited(either: Shop) -> None:
    report = either.sweep()
    assert report.failed == 0
    assert (report.completed, report.cancelled, report.fulfilled) == (1, 1, 1)
    assert audit.findings(Snapshot(either.connection), NO_TIME) == []


@pytest.mark.parametrize("verb", ["cancel", "fulfil"])
def test_update_keeps_fields_of_the_next_revision_at_every_depth(
    following: Shop, verb: str
) -> None:
    (order_id,) = following.ids("confirmed")
    order, reservation = (
        f"orders/{order_id}",
        f"reservations/{reservation_of(following, order_id)}",
    )
    paths = (order, reservation, "products/P001", "products/P002")
    before = {path: following.stored(path) for path in paths}
    assert following.post(f"/orders/{order_id}/{verb}").status_code == 200
    changed = {"status", "available", "reserved", "shipped"}
    for path, fields_before in before.items():
        now = following.stored(path)
        assert {name: value for name, value in now.items() if name not in changed} == {
            name: value for name, value in fields_before.items() if name not in changed
        }
    assert before[order]["items"][0]["tax"]["notes"] == ["reduced"], "there were fields to lose"
    assert before[reservation]["lines"][0]["line_id"] == "L0"


def reservation_of(revision: Shop, order_id: str) -> str:
    found = revision.orders.get(order_id, soon())
    assert found is not None
    return found[0].reservation_id


def test_order_of_a_newer_status_is_shown_and_listed(following: Shop) -> None:
    response = following.order_http.get(f"/orders/{AWAITING}")
    assert response.status_code == 200
    assert response.json is not None
    assert (response.json["status"], response.json["total_price"]) == ("awaiting_payment", 999.99)
    assert following.ids("partially_fulfilled") == [PARTIAL]


@pytest.mark.parametrize("order_id", [AWAITING, PARTIAL])
@pytest.mark.parametrize("verb", ["cancel", "fulfil"])
def test_changing_an_order_of_a_newer_status_is_409_and_changes_nothing(
    following: Shop, order_id: str, verb: str
) -> None:
    before = following.stored(f"orders/{order_id}")
    response = following.post(f"/orders/{order_id}/{verb}")
    assert response.status_code == 409
    assert response.json["type"] == "urn:problem-type:newer-revision"
    assert before["status"] in response.json["detail"]
    assert following.stored(f"orders/{order_id}") == before


@pytest.mark.parametrize("verb", ["confirm", "release", "consume"])
def test_settling_a_reservation_of_a_newer_status_is_409_and_changes_nothing(
    following: Shop, verb: str
) -> None:
    path, before = f"/reservations:{verb}", following.stored(f"reservations/{PARTIAL_RESERVATION}")
    response = following.inventory_http.post(
        path, json={"ids": [PARTIAL_RESERVATION]}, headers=signed(path)
    )
    assert response.status_code == 409
    assert response.json is not None
    assert response.json["type"] == "urn:problem-type:newer-revision"
    assert following.stored(f"reservations/{PARTIAL_RESERVATION}") == before
    assert following.inventory(f"/reservations/{PARTIAL_RESERVATION}").status_code == 409


def test_sweep_leaves_orders_of_newer_statuses_and_their_stock(following: Shop) -> None:
    paths = [f"orders/{AWAITING}", f"orders/{PARTIAL}"]
    paths += [f"reservations/{AWAITING_RESERVATION}", f"reservations/{PARTIAL_RESERVATION}"]
    before = {path: following.stored(path) for path in paths}
    assert following.sweep().newer == 1
    assert {path: following.stored(path) for path in paths} == before


def test_audit_counts_documents_of_newer_statuses_and_finds_no_damage(
    following: Shop,
) -> None:
    following.sweep()
    snapshot = Snapshot(following.connection)
    assert audit.findings(snapshot, NO_TIME) == []
    assert snapshot.newer == 3


def test_stores_return_what_they_know_of_newer_documents(following: Shop) -> None:
    found = following.orders.get(AWAITING, soon())
    assert found is not None
    assert found[0].status == NewerStatus("awaiting_payment")
    assert (found[0].keeps_reservation, found[0].of_newer_revision) == (True, True)
    key = ("reservations", PARTIAL_RESERVATION)
    ((_, entity, version),) = following.stock.read([key], soon())
    assert isinstance(entity, Unusable)
    assert isinstance(entity.error, NewerDocumentError)
    assert version is not None


def test_documents_without_fields_that_older_revisions_did_not_write_are_read(
    previous: Shop,
) -> None:
    """Each field that was added later has a default."""
    (order_id,) = previous.ids("confirmed")
    reservation_id = reservation_of(previous, order_id)
    client = previous.connection.client
    for path, names in {
        f"orders/{order_id}": ("nonce", "attempt", "expected_total", "rejection"),
        f"reservations/{reservation_id}": ("nonce",),
        "products/P001": ("active", "shipped"),
    }.items():
        client.document(path).update(dict.fromkeys(names, DELETE_FIELD))
    assert previous.order_http.get(f"/orders/{order_id}").status_code == 200
    assert previous.post(f"/orders/{order_id}/cancel").status_code == 200
    found = previous.orders.get(order_id, soon())
    assert found is not None
    assert found[0].status is Status.CANCELLED
