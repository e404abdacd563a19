"""Bad input is refused by name, and changes nothing; without a server, in milliseconds."""

import copy

import pytest
from flask.testing import FlaskClient
from support import bad_requests
from support.apps import inventory_app, order_app, signed
from support.bad_requests import BadRequest
from support.builders import stocked
from support.fakes import FakeInventory, MemoryOrders


def send(client: FlaskClient, bad: BadRequest) -> None:
    headers = signed(bad.path) | bad.headers
    answer = client.open(bad.path, method=bad.method, data=bad.body, headers=headers)
    bad_requests.check(bad, answer.status_code, answer.content_type, answer.data)
    if bad.status == 405:
        assert answer.headers["Allow"]


@pytest.mark.parametrize("bad", bad_requests.ORDER, ids=lambda bad: bad.name)
def test_order_refuses(bad: BadRequest) -> None:
    store, inventory = MemoryOrders(), FakeInventory(P001=50)
    send(order_app(store, inventory).test_client(), bad)
    assert not store.documents
    assert not inventory.reservations


@pytest.mark.parametrize("bad", bad_requests.INVENTORY, ids=lambda bad: bad.name)
def test_inventory_refuses(bad: BadRequest) -> None:
    store = stocked(P001=50)
    before = copy.copy(store.documents)
    send(inventory_app(store).test_client(), bad)
    assert store.documents == before


@pytest.mark.parametrize("path", ["/orders", "/products"])
def test_a_query_of_bytes_that_are_no_text_is_refused(path: str) -> None:
    client = order_app(MemoryOrders(), FakeInventory(P001=1)).test_client()
    answer = client.get(path, environ_overrides={"QUERY_STRING": "customer_id=\xe8"})
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
