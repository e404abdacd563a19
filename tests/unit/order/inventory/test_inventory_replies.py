"""A reply of inventory that does not fit the request makes no order, and no 500."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from functions_common.http import paging
from order_function.domain import PricedLine
from order_function.inventory import replies
from order_function.inventory.replies import MAX_DETAIL, MAX_NAME, Reply, ReservationRequest
from order_function.ports import (
    InventoryFailedError,
    NotSettledError,
    ReservationRejectedError,
    ReservationReleasedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST = ReservationRequest("R", {"P1": 2, "P2": 1}, "USD")
JSON = dict[str, Any]


def reservation(**changes: Any) -> JSON:
    return {
        "reservation_id": "R",
        "status": "held",
        "currency": "USD",
        "items": [item(), item(product_id="P2", quantity=1)],
    } | changes


def item(**changes: Any) -> JSON:
    return {"product_id": "P1", "quantity": 2, "unit_price": 9.99, "name": "Lamp"} | changes


def with_item(**changes: Any) -> JSON:
    return reservation(items=[item(**changes), item(product_id="P2", quantity=1)])


def without(body: JSON, name: str) -> JSON:
    return {key: value for key, value in body.items() if key != name}


def reply(status: int, body: Any) -> Reply:
    return Reply(status, body if isinstance(body, bytes) else json.dumps(body).encode())


def batch_member(status: int, body: Any) -> Reply:
    """The same reply as the member of a batch."""
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    batch = b'{"answers":[{"reservation_id":"R","status":%d,"reservation":%b}]}'
    (found,) = replies.split_batch(Reply(200, batch % (status, encoded)), ["R"])
    return found


def assert_unknown(read: Callable[[], object]) -> None:
    """The outcome of the call is unknown: neither an order nor any other exception."""
    with pytest.raises(InventoryFailedError) as unavailable:
        read()
    assert unavailable.value.outcome_unknown
    assert len(str(unavailable.value)) <= 300


@pytest.mark.parametrize("status", ["held", "confirmed", "partial", "consumed"])
@pytest.mark.parametrize("extra", [{}, {"expires_at": "2030-01-01", "nested": {"a": [1]}}])
def test_a_reservation_is_accepted_when_it_fits_the_request(status: str, extra: JSON) -> None:
    body = reservation(status=status, **extra)
    body["items"] = [each | extra for each in reversed(body["items"])]
    assert replies.parse_reservation(reply(201, body), REQUEST) == (
        (PricedLine("P2", 1, 999, "Lamp"), PricedLine("P1", 2, 999, "Lamp")),
        "USD",
    )


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("0", "USD", 0),
        ("0.00", "USD", 0),
        ("9.90", "USD", 990),
        ("9.9000", "USD", 990),
        ("1e1", "USD", 1000),
        ("1E+1", "USD", 1000),
        ("10000000000", "USD", 10**12),
        ("1000000000000", "JPY", 10**12),
        ("1.234", "KWD", 1234),
    ],
)
def test_a_price_is_accepted_when_the_currency_can_express_it(
    price: str, currency: str, minor: int
) -> None:
    body = json.dumps(reservation(currency=currency)).replace("9.99", price).encode()
    items, _ = replies.parse_reservation(reply(201, body), REQUEST._replace(currency=currency))
    assert {each.unit_price for each in items} == {minor}


NOT_STRINGS: tuple[Any, ...] = (None, 5, {}, [[]], True)
NOT_IN_A_LINE: tuple[Any, ...] = (None, {}, [], [5], True)
UNACCEPTABLE: list[Any] = [
    None,
    True,
    5,
    "held",
    [],
    {},
    b"",
    b"<html>",
    b"\xff",
    b"NaN",
    b"[" * 100_000,
    b'{"items":' * 50_000,
    b"9" * 100_000,
    [reservation()],
    *(without(reservation(), name) for name in reservation()),
    *(reservation(items=[without(item(), name)]) for name in item()),
    *(reservation(**{name: bad}) for name in reservation() for bad in NOT_STRINGS),
    *(with_item(**{name: bad}) for name in item() for bad in NOT_IN_A_LINE),
    *(with_item(**{name: bad}) for name in ("product_id", "name") for bad in (5, 0.5)),
    reservation(reservation_id="S"),
    reservation(reservation_id="r"),
    reservation(status="released"),
    reservation(status="HELD"),
    reservation(status=""),
    reservation(status="x" * 10_000),
    reservation(currency="EUR"),
    reservation(currency="usd"),
    reservation(currency=""),
    reservation(items=[]),
    reservation(items=[item()]),
    reservation(items=[item(), item()]),
    reservation(items=[item(), item(product_id="P2", quantity=1), item(product_id="P3")]),
    reservation(items=[item(), item(product_id="P2", quantity=1), item()]),
    reservation(items=[item(quantity=1), item(quantity=1), item(product_id="P2", quantity=1)]),
    reservation(items=[item()] * 5000),
    with_item(product_id="P9"),
    with_item(product_id="p1"),
    with_item(product_id=""),
    *(with_item(quantity=bad) for bad in (99, 0, -2, 1, 2.5, 10**30, "2")),
    *(with_item(unit_price=bad) for bad in (-1, -0.01, 0.001, 9.999, 10**11, 1e90, "9.99")),
    with_item(name="x" * (MAX_NAME + 1)),
    with_item(name="\ud800"),
    with_item(name="Lamp \udfff"),
    reservation(note="\ud83d"),
    *(
        json.dumps(reservation()).replace("9.99", price, 1).encode()
        for price in (
            "NaN",
            "Infinity",
            "-Infinity",
            "1e90",
            "1e999",
            "1e-90",
            "1e999999999",
            "1e-999999999",
            "-1e-999999999",
            "1e9999999999999999999",
            "9" * 50,
            "9" * 10_000,
            "0." + "0" * 200 + "1",
            "10000000000.01",
        )
    ),
    json.dumps(reservation()).replace('"R"', '"S","reservation_id":"R"').encode(),
    json.dumps(reservation()).replace('"quantity": 2', '"quantity": 99,"quantity": 2').encode(),
]


@pytest.mark.parametrize("body", UNACCEPTABLE, ids=lambda body: str(body)[:60])
@pytest.mark.parametrize("status", [200, 201])
def test_a_reservation_is_no_order_when_it_does_not_fit_the_request(status: int, body: Any) -> None:
    assert_unknown(lambda: replies.parse_reservation(reply(status, body), REQUEST))


@pytest.mark.parametrize(
    "body",
    [each for each in UNACCEPTABLE if isinstance(each, dict) and "\\ud" not in json.dumps(each)],
    ids=lambda body: str(body)[:60],
)
def test_a_member_of_a_batch_is_no_order_when_it_does_not_fit_the_request(body: JSON) -> None:
    assert_unknown(lambda: replies.parse_reservation(batch_member(201, body), REQUEST))


def short(*lines: JSON, **changes: Any) -> JSON:
    found = lines or (short_line(),)
    return {
        "type": "urn:problem-type:insufficient-stock",
        "detail": "Not enough in stock",
        "lines": list(found),
    } | changes


def short_line(**changes: Any) -> JSON:
    return {"product_id": "P1", "requested": 2, "available_quantity": 1} | changes


def unknown(*product_ids: Any, **changes: Any) -> JSON:
    return {
        "type": "urn:problem-type:unknown-product",
        "detail": "Not on sale",
        "product_ids": list(product_ids),
    } | changes


@pytest.mark.parametrize(
    ("status", "body", "extensions"),
    [
        (409, short(), {"lines": [short_line()]}),
        (409, short(short_line(more=1), title="x"), {"lines": [short_line()]}),
        (404, unknown("P1"), {"product_ids": ["P1"]}),
        (404, unknown("P2", "P1"), {"product_ids": ["P2", "P1"]}),
    ],
)
def test_a_rejection_is_accepted_when_it_names_only_requested_products(
    status: int, body: JSON, extensions: JSON
) -> None:
    with pytest.raises(ReservationRejectedError) as refused:
        replies.parse_reservation(reply(status, body), REQUEST)
    assert refused.value.rejection.kind == body["type"].removeprefix("urn:problem-type:")
    assert refused.value.rejection.extensions == extensions


@pytest.mark.parametrize("body", [short(), unknown("P1")])
def test_the_detail_of_a_rejection_is_bounded(body: JSON) -> None:
    status = 409 if "lines" in body else 404
    with pytest.raises(ReservationRejectedError) as refused:
        replies.parse_reservation(reply(status, body | {"detail": "x" * 900_000}), REQUEST)
    assert refused.value.rejection.detail == "x" * MAX_DETAIL


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, short()),
        (409, unknown("P1")),
        (200, short()),
        (201, unknown("P1")),
        (400, short()),
        (409, short(lines=[])),
        (409, without(short(), "lines")),
        (409, without(short(), "detail")),
        (409, without(short(), "type")),
        (409, short(type="about:blank")),
        (409, short(type=["urn:problem-type:insufficient-stock"])),
        (409, short(detail=5)),
        (409, short(detail="\ud800")),
        (409, short(lines={"P1": 1})),
        (409, short(short_line(product_id="P9"))),
        (409, short(short_line(product_id="\ud800"))),
        (409, short(short_line(), short_line())),
        (409, short(*[short_line()] * 5000)),
        (409, short(short_line(requested=99))),
        (409, short(short_line(requested="2"))),
        (409, short(short_line(available_quantity=2))),
        (409, short(short_line(available_quantity=-1))),
        (409, short(short_line(available_quantity=0.5))),
        (409, short(short_line(available_quantity=10**30))),
        (409, short(without(short_line(), "available_quantity"))),
        (404, unknown()),
        (404, without(unknown(), "product_ids")),
        (404, unknown("P9")),
        (404, unknown("P1", "P1")),
        (404, unknown("P1", 5)),
        (404, unknown(["P1"])),
        (404, unknown(product_ids="P1")),
        (410, {"type": "about:blank", "detail": "Gone"}),
        (410, b"<html>Gone</html>"),
        (422, {"type": "urn:problem-type:reservation-mismatch", "detail": "other lines"}),
        (418, {"type": "about:blank", "detail": "a teapot"}),
        (0, {}),
        (99_999, {}),
    ],
)
def test_a_rejection_is_unknown_when_it_does_not_fit_the_request(status: int, body: Any) -> None:
    assert_unknown(lambda: replies.parse_reservation(reply(status, body), REQUEST))


def test_a_released_reservation_is_reported_as_released() -> None:
    body = {"type": "urn:problem-type:reservation-released", "detail": "x" * 900_000}
    with pytest.raises(ReservationReleasedError) as released:
        replies.parse_reservation(reply(410, body), REQUEST)
    assert len(str(released.value)) <= MAX_DETAIL


def test_a_problem_without_text_that_can_be_stored_does_not_fit() -> None:
    body = {"type": "urn:problem-type:reservation-released", "detail": "\ud800"}
    assert_unknown(lambda: replies.parse_reservation(reply(410, body), REQUEST))


def settled_reply(*pairs: tuple[Any, Any]) -> JSON:
    return {"reservations": [{"reservation_id": name, "status": status} for name, status in pairs]}


@pytest.mark.parametrize(
    "body",
    [
        settled_reply(),
        settled_reply(("A", "released")),
        settled_reply(("A", "released"), ("B", "held")),
        settled_reply(("A", "released"), ("B", "confirmed")),
        settled_reply(("A", "released"), ("B", "")),
        settled_reply(("A", "released"), ("B", 5)),
        settled_reply(("A", "released"), ("B", None)),
        settled_reply(("A", "released"), (["B"], "released")),
        settled_reply(("A", "released"), ("A", "released")),
        settled_reply(("A", "released"), ("B", "released"), ("B", "released")),
        settled_reply(("A", "released"), ("B", "released"), ("C", "released")),
        settled_reply(("A", "released"), ("C", "released")),
        {"reservations": {}},
        {"reservations": [None]},
        {},
        [],
        b"<html>",
        b'{"reservations":' + b"[" * 100_000,
    ],
)
def test_a_settlement_is_unknown_when_the_reply_does_not_name_each_reservation(body: Any) -> None:
    assert_unknown(lambda: replies.check_settled(reply(200, body), "release", ["A", "B"]))


def test_a_settlement_is_done_when_each_reservation_has_an_expected_status() -> None:
    body = settled_reply(("B", "consumed"), ("A", "released"))
    replies.check_settled(reply(200, body), "release", ["A", "B"])


def moved(**changes: Any) -> JSON:
    return reservation(status="partial", last_movement=2) | changes


@pytest.mark.parametrize("status", [200, 201])
def test_a_movement_is_applied_when_it_is_the_last_one(status: int) -> None:
    replies.check_moved(reply(status, moved()), "R", 2)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, reservation()),
        (201, moved(last_movement=1)),
        (200, moved(last_movement=3)),
        (200, moved(last_movement="2")),
        (200, moved(reservation_id="S")),
        (200, b"<html>"),
        (200, []),
        (204, b""),
        (302, moved()),
        (400, {"type": "about:blank", "detail": "The body is not valid"}),
        (401, {"type": "about:blank", "detail": "Send a token"}),
        (404, b"<html>"),
        (409, {"detail": "no type"}),
    ],
)
def test_a_movement_is_unknown_when_the_reply_does_not_confirm_it(status: int, body: Any) -> None:
    assert_unknown(lambda: replies.check_moved(reply(status, body), "R", 2))


@pytest.mark.parametrize("status", [404, 409, 422, 500])
def test_a_movement_that_inventory_does_not_apply_has_the_reason(status: int) -> None:
    body = {"type": "urn:problem-type:movement-out-of-order", "detail": "leaves a gap"}
    with pytest.raises(NotSettledError) as error:
        replies.check_moved(reply(status, body), "R", 2)
    assert error.value.reasons == {"R": "leaves a gap"}


def product(**changes: Any) -> JSON:
    return {
        "product_id": "P1",
        "name": "Lamp",
        "price": 9.99,
        "currency": "USD",
        "active": True,
        "available_quantity": 5,
        "reserved_quantity": 0,
        "last_updated": None,
    } | changes


BAD_PRODUCTS: list[JSON] = [
    {},
    *(without(product(), name) for name in ("product_id", "name", "price", "currency")),
    product(product_id="../admin"),
    product(product_id=""),
    product(product_id=5),
    product(name=["Lamp"]),
    product(name="x" * (MAX_NAME + 1)),
    product(name="\ud800"),
    product(price="9.99"),
    product(price=-1),
    product(price=0.001),
    product(price=1e90),
    product(price=[]),
    product(currency="dollars"),
    product(currency=""),
    product(active="yes"),
    product(available_quantity=-1),
    product(available_quantity=0.5),
    product(reserved_quantity=-1),
    product(last_updated=5),
]


@pytest.mark.parametrize("bad", BAD_PRODUCTS, ids=lambda body: str(body)[:60])
def test_a_product_is_not_passed_on_when_it_is_malformed(bad: JSON) -> None:
    assert_unknown(lambda: replies.check_catalogue(reply(200, bad), "P1"))
    page = {"products": [product(product_id="P0"), bad], "next_cursor": None}
    assert_unknown(lambda: replies.check_catalogue(reply(200, page), None))


@pytest.mark.parametrize(
    "page",
    [
        {},
        [],
        b"{",
        b"[" * 100_000,
        {"products": None},
        {"products": {"P1": product()}},
        {"products": [product(), product()]},
        {"products": [product(product_id=f"P{n}") for n in range(paging.MAX_LIMIT + 1)]},
        {"products": [product()], "next_cursor": 5},
        {"products": [product()], "next_cursor": "x" * 10_000},
        {"products": [[[[product()]]]]},
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_page_of_products_is_not_passed_on_when_it_is_malformed(page: Any) -> None:
    assert_unknown(lambda: replies.check_catalogue(reply(200, page), None))


def test_a_product_is_not_passed_on_when_another_was_requested() -> None:
    assert_unknown(lambda: replies.check_catalogue(reply(200, product()), "P2"))


@pytest.mark.parametrize("status", [201, 204, 302, 401, 409, 500])
def test_a_status_that_the_catalogue_does_not_use_is_not_passed_on(status: int) -> None:
    assert_unknown(lambda: replies.check_catalogue(reply(status, product()), "P1"))


@pytest.mark.parametrize("detail", [5, None, "x" * (MAX_DETAIL + 1), "\ud800"])
def test_a_problem_of_the_catalogue_is_not_passed_on_when_it_is_malformed(detail: Any) -> None:
    body = {"type": "about:blank", "detail": detail}
    assert_unknown(lambda: replies.check_catalogue(reply(404, body), "P1"))


def test_the_catalogue_is_passed_on_byte_for_byte() -> None:
    one = reply(200, product(price=1.5, new_member={"deep": [1]}))
    assert replies.check_catalogue(one, "P1") == (200, one.content)
    ids = [f"P{n}" for n in range(paging.MAX_LIMIT)]
    page = reply(200, {"products": [product(product_id=name) for name in ids], "next_cursor": "c"})
    assert replies.check_catalogue(page, None) == (200, page.content)
    problem = reply(404, {"type": "about:blank", "detail": "No such product"})
    assert replies.check_catalogue(problem, "P1") == (404, problem.content)
