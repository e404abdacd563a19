"""The list of orders as JSON lines: what it has, which client gets it, and how it ends."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.apps import OPERATOR, order_app
from support.stores.fakes import FakeInventory, MemoryOrders

from functions_common.firestore.errors import StoreUnavailableError
from functions_common.limiter import TooManyListRequestsError
from order_function import export
from order_function.export import Export, ExportAbortedError, ExportSlots

if TYPE_CHECKING:
    from order_function.domain import Order

STAFF = {"Authorization": f"Bearer {OPERATOR}"}
LINES = "application/x-ndjson"


class Shop:
    """Three orders of each of two customers."""

    def __init__(self) -> None:
        self.store = MemoryOrders()
        self.client: Any = order_app(self.store, FakeInventory(P1=50)).test_client()
        for customer_id in ("C1", "C2") * 3:
            body = {"customer_id": customer_id, "product_id": "P1", "quantity": 1}
            assert self.client.post("/orders", json=body).status_code == 201

    def get(self, query: str = "", accept: str | None = LINES, *, staff: bool = True) -> Any:
        headers = (STAFF if staff else {}) | ({} if accept is None else {"Accept": accept})
        return self.client.get(f"/orders{query}", headers=headers)

    def listed(self, query: str = "") -> list[Any]:
        orders: list[Any] = self.client.get(f"/orders{query}", headers=STAFF).json["orders"]
        return orders


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    monkeypatch.setattr(export, "MIN_PAUSE", 0.0)
    monkeypatch.setattr(export, "MAX_PAUSE", 0.0)


def lines(response: Any) -> list[Any]:
    assert (response.status_code, response.content_type) == (200, LINES)
    return [json.loads(line) for line in response.data.splitlines()]


@pytest.mark.parametrize(
    "query",
    ["", "?customer_id=C1", "?status=confirmed", "?status=pending", "?order_id=ORD"],
)
def test_export_has_every_order_of_the_list(shop: Shop, query: str) -> None:
    assert lines(shop.get(query)) == shop.listed(query)


def test_customer_exports_only_their_own_orders(shop: Shop) -> None:
    found = lines(shop.get("?customer_id=C1", staff=False))
    assert [each["customer_id"] for each in found] == ["C1"] * 3
    assert shop.get(staff=False).status_code == 400


@pytest.mark.parametrize("page", [1, 3, 5, 6, 7, 200])
def test_pages_of_any_size_have_each_order_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(export, "PAGE", page)
    assert lines(shop.get()) == shop.listed()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("text/csv", "application/json"),
        (f"application/json, {LINES}", "application/json"),
        (f"{LINES};q=0.5, application/json;q=0.9", "application/json"),
        (f"{LINES};q=0", "application/json"),
        (LINES, LINES),
        (f"{LINES}, */*;q=0.1", LINES),
        (f"application/json;q=0.1, {LINES}", LINES),
        (f"{LINES}; charset=utf-8", LINES),
        ("Application/X-NDJSON;charset=UTF-8 ; q=0.9, application/json;q=0.8", LINES),
        (f"{LINES};a=1;q=0.1, {LINES};a=2;q=0.9, application/json;q=0.5", LINES),
        (f"{LINES}, application/json; charset=utf-8", "application/json"),
    ],
)
def test_accept_decides_between_json_and_lines(
    shop: Shop, accept: str | None, content_type: str
) -> None:
    response = shop.get(accept=accept)
    assert (response.status_code, response.content_type) == (200, content_type)
    assert response.headers["Vary"] == "Accept"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["limit", "cursor", "updated_since"])
def test_export_rejects_parameters_of_pages(shop: Shop, name: str) -> None:
    value = "2026-01-01T00:00:00Z" if name == "updated_since" else "5"
    response = shop.get(f"?{name}={value}")
    assert (response.status_code, response.content_type) == (422, "application/problem+json")
    assert [each["parameter"] for each in response.json["errors"]] == [name]


def test_export_over_http_1_0_is_400(shop: Shop) -> None:
    """Its end is the end of the connection, so a client takes a part for the whole export."""
    old = {"SERVER_PROTOCOL": "HTTP/1.0"}
    for _ in range(20):  # no slot is kept
        response = shop.client.get(
            "/orders", headers=STAFF | {"Accept": LINES}, environ_overrides=old
        )
        assert response.status_code == 400
    assert "HTTP/1.1" in response.json["detail"]
    assert "documentation" in response.json
    assert shop.client.get("/orders", headers=STAFF, environ_overrides=old).status_code == 200
    assert lines(shop.get())


def test_export_has_no_length_and_keeps_no_slot(shop: Shop) -> None:
    for _ in range(20):
        response = shop.get()
        assert "Content-Length" not in response.headers
        lines(response)
        response.close()


def test_head_keeps_no_slot(shop: Shop) -> None:
    for _ in range(20):
        response = shop.client.head("/orders", headers=STAFF | {"Accept": LINES})
        assert (response.status_code, response.data) == (200, b"")
        response.close()


def test_first_page_fails_with_a_problem(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> Any:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(shop.store, "list_newest", away)
    for _ in range(20):
        response = shop.get()
        assert (response.status_code, response.content_type) == (503, "application/problem+json")


def test_too_many_exports_are_503(shop: Shop) -> None:
    first = shop.client.get("/orders", headers=STAFF | {"Accept": LINES}, buffered=False)
    refused = shop.get()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "1 are running" in refused.json["detail"]
    assert shop.listed(), "pages are still served"
    first.close()
    assert shop.get().status_code == 200


class Pages:
    """Reads pages of orders; each call can fail."""

    def __init__(self, shop: Shop, *errors: Exception | None) -> None:
        self._orders = [found.order for found in shop.store.documents.values()]
        self._errors = [*errors]
        self.reads = 0

    def read(self, last: Order | None) -> list[Order]:
        self.reads += 1
        if self._errors and (error := self._errors.pop(0)):
            raise error
        after = 0 if last is None else self._orders.index(last) + 1
        return self._orders[after : after + export.PAGE]

    def export(self, slots: ExportSlots, seconds: float = 5.0) -> Export:
        return Export(self.read, lambda order: order.order_id.encode() + b"\n", slots, seconds)


AWAY = StoreUnavailableError("away")


@pytest.mark.parametrize("error", [AWAY, TooManyListRequestsError("busy")])
def test_page_is_read_again_after_an_error(shop: Shop, error: Exception) -> None:
    pages = Pages(shop, None, error, error)
    body = pages.export(ExportSlots(1))
    body.open()
    assert len(b"".join(body).splitlines()) == 6
    assert pages.reads == 6, "three pages, an empty one, and two more tries"
    body.close()


def test_export_is_aborted_when_a_page_cannot_be_read(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "functions")
    slots = ExportSlots(1)
    body = Pages(shop, None, *[AWAY] * 9).export(slots, seconds=0)
    body.open()
    received = []
    with pytest.raises(ExportAbortedError, match="away"):
        received += [*body]
    body.close()
    body.close()
    (ended,) = (vars(each) for each in caplog.records)
    assert ended["levelname"] == "WARNING"
    assert ended["fields"]["complete"] is False
    assert ended["fields"]["orders"] == 2
    slots.acquire()


def test_page_is_read_only_when_the_one_before_is_taken(shop: Shop) -> None:
    pages = Pages(shop)
    body = pages.export(ExportSlots(1))
    body.open()
    pieces = iter(body)
    assert pages.reads == 1
    for reads in (1, 2, 3):
        next(pieces)
        assert pages.reads == reads
    body.close()


def test_abandoned_export_releases_its_slot_and_is_logged(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "functions")
    slots = ExportSlots(1)
    for count in (0, 1):
        body = Pages(shop).export(slots)
        body.open()
        pieces = iter(body)
        for _ in range(count):
            next(pieces)
        body.close()
    assert [each.message for each in caplog.records] == ["Export abandoned by the client"] * 2


def test_pieces_are_short(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 200)
    monkeypatch.setattr(export, "PIECE_BYTES", 40)
    body = Pages(shop).export(ExportSlots(1))
    body.open()
    assert [len(piece.splitlines()) for piece in body] == [2, 2, 2]
