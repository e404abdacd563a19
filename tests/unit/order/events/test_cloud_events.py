"""The HTTP request of an event: CloudEvents 1.0 in binary mode, and the same each time."""

import json
from dataclasses import replace
from datetime import datetime
from urllib.parse import unquote

import pytest
from cloudevents.http import from_http
from support.stores.builders import BY, NOW

from functions_common.events import cloud_event
from functions_common.events.cloud_event import Attributes
from order_function.domain import (
    Address,
    Attempt,
    Details,
    EventType,
    Line,
    MovementKind,
    Order,
    PricedLine,
)
from order_function.events.cloud_event import to_request

LINES = (Line("P002", 3), Line("P001", 1))
ITEMS = (PricedLine("P001", 1, 999, "Mouse"), PricedLine("P002", 3, 99_999, "Laptop"))


def an_order() -> Order:
    attempt = Attempt.begin("C1", LINES, "key", details=Details(reference="WEB-1"))
    return Order.new_reserved(attempt, ITEMS, "USD", NOW)


def test_request_has_the_attributes_of_a_cloud_event() -> None:
    order = an_order()
    request = to_request(order, 2)
    assert request.headers == {
        "ce-specversion": "1.0",
        "ce-id": f"{order.order_id}.2",
        "ce-source": "/orders",
        "ce-type": "order.confirmed",
        "ce-subject": order.order_id,
        "ce-time": "2026-01-02T00:00:00.000000+00:00",
        "ce-sequence": "0000000002",
        "ce-partitionkey": order.order_id,
        "Content-Type": "application/json",
    }
    assert datetime.fromisoformat(request.headers["ce-time"]) == NOW
    assert json.loads(request.body) == {
        "order_id": order.order_id,
        "customer_id": "C1",
        "seq": 2,
        "type": "confirmed",
        "at": "2026-01-02T00:00:00.000000+00:00",
        "actor": "customer",
        "reference": "WEB-1",
        "items": [
            {"line_id": "1", "product_id": "P002", "quantity": 3},
            {"line_id": "2", "product_id": "P001", "quantity": 1},
        ],
    }


def test_official_library_reads_the_event() -> None:
    order = an_order()
    request = to_request(order, 1)
    event = from_http(request.headers, request.body)
    assert (event["type"], event["id"]) == ("order.placed", f"{order.order_id}.1")
    assert event.data["order_id"] == order.order_id


def test_event_of_a_part_has_its_units_and_its_reason() -> None:
    by = BY._replace(reason="damaged")
    changing = an_order().begin_movement(MovementKind.RELEASE, {"1": 2}, by, "K")
    changed = changing.finish_movement(1, NOW)
    data = json.loads(to_request(changed, 3).body)
    assert (data["type"], data["reason"]) == ("line_cancelled", "damaged")
    assert data["items"] == [{"line_id": "1", "product_id": "P002", "quantity": 2}]


def test_request_stays_the_same_when_the_order_changes() -> None:
    order = an_order()
    first = to_request(order, 1)
    cancelled = order.begin_cancel(BY).finish_cancel(NOW)
    assert to_request(cancelled, 1) == first
    assert to_request(replace(cancelled, events_sent=3), 1) == first


def test_event_has_no_personal_detail() -> None:
    address = Address("Ada", "Street", "City", "GB")
    details = Details(note="ring", metadata={"mail": "a@b.c"}, shipping_address=address)
    order = Order.new_reserved(Attempt.begin("C1", LINES, "k", details=details), ITEMS, "USD", NOW)
    text = to_request(order, 1).body.decode()
    assert not any(each in text for each in ("Ada", "ring", "a@b.c", "Street"))


def test_every_type_of_event_has_a_name_of_its_own() -> None:
    assert len({f"order.{each}" for each in EventType}) == len(EventType)


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("a\r\nce-id: 1", "a%0D%0Ace-id:%201"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ('50% "é"', "50%25%20%22%C3%A9%22"),
        ("\0", "%00"),
        ("!#$&'()*+,/:;<=>?@[\\]^`{|}~_.-", "!#$&'()*+,/:;<=>?@[\\]^`{|}~_.-"),
    ],
)
def test_attribute_is_percent_encoded(stored: str, sent: str) -> None:
    """A document can name any characters, a header cannot."""
    request = cloud_event.to_request(Attributes(stored, "/orders", stored, stored, NOW), {})
    encoded = ("ce-id", "ce-type", "ce-subject", "ce-partitionkey")
    assert {request.headers[name] for name in encoded} == {sent} == {request.event_id}
    assert unquote(sent) == stored
