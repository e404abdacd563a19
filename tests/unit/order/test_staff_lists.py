"""The list of orders over HTTP: who may use which parameter, pages, and the next sync."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.in_process.apps import OPERATOR, order_app
from support.stores.fakes import FakeInventory, MemoryOrders

from order_function import app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STAFF = {"Authorization": f"Bearer {OPERATOR}"}
LONG_AGO = "2000-01-01T00:00:00Z"


class Shop:
    """Three orders of each of two customers, one of them cancelled, and one rejected order."""

    def __init__(self) -> None:
        self.store = MemoryOrders()
        self.client: Any = order_app(self.store, FakeInventory(P1=50, P2=50)).test_client()
        self.placed = [self.place(name) for _ in range(3) for name in ("C1", "C2")]
        self.cancel(self.placed[0])
        self.place("C1", key="rejected", quantity=51)

    def place(self, customer_id: str, key: str | None = None, **changes: Any) -> str | None:
        body = {"customer_id": customer_id, "product_id": "P1", "quantity": 1, **changes}
        headers = {} if key is None else {"Idempotency-Key": key}
        placed: dict[str, Any] = self.client.post("/orders", json=body, headers=headers).json
        return placed.get("order_id")

    def cancel(self, order_id: str | None) -> None:
        assert self.client.post(f"/orders/{order_id}/cancel").status_code == 200

    def get(self, headers: Mapping[str, str] = STAFF, /, **query: Any) -> Any:
        return self.client.get("/orders", query_string=query, headers=headers)

    def pages(self, **query: Any) -> Iterator[Any]:
        page = self.get(**query).json
        while page["next_cursor"]:
            yield page
            page = self.get(**query, cursor=page["next_cursor"]).json
        yield page

    def ids(self, **query: Any) -> list[str]:
        return [each["order_id"] for page in self.pages(**query) for each in page["orders"]]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def parameters(response: Any) -> list[str]:
    assert response.status_code == 422, response.text
    assert response.json["type"] == "urn:problem-type:invalid-value"
    return [each["parameter"] for each in response.json["errors"]]


@pytest.mark.parametrize("limit", [1, 2, 200])
def test_staff_lists_the_orders_of_all_customers_newest_first(shop: Shop, limit: int) -> None:
    assert shop.ids(limit=limit) == shop.placed[::-1]


def test_staff_lists_the_orders_of_a_customer(shop: Shop) -> None:
    assert shop.ids(customer_id="C2") == shop.placed[::-2]


def test_staff_lists_several_statuses(shop: Shop) -> None:
    rejected = shop.ids(status="rejected")
    assert len(rejected) == 1
    assert shop.ids(status="cancelled,rejected") == [*rejected, shop.placed[0]]
    assert rejected[0] not in shop.ids(customer_id="C1")
    assert rejected[0] in shop.ids(customer_id="C1", status="confirmed,rejected")


def test_staff_lists_orders_by_time_and_product(shop: Shop) -> None:
    orders = shop.get().json["orders"]
    first, last = orders[-1]["created_at"], orders[0]["created_at"]
    assert shop.ids(created_from=first, created_to=last) == shop.placed[-2::-1]
    assert shop.ids(created_from=last) == shop.placed[-1:]
    other = shop.place("C1", product_id="P2")
    assert shop.ids(product_id="P2") == [other]
    assert shop.ids(product_id="P2", customer_id="C2") == []


@pytest.mark.parametrize(
    ("time", "hint"),
    [
        ("2026-01-01T00:00:00.123456789Z", "; a second has at most 6 decimals"),
        ("2026-01-01T00:00:00+01:00", "; percent-encode its +, as %2B"),
        ("2026-01-01", ""),
    ],
)
def test_problem_of_a_time_says_what_is_wrong(shop: Shop, time: str, hint: str) -> None:
    """Java and Go write nanoseconds, which RFC 3339 allows."""
    detail = shop.get(created_from=time.replace("+", " ")).json["detail"]
    assert detail == f"created_from: must be a time like 2025-11-23T19:11:48Z (RFC 3339){hint}"


def test_staff_lists_orders_by_the_beginning_of_their_id(shop: Shop) -> None:
    expected = sorted(filter(None, shop.placed))
    assert shop.ids(order_id="ORD", limit=2) == expected
    assert shop.ids(order_id=expected[0]) == expected[:1]


@pytest.mark.parametrize(
    "parameter",
    [{"updated_since": LONG_AGO}, {"order_id": "ORD"}],
    ids=lambda each: next(iter(each)),
)
def test_parameter_of_staff_is_422_for_a_customer(shop: Shop, parameter: dict[str, str]) -> None:
    response = shop.get({}, customer_id="C1", **parameter)
    assert {*parameter} <= {*parameters(response)}
    assert shop.get({}, **parameter).status_code == 400  # a list needs a customer or a token


def test_customer_lists_only_their_own_orders(shop: Shop) -> None:
    for query in ({}, {"status": "confirmed,cancelled,rejected"}, {"product_id": "P1"}):
        found = shop.get({}, customer_id="C1", **query).json["orders"]
        assert {each["customer_id"] for each in found} == {"C1"}
    assert shop.get({}).status_code == 400


SEQUENCES: dict[str, dict[str, str]] = {
    "newest": {},
    "changed": {"updated_since": LONG_AGO},
    "by id": {"order_id": "ORD"},
}


@pytest.mark.parametrize(("made", "used"), [*itertools.permutations(SEQUENCES, 2)])
def test_cursor_is_422_in_a_list_of_another_sequence(shop: Shop, made: str, used: str) -> None:
    cursor = shop.get(limit=1, **SEQUENCES[made]).json["next_cursor"]
    assert cursor
    assert parameters(shop.get(cursor=cursor, **SEQUENCES[used])) == ["cursor"]


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJjaGFuZ2VkIl0", "bnVsbA", "e30"])
def test_malformed_cursor_is_422(shop: Shop, name: str, cursor: str) -> None:
    """Among them: ``[]``, ``["changed"]``, ``null`` and ``{}``."""
    assert parameters(shop.get(cursor=cursor, **SEQUENCES[name])) == ["cursor"]


def test_cursor_is_422_with_another_beginning_of_the_id(shop: Shop) -> None:
    """The page would have orders whose id does not begin with the text."""
    first, *_, last = sorted(filter(None, shop.placed))
    cursor = shop.get(order_id="ORD", limit=1).json["next_cursor"]
    assert shop.ids(order_id=first[:10]) == [first]
    assert parameters(shop.get(order_id=last, cursor=cursor)) == ["cursor"]


@pytest.mark.parametrize("limit", [1, 3, 200])
def test_sync_lists_every_change_oldest_first(shop: Shop, limit: int) -> None:
    (rejected,) = shop.ids(status="rejected")
    expected = [*shop.placed[1:], shop.placed[0], rejected]
    assert shop.ids(updated_since=LONG_AGO, limit=limit) == expected


def test_next_updated_since_is_on_the_last_page_only(shop: Shop) -> None:
    *pages, last = shop.pages(updated_since=LONG_AGO, limit=2)
    assert len(pages) == 3
    assert [page.get("next_updated_since") for page in pages] == [None] * 3
    assert datetime.fromisoformat(last["next_updated_since"]).tzinfo is not None
    assert "next_updated_since" not in shop.get().json
    assert "next_updated_since" not in shop.get(order_id="ORD").json


def test_next_updated_since_is_before_the_read_of_the_first_page(shop: Shop) -> None:
    """A change can become visible between two pages, before the place of the second one."""
    shop.store.clock.pass_by(60)
    pages = shop.pages(updated_since=LONG_AGO, limit=2)
    next(pages)
    first_read = shop.store.clock.next()
    shop.store.clock.pass_by(3600)
    *_, last = pages
    since = datetime.fromisoformat(last["next_updated_since"])
    assert since <= first_read - app.MAX_VISIBILITY_DELAY
    assert first_read - app.MAX_VISIBILITY_DELAY - since < timedelta(seconds=1)


def test_sync_ends_beside_faster_changes(shop: Shop) -> None:
    """A client never reads the last page if each page has room for fewer orders than change."""
    shop.store.clock.pass_by(60)
    found, later = [], []
    pages = shop.pages(updated_since=LONG_AGO, limit=2)
    for page in itertools.islice(pages, 10):
        found += [each["order_id"] for each in page["orders"]]
        later += [shop.place("C1") for _ in range(4)]
    assert page["next_cursor"] is None
    assert not {*found} & {*later}
    assert {*later} <= {*shop.ids(updated_since=page["next_updated_since"])}


def test_next_updated_since_never_goes_back(shop: Shop) -> None:
    now = shop.store.clock.next()
    response = shop.get(updated_since=now.isoformat())
    assert datetime.fromisoformat(response.json["next_updated_since"]) == now


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), timedelta(hours=1), None])
def test_sync_of_a_client_with_a_fast_clock_misses_no_change(
    shop: Shop, ahead: timedelta | None
) -> None:
    shop.store.clock.pass_by(60)
    now = shop.store.clock.next()
    since = f"{now + ahead:%Y-%m-%dT%H:%M:%SZ}" if ahead else "9999-12-31T23:59:59Z"
    first = shop.get(updated_since=since).json
    assert first["orders"] == []
    assert now - app.MAX_VISIBILITY_DELAY <= datetime.fromisoformat(first["next_updated_since"])
    order_id = shop.place("C1")
    assert shop.ids(updated_since=first["next_updated_since"]) == [order_id]


def test_sync_continues_with_the_changes_since_the_last_one(shop: Shop) -> None:
    shop.store.clock.pass_by(60)
    last = shop.get(updated_since=LONG_AGO).json
    shop.store.clock.pass_by(60)
    assert shop.get(updated_since=last["next_updated_since"]).json["orders"] == []
    shop.cancel(shop.placed[1])
    found = shop.get(updated_since=last["next_updated_since"]).json["orders"]
    assert [(each["order_id"], each["status"]) for each in found] == [(shop.placed[1], "cancelled")]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"updated_since": "yesterday"}, ["updated_since"]),
        ({"updated_since": "2026-01-02T03:04:05"}, ["updated_since"]),
        ({"updated_since": LONG_AGO, "order_id": "ORD"}, ["updated_since"]),
        ({"updated_since": LONG_AGO, "status": "confirmed"}, ["updated_since"]),
        ({"updated_since": LONG_AGO, "customer_id": "C1"}, ["updated_since"]),
        ({"order_id": "ORD", "product_id": "P1"}, ["order_id"]),
        ({"order_id": "ord"}, ["order_id"]),
        ({"order_id": "ORD/"}, ["order_id"]),
        ({"order_id": "ORD" + "0" * 27}, ["order_id"]),
        ({"status": "confirmed,"}, ["status"]),
        ({"status": "abandoned"}, ["status"]),
        ({"status": "confirmed,Confirmed"}, ["status"]),
        ({"product_id": "a/b"}, ["product_id"]),
        ({"created_from": LONG_AGO, "created_to": LONG_AGO}, ["created_to"]),
        ({"created_from": "x", "created_to": "y"}, ["created_from", "created_to"]),
    ],
    ids=lambda each: (
        " ".join(f"{name}={value}" for name, value in each.items())
        if isinstance(each, dict)
        else ""
    ),
)
def test_invalid_filter_is_422(shop: Shop, query: dict[str, str], wrong: list[str]) -> None:
    assert parameters(shop.get(**query)) == wrong


def test_contradiction_names_both_parameters(shop: Shop) -> None:
    detail = shop.get(updated_since=LONG_AGO, status="confirmed").json["detail"]
    assert detail == "updated_since: cannot be combined with status"
    detail = shop.get(created_from=LONG_AGO, created_to=LONG_AGO).json["detail"]
    assert detail == "created_to: must be later than created_from"
