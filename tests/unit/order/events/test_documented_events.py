"""docs/events.md has every type of event, and its schema and its example are those of the code."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from local.stack import ROOT

from functions_common.events import low_stock_outbox
from functions_common.events.low_stock import LowStockEvent
from order_function.domain import (
    Attempt,
    By,
    Details,
    Event,
    EventType,
    Line,
    MovementKind,
    Order,
    PricedLine,
)
from order_function.events.cloud_event import to_request

TEXT = (ROOT / "docs/events.md").read_text()
SCHEMA, PRODUCT_SCHEMA = (
    json.loads(found) for found in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
)
EXAMPLE, PRODUCT_EXAMPLE = re.findall(r"```http\n(.*?)```", TEXT, re.DOTALL)
AT = datetime.fromisoformat("2025-11-24T08:02:10.000351+00:00")


def an_order(reference: str | None = None) -> Order:
    lines, items = [Line("P001", 2)], (PricedLine("P001", 2, 99_999, "Laptop"),)
    attempt = Attempt.begin("C123", lines, "key", details=Details(reference))
    return Order.new_reserved(attempt, items, "USD", AT)


def test_every_type_is_documented() -> None:
    documented = set(re.findall(r"^\| `order\.(\w+)` \|", TEXT, re.MULTILINE))
    assert documented == set(map(str, EventType))
    assert SCHEMA["properties"]["type"]["enum"] == [str(each) for each in EventType]


@pytest.mark.parametrize("kind", EventType)
def test_event_fits_the_documented_schema(kind: EventType) -> None:
    order = an_order(reference="WEB-1").with_events(Event(kind, AT, "operator", "why"))
    data = json.loads(to_request(order, len(order.history)).body)
    jsonschema.validate(data, SCHEMA)
    assert data.keys() <= SCHEMA["properties"].keys()


def test_documented_example_is_an_event() -> None:
    headers, body = parse(EXAMPLE)
    by = By("operator", "damaged in transit")
    changing = an_order().begin_movement(MovementKind.RELEASE, {"1": 1}, by, "K")
    order = changing.finish_movement(1, AT)
    request = to_request(order, 3)
    known = body["order_id"]
    sent = {name: text.replace(order.order_id, known) for name, text in request.headers.items()}
    assert sent == headers
    assert json.loads(request.body.decode().replace(order.order_id, known)) == body


def parse(request: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers and the body of a documented request."""
    head, _, body = request.partition("\n\n")
    return dict(line.split(": ", 1) for line in head.splitlines()[1:]), json.loads(body)


def test_documented_example_of_a_product_is_an_event() -> None:
    headers, body = parse(PRODUCT_EXAMPLE)
    request = low_stock_outbox.to_request(
        LowStockEvent("P001.5b1f0c7d9e2a4638", "P001", "Laptop", 4, 5, AT)
    )
    assert (request.headers, json.loads(request.body)) == (headers, body)
    jsonschema.validate(body, PRODUCT_SCHEMA)
    assert body.keys() == PRODUCT_SCHEMA["properties"].keys() == {*PRODUCT_SCHEMA["required"]}
    assert f"| `{headers['ce-type']}` |" in TEXT
