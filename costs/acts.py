"""Measures the Firestore usage of each act of the shop, on real processes over HTTP."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from local import shop as local_shop
from local import stack
from local.processes import Process, direct_session

from costs.usage import Meter, Usage
from firestore_emulator.launcher import emulator, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROJECT = "cost"
LINES = 3
LISTED = 10
SWEPT = 10
IMPORTED = 100
_IMPORTED_STOCK = 5
_PRODUCTS = [f"P{n}" for n in range(1, LINES + 1)]
_STOCK = 100
_SECONDS = 30
_LONG_HOLD = 900
_AFTER_EXPIRY = 1.5
"""Seconds after which a hold of one second is overdue."""

ORDER = "An order of one product"
CONFIRMED = f"A sweep that finds {SWEPT} orders to confirm"
FULFILLED = "An order fulfilled"
IDLE = "A sweep that finds nothing"


def measure(logs: Path) -> dict[str, Usage]:
    """Usage by title, in the order of the table."""
    environ = {**os.environ, "EMULATOR": "embedded", "FIRESTORE_EMULATOR_HOST": ""}
    indexes = f"--require-indexes={stack.ROOT / 'firestore.indexes.json'}"
    with ExitStack() as ends:
        address = ends.enter_context(emulator(environ, options=[indexes]))
        shop = ends.enter_context(local_shop.running(address, PROJECT, logs))
        port = free_port()
        alone = stack.function(
            "order", port, _impatient(local_shop.settings(address, PROJECT)), logs
        )
        ends.callback(alone.stop)
        stack.start([alone], [port])
        sink = {"EVENT_SINK_URL": ends.enter_context(local_shop.receiving(logs))}
        sink_port = free_port()
        notifying = stack.function(
            "inventory", sink_port, local_shop.settings(address, PROJECT) | sink, logs
        )
        ends.callback(notifying.stop)
        stack.start([notifying], [sink_port])
        of_sweep = _without_grace(local_shop.settings(address, PROJECT, shop.catalogue))
        sweep = stack.command("reconcile", of_sweep, logs / "sweep")
        notifying_sweep = stack.command("reconcile", of_sweep | sink, logs / "notifying-sweep")
        meter = Meter(address, PROJECT)
        _wait_for(meter, processes=4)
        for product_id in _PRODUCTS:
            shop.offer(product_id, _STOCK)
        catalogue = shop.catalogue.removeprefix("http://")
        addresses = _Addresses(
            shop.orders[0],
            f"{stack.HOST}:{port}",
            catalogue,
            f"{stack.HOST}:{sink_port}",
        )
        return _Acts(addresses, sweep, notifying_sweep, meter).all()


def _impatient(settings: dict[str, str]) -> dict[str, str]:
    """A short deadline: this process has no inventory."""
    return settings | {"REQUEST_DEADLINE_SECONDS": "1"}


def _without_grace(settings: dict[str, str]) -> dict[str, str]:
    """Settings of a sweep that includes orders of any age."""
    return settings | {"RECONCILE_AFTER_SECONDS": "0"}


def _wait_for(meter: Meter, processes: int) -> None:
    """Wait for the first read of each process, which opens its channel in the background."""
    late = time.monotonic() + _SECONDS
    while meter.read().round_trips < processes:
        if time.monotonic() > late:
            raise TimeoutError("a process has not opened its channel")
        time.sleep(0.02)


def figures(measured: Mapping[str, Usage]) -> dict[str, int]:
    """Usage of an order of one product, for results.json."""
    order = measured[ORDER]
    return {
        "reads_per_order": order.reads,
        "writes_per_order": order.writes,
        "round_trips_per_order": order.round_trips,
    }


class _Addresses(NamedTuple):
    order: str
    alone: str
    """Of an order without an inventory."""
    inventory: str
    notifying: str
    """Of an inventory with a sink of events."""


class _Acts:
    def __init__(
        self, addresses: _Addresses, sweep: Process, notifying_sweep: Process, meter: Meter
    ) -> None:
        """``notifying_sweep``: a sweep with a sink of events."""
        self._order, self._alone, self._inventory, self._notifying = addresses
        self._sweep, self._notifying_sweep = sweep, notifying_sweep
        self._meter = meter

    def all(self) -> dict[str, Usage]:
        of = self._meter.of
        keyed = {"Idempotency-Key": "once"}
        first = self._place()
        second = self._place(headers=keyed)
        for _ in range(LISTED):
            self._place(customer="lists")
        found = {
            ORDER: of(self._place),
            f"An order of {LINES} products": of(lambda: self._place(_PRODUCTS)),
            "An order held for its payment": of(lambda: self._place(hold_seconds=_LONG_HOLD)),
            "An order repeated under its key": of(lambda: self._place(headers=keyed)),
            "An order refused: not enough in stock": of(self._place_too_much),
            "An order refused, with a key": of(
                lambda: self._place_too_much({"Idempotency-Key": "much"})
            ),
            "An order shown": of(lambda: self._request("GET", f"/orders/{first}")),
            f"A list of {LISTED} orders": of(
                lambda: self._request("GET", "/orders?customer_id=lists")
            ),
            "An order cancelled": of(lambda: self._request("POST", f"/orders/{first}/cancel")),
            FULFILLED: of(lambda: self._request("POST", f"/orders/{second}/fulfil")),
        }
        self._reserve(_PRODUCTS, quantity=3)
        found["A movement of one product, in inventory"] = of(lambda: self._move(1, _PRODUCTS[:1]))
        found[f"A movement of {LINES} products, in inventory"] = of(
            lambda: self._move(2, _PRODUCTS)
        )
        self._reconcile()
        found[IDLE] = of(self._reconcile)
        found["The same, with a sink of events"] = of(self._reconcile_with_sink)
        found |= self._acts_of_staff()
        for _ in range(SWEPT):
            self._place()
        found[CONFIRMED] = of(self._reconcile)
        found["An order taken while inventory is away"] = of(self._place_without_inventory)
        found["A sweep that decides it and confirms it"] = of(self._reconcile)
        found["A product changed"] = of(self._change_product)
        found[f"An import of {IMPORTED} products with stock"] = of(self._import_products)
        found[f"The same import, repeated: {IMPORTED} products"] = of(self._import_products)
        found[f"A list of {LISTED} products on sale"] = of(
            lambda: self._request("GET", f"/products?limit={LISTED - 1}")
        )
        self._set_threshold(_IMPORTED_STOCK - 2)
        found["A unit reserved, in inventory"] = of(lambda: self._reserve_one("above"))
        found["A unit reserved that makes stock low, and the event sent"] = of(self._make_low)
        return found

    def _set_threshold(self, units: int) -> None:
        body = {"low_stock_threshold": units}
        self._request("PATCH", "/products/I000", body, address=self._inventory)

    def _reserve_one(self, reservation_id: str) -> None:
        path, body = f"/reservations/{reservation_id}", {"items": _items(["I000"], 1)}
        token = {"Authorization": f"Bearer {local_shop.ORDER_TOKEN}"}
        self._request("PUT", path, body, token, 201, address=self._notifying)

    def _make_low(self) -> None:
        """The thread of the process sends the event, and deletes it."""
        deletes = self._meter.read().deletes
        self._reserve_one("low")
        late = time.monotonic() + _SECONDS
        while self._meter.read().deletes == deletes:
            if time.monotonic() > late:
                raise TimeoutError("the event has not been sent")
            time.sleep(0.02)

    def _acts_of_staff(self) -> dict[str, Usage]:
        """Lists of all customers, changes of parts, holds, and the erasure of a customer."""
        of = self._meter.of
        listed = f"/orders?limit={LISTED}"
        order_id = self._place(quantity=3)
        paid = self._place(hold_seconds=_LONG_HOLD)
        self._place(customer="leaving")
        found = {
            f"A page of {LISTED} orders of all customers": of(lambda: self._request("GET", listed)),
            f"A page of {LISTED} changes": of(
                lambda: self._request("GET", f"{listed}&updated_since=2000-01-01T00:00:00Z")
            ),
            "A part of an order cancelled": of(lambda: self._change(order_id, "cancel")),
            "A part of an order fulfilled": of(lambda: self._change(order_id, "fulfil")),
            "A part of an order returned": of(lambda: self._change(order_id, "return")),
            "A payment confirmed": of(lambda: self._request("POST", f"/orders/{paid}/confirm")),
            "A customer with one order erased": of(
                lambda: self._request("POST", "/customers/leaving/erase")
            ),
        }
        self._reconcile()
        self._place(hold_seconds=1)
        time.sleep(_AFTER_EXPIRY)
        found["A sweep that cancels an order whose payment is overdue"] = of(self._reconcile)
        return found

    def _change(self, order_id: str, verb: str) -> None:
        """Change one unit of the order's only line."""
        body = {"items": [{"line_id": "1", "quantity": 1}]}
        self._request("POST", f"/orders/{order_id}/{verb}", body, {"Idempotency-Key": verb})

    def _change_product(self) -> None:
        path = f"/products/{_PRODUCTS[0]}"
        self._request("PATCH", path, {"price": 2}, {"If-Match": "*"}, address=self._inventory)

    def _import_products(self) -> None:
        lines = (
            {"product_id": f"I{n:03}", "name": "Lamp", "price": 1, "add_stock": _IMPORTED_STOCK}
            for n in range(IMPORTED)
        )
        with direct_session() as session:
            response = session.post(
                f"http://{self._inventory}/products:import",
                data="\n".join(json.dumps(line) for line in lines),
                headers={
                    "Authorization": f"Bearer {local_shop.OPERATOR_TOKEN}",
                    "Content-Type": "application/x-ndjson",
                    "Idempotency-Key": "import",
                },
                timeout=_SECONDS,
            )
        statuses = {json.loads(line)["status"] for line in response.text.splitlines()}
        if not statuses <= {200, 201}:
            raise AssertionError(f"the import failed: {response.text[:500]}")

    def _place(
        self,
        products: list[str] = _PRODUCTS[:1],
        *,
        customer: str = "C1",
        headers: dict[str, str] | None = None,
        quantity: int = 1,
        **details: object,
    ) -> str:
        """The order's id."""
        body = {"customer_id": customer, "items": _items(products, quantity), **details}
        order_id: str = self._request("POST", "/orders", body, headers, 201)["order_id"]
        return order_id

    def _place_too_much(self, headers: dict[str, str] | None = None) -> None:
        body = {"customer_id": "C1", "product_id": _PRODUCTS[0], "quantity": _STOCK + 1}
        self._request("POST", "/orders", body, headers, 409)

    def _place_without_inventory(self) -> None:
        body = {"customer_id": "C1", "product_id": _PRODUCTS[0], "quantity": 1}
        headers = {"Prefer": "respond-async"}
        self._request("POST", "/orders", body, headers, 202, address=self._alone)

    def _reserve(self, products: list[str], quantity: int) -> None:
        self._put_at_inventory("/reservations/R", {"items": _items(products, quantity)})

    def _move(self, seq: int, products: list[str]) -> None:
        """Consume one unit of each product. The number of the movement is ``seq``."""
        body = {"kind": "consume", "items": _items(products, 1)}
        self._put_at_inventory(f"/reservations/R/movements/{seq}", body)

    def _put_at_inventory(self, path: str, body: object) -> None:
        token = {"Authorization": f"Bearer {local_shop.ORDER_TOKEN}"}
        self._request("PUT", path, body, token, 201, address=self._inventory)

    def _reconcile(self) -> None:
        _run(self._sweep)

    def _reconcile_with_sink(self) -> None:
        _run(self._notifying_sweep)

    def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        expected: int = 200,
        address: str | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """The body of the response. Raises ``AssertionError`` for another status."""
        with direct_session() as session:
            response = session.request(
                method,
                f"http://{address or self._order}{path}",
                json=body,
                headers={"Authorization": f"Bearer {local_shop.OPERATOR_TOKEN}", **(headers or {})},
                timeout=_SECONDS,
            )
        if response.status_code != expected:
            raise AssertionError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()


def _run(sweep: Process) -> None:
    sweep.start()
    if sweep.wait(_SECONDS):
        raise AssertionError(sweep.describe_end())


def _items(products: list[str], quantity: int) -> list[dict[str, object]]:
    return [{"product_id": product_id, "quantity": quantity} for product_id in products]
