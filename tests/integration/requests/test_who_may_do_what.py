"""Every cell of the tables in docs/security.md, on real processes, in both modes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from support.clients import permissions
from support.clients.permissions import ANOTHER, CUSTOMER, PRODUCT, SEQ, Cell
from support.in_process.apps import OPERATOR, ORDER, PAYMENT
from support.peers import tokens
from support.processes.shop import TIMEOUT, Shop
from tools import openapi

from functions_common.http import health

pytestmark = pytest.mark.one_emulator

IN_BROWSERS = {"Accept": "text/html"}


@dataclass
class Doors:
    """Both functions, with customers' tokens and without."""

    required: Shop
    open: Shop

    def status(self, cell: Cell) -> int:
        shop = self.open if cell.caller.endswith("open") else self.required
        places = {
            "customer_id": CUSTOMER,
            "product_id": PRODUCT,
            "seq": str(SEQ),
            "order_id": self._order(shop, cell) if "{order_id}" in cell.path else "",
            "reservation_id": self._reservation(shop) if cell.function == "inventory" else "",
        }
        url = (shop.orders if cell.function == "order" else shop.inventories)[0]
        return requests.request(
            cell.method,
            url + cell.path.format(**places),
            json=permissions.body(cell, places["reservation_id"]),
            headers={
                **IN_BROWSERS,
                "Idempotency-Key": uuid.uuid4().hex,
                "Content-Type": permissions.media_type(cell),
                **_shown(cell.caller),
            },
            timeout=TIMEOUT,
            allow_redirects=False,
        ).status_code

    def _order(self, shop: Shop, cell: Cell) -> str:
        """An order of the customer: fulfilled to be returned, else confirmed."""
        body = {"customer_id": CUSTOMER, "product_id": PRODUCT, "quantity": 1}
        headers = {} if shop is self.open else tokens.shown(CUSTOMER)
        url = f"{shop.orders[0]}/orders"
        answer = requests.post(url, json=body, headers=headers, timeout=TIMEOUT)
        order_id = str(answer.json()["order_id"])
        if cell.path.endswith("/return"):
            url, headers = f"{url}/{order_id}/fulfil", _shown("operator")
            requests.post(url, headers=headers, timeout=TIMEOUT).raise_for_status()
        return order_id

    def _reservation(self, shop: Shop) -> str:
        """A held one."""
        name = f"R-{uuid.uuid4().hex}"
        body = {"items": [{"product_id": PRODUCT, "quantity": 1}]}
        url, headers = f"{shop.inventories[0]}/reservations/{name}", _shown("order function")
        requests.put(url, json=body, headers=headers, timeout=TIMEOUT).raise_for_status()
        return name


def _shown(caller: str) -> dict[str, str]:
    if caller.startswith("anonymous"):
        return {}
    if caller.endswith("customer"):
        return tokens.shown(CUSTOMER if caller == "customer" else ANOTHER)
    shown = {
        "operator": OPERATOR,
        "payment service": PAYMENT,
        "order function": ORDER,
        "another pod": "a-token-it-made-up",
    }
    return {"Authorization": f"Bearer {shown[caller]}"}


@pytest.fixture(scope="module")
def doors(which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    if which == "official":
        pytest.skip("one emulator is enough: permissions are checked before the database is read")
    folder: Path = tmp_path_factory.mktemp("logs")
    trusting = tokens.environment(tokens.in_file(folder).keys_file)
    with (
        Shop(emulator, folder, **trusting) as required,
        Shop(emulator, folder) as unguarded,
    ):
        for shop in (required, unguarded):
            shop.offer(PRODUCT, 1000)
        yield Doors(required, unguarded)


def test_every_caller_gets_the_documented_status(doors: Doors) -> None:
    cells = permissions.table()
    assert len(cells) == 279
    found = {cell: doors.status(cell) for cell in cells}
    assert [f"{cell} is {status}" for cell, status in found.items() if status != cell.status] == []


@pytest.mark.parametrize("function", ["order", "inventory"])
def test_the_tables_have_every_endpoint(function: str) -> None:
    operations = health.with_service_operations(openapi.APIS[function]).operations
    assert permissions.endpoints(function) == {(each.method, each.path) for each in operations}


def test_open_mode_is_logged_once_at_the_start(doors: Doors) -> None:
    for shop, times in ((doors.open, 1), (doors.required, 0)):
        lines = shop.said(shop.orders[0]).splitlines()
        assert len([line for line in lines if "AUTH_MODE is open" in line]) == times


def test_tokens_are_in_no_log_and_no_process_list(doors: Doors) -> None:
    secret = tokens.token(CUSTOMER)
    headers = {"Authorization": f"Bearer {secret}"}
    url = doors.required.orders[0]
    assert requests.get(f"{url}/orders", headers=headers, timeout=TIMEOUT).status_code == 200
    assert requests.get(f"{url}/orders?x={secret}", timeout=TIMEOUT).status_code == 401
    said = "".join(map(doors.required.said, (url, doors.required.inventories[0])))
    said += _process_list()
    for each in (secret.split(".")[2], OPERATOR, ORDER, PAYMENT):
        assert each not in said


def _process_list() -> str:
    lines = (each.read_bytes() for each in Path("/proc").glob("[0-9]*/cmdline"))
    return re.sub("\0", " ", b"\n".join(lines).decode(errors="replace"))
