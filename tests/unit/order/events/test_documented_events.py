"""docs/events.md has every type of event, and its schema and its example are those of the code."""

from __future__ import annotations

import json
import re
from datetime import datetime

import jsonschema
import pytest
from local.stack import ROOT

from order_function.domain import (
    Attempt,
    By,
    Details,
    Event,
    EventType,
    Item,
    Line,
    MovementKind,
    Order,
)
from order_function.events.cloud_event import to_request

TEXT = (ROOT / "docs/events.md").read_text()
SCHEMA = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
AT = datetime.fromisoformat("2025-11-24T08:02:10.000351+00:00")


def an_order(reference: str | None = None) -> Order:
    lines, items = [Line("P001", 2)], (Item("P001", 2, 99_999, "Laptop"),)
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
    head, _, body = re.findall(r"```http\n(.*?)```", TEXT, re.DOTALL)[0].partition("\n\n")
    by = By("operator", "damaged in transit")
    changing = an_order().begin_movement(MovementKind.RELEASE, {"1": 1}, by, "K")
    order = changing.finish_movement(1, AT)
    request = to_request(order, 3)
    known = json.loads(body)["order_id"]
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    sent = {name: text.replace(order.order_id, known) for name, text in request.headers.items()}
    assert sent == headers
    assert json.loads(request.body.decode().replace(order.order_id, known)) == json.loads(body)
