"""Normal clients keep their throughput and latency beside 200 sockets of each hostile kind.

``HOSTILE_BAR=full`` (make test-hostile) measures each function alone against the whole bar.
Otherwise both are attacked together for a moment, and the bar is lenient: a kind fails if it misses
the bar five times in a row, so that a busy machine does not fail the test.
"""

from __future__ import annotations

import os

import pytest
from benchmarks.hostile.beside import FULL, LENIENT, Plan, Target, measure, table, verdict
from benchmarks.hostile.customers import Caller
from benchmarks.http_messages import orders, reservations
from rich.console import Console
from support.in_process.apps import ORDER
from support.processes.attacked_server import FUNCTIONS, attacked_server
from support.processes.shop import Shop

ATTACKED = FUNCTIONS if os.environ.get("HOSTILE_BAR") == "full" else ("order and inventory",)
BAR = FULL if len(ATTACKED) > 1 else LENIENT
PLAN = (
    Plan(settle=0.5, beside=1.0, alone=1.0, rounds=3)
    if BAR is FULL
    else Plan(settle=0.3, beside=0.5, alone=0.3, rounds=5, pooled=False)
)
CUSTOMERS = 8
ORDERING_BESIDE = 2
"""The figures of order's customers. Their orders need the attacked inventory."""
PRODUCTS = [f"P-{n}" for n in range(20)]


def callers(shop: Shop, attacked: str) -> list[Caller]:
    order, inventory = (attacked_server(shop, function) for function in FUNCTIONS)
    if attacked != "inventory":
        return [Caller(order.address, orders(PRODUCTS)) for _ in range(CUSTOMERS)]
    reserving = Caller(inventory.address, reservations(PRODUCTS, ORDER))
    ordering = Caller(order.address, orders(PRODUCTS))
    return [reserving] * CUSTOMERS + [ordering] * ORDERING_BESIDE


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("attacked", ATTACKED)
def test_normal_clients_are_served_beside_hostile_ones(shop: Shop, attacked: str) -> None:
    for product in PRODUCTS:
        shop.offer(product, 1_000_000)
    servers = [attacked_server(shop, name) for name in FUNCTIONS if name in attacked]
    targets = [Target("{}:{}".format(*each.address), each.line) for each in servers]
    rows = measure(targets, callers(shop, attacked), PLAN, BAR)
    console = Console(width=140)
    console.print(table(f"8 normal clients, 200 hostile sockets against {attacked}", rows, BAR))
    console.print(f"{attacked}: {verdict(rows, BAR)}")
    assert not [row.kind for row in rows if BAR.missed(row)], verdict(rows, BAR)
