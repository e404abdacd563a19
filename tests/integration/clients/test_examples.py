"""The clients of docs/examples, against running functions."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from local.stack import ROOT
from support.in_process.apps import PAYMENT
from support.processes.shop import Shop
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.one_emulator

EXAMPLES = ROOT / "docs/examples"
CLIENTS = [
    pytest.param([sys.executable, str(EXAMPLES / "place_order.py")], id="python"),
    pytest.param(
        ["node", str(EXAMPLES / "place_order.mjs")],
        id="javascript",
        marks=pytest.mark.skipif(
            shutil.which("node") is None, reason="node is not on this machine"
        ),
    ),
]


def run(client: list[str], shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*client, shop.orders[0], *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def product_id(shop: Shop) -> str:
    product_id = f"P-{uuid4().hex[:8]}"
    shop.offer(product_id, 3)
    return product_id


@pytest.fixture
def hasty_shop(emulator: str, tmp_path: Path) -> Iterator[Shop]:
    """Its order waits two seconds for inventory."""
    with Shop(emulator, tmp_path, REQUEST_DEADLINE_SECONDS="2") as shop:
        yield shop


@pytest.mark.parametrize("client", CLIENTS)
def test_example_places_an_order(client: list[str], shop: Shop, product_id: str) -> None:
    done = run(client, shop, "C123", product_id, "2")
    order = json.loads(done.stdout)
    assert (done.returncode, order["status"], order["quantity"]) == (0, "confirmed", 2)
    assert shop.stock(product_id) == (1, 2)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "place_order"),
        (["{shop}", "C123", "{product}", "two"], "place_order"),
        (["localhost:8080", "C123", "{product}", "1"], "http://"),
        (["nowhere", "C123", "{product}", "1"], "nowhere"),
        (["{shop}", "C123", "{product}", "1", "900"], "PAYMENT_TOKEN"),
    ],
)
def test_example_ends_immediately_when_its_input_is_wrong(
    client: list[str], shop: Shop, product_id: str, arguments: list[str], message: str
) -> None:
    given = [each.format(shop=shop.orders[0], product=product_id) for each in arguments]
    done = subprocess.run(
        [*client, *given],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PAYMENT_TOKEN": "…"},
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert shop.stock(product_id) == (3, 0)


@pytest.mark.parametrize("client", CLIENTS)
def test_example_holds_the_stock_and_confirms_the_payment(
    client: list[str], shop: Shop, product_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENT_TOKEN", PAYMENT)
    done = run(client, shop, "C123", product_id, "2", "900")
    order = json.loads(done.stdout)
    assert (done.returncode, order["status"]) == (0, "confirmed")
    assert [each["type"] for each in order["history"]] == [
        "placed",
        "awaiting_payment",
        "confirmed",
    ]
    assert order["history"][-1]["actor"] == "payment"


def test_example_reports_that_the_order_has_expired(own_shop: Shop) -> None:
    example = importlib.import_module("docs.examples.place_order")
    product_id = f"P-{uuid4().hex[:8]}"
    own_shop.offer(product_id, 3)
    body = {
        "customer_id": "C123",
        "product_id": product_id,
        "quantity": 1,
        "hold_seconds": 1,
    }
    order = example.place_order(own_shop.orders[0], body, uuid4().hex)
    assert order["status"] == "awaiting_payment"
    wait_until(lambda: own_shop.carry_out("reconcile")[1]["expired"] == 1)
    with pytest.raises(example.RefusedError) as raised:
        example.confirm_payment(own_shop.orders[0], order["order_id"], PAYMENT)
    assert raised.value.args[0]["type"].endswith("order-expired")
    assert own_shop.stock(product_id) == (3, 0)


@pytest.mark.parametrize("client", CLIENTS)
def test_example_reports_the_problem_when_stock_is_short(
    client: list[str], shop: Shop, product_id: str
) -> None:
    done = run(client, shop, "C123", product_id, "4")
    problem = json.loads(done.stderr)
    assert (done.returncode, problem["lines"][0]["available_quantity"]) == (1, 3)


def test_example_does_not_report_a_pending_order_as_rejected(
    hasty_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the integrator voids the payment of an order that is confirmed later."""
    example = importlib.import_module("docs.examples.place_order")
    monkeypatch.setattr(example, "GIVE_UP", 4)
    product_id = f"P-{uuid4().hex[:8]}"
    hasty_shop.offer(product_id, 3)
    hasty_shop.kill(hasty_shop.inventories[0])
    body = {"customer_id": "C123", "product_id": product_id, "quantity": 1}
    with pytest.raises(example.UndecidedError):
        example.place_order(hasty_shop.orders[0], body, uuid4().hex)
    assert is_pending(hasty_shop)


def test_example_returns_an_order_that_was_fulfilled_since(shop: Shop, product_id: str) -> None:
    example = importlib.import_module("docs.examples.place_order")
    body, key = {"customer_id": "C123", "product_id": product_id, "quantity": 1}, uuid4().hex
    order = example.place_order(shop.orders[0], body, key)
    shop.fulfil(order["order_id"])
    assert example.place_order(shop.orders[0], body, key)["status"] == "fulfilled"


@pytest.mark.parametrize("client", CLIENTS)
def test_example_polls_a_pending_order_when_inventory_is_away(
    client: list[str], hasty_shop: Shop
) -> None:
    product_id = f"P-{uuid4().hex[:8]}"
    hasty_shop.offer(product_id, 3)
    hasty_shop.kill(hasty_shop.inventories[0])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, client, hasty_shop, "C123", product_id, "2")
        wait_until(lambda: is_pending(hasty_shop))
        hasty_shop.start(hasty_shop.inventories[0])
        hasty_shop.carry_out("reconcile", RECONCILE_AFTER_SECONDS="0")
    done = running.result()
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "confirmed"), done.stderr
    assert hasty_shop.stock(product_id) == (1, 2)


def is_pending(shop: Shop) -> bool:
    """Whether the customer has a pending order."""
    return bool(shop.show("/orders?customer_id=C123&status=pending")["orders"])
