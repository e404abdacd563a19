"""Access to the functions in the cluster."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
from deployment.cluster import get, kn, of, run
from deployment.shop import add_products

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 60


def pods(service: str) -> list[Any]:
    """The pods of a Knative Service that are not terminating."""
    found = get("pods", "-l", f"serving.knative.dev/service={service}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def wait_for_zero(*services: str, seconds: float = 240) -> None:
    """Wait until the services have no pod, not even a terminating one."""
    late = time.monotonic() + seconds
    while get("pods", "-l", of(*services))["items"]:
        assert time.monotonic() < late, f"{services} did not go to zero"
        time.sleep(1)


def exports_metrics() -> bool:
    """Whether Prometheus can read the metrics of Knative (docs/logs.md)."""
    asked = ("kubectl", "-n", "knative-serving", "get", "configmap", "config-observability")
    given = json.loads(run(*asked, "-o", "json")).get("data", {})
    names = ("metrics-protocol", "request-metrics-protocol")
    return {given.get(name) for name in names} == {"prometheus"}


class Service:
    """A Knative Service over its route.

    GATEWAY is the address of the ingress, if the route's own address does not reach it.
    """

    def __init__(self, name: str) -> None:
        route = kn("service", "describe", name, "-o", "url").strip()
        self.host = urlsplit(route).netloc
        self.url = os.environ.get("GATEWAY") or route

    def call(
        self, method: str, path: str, host: str | None = None, **options: Any
    ) -> requests.Response:
        """One request on a new connection, so that a broken connection shows."""
        headers = {"Host": host or self.host, **options.pop("headers", {})}
        return requests.request(
            method, self.url + path, headers=headers, timeout=TIMEOUT, **options
        )


class Shop:
    def __init__(self) -> None:
        self.order = Service("order")

    def place(self, product_id: str, quantity: int = 1) -> requests.Response:
        body = {"customer_id": "C123", "product_id": product_id, "quantity": quantity}
        return self.order.call("POST", "/orders", json=body)

    def show(self, path: str) -> Any:
        answer = self.order.call("GET", path)
        answer.raise_for_status()
        return answer.json()

    def stock(self, product_id: str) -> tuple[int, int]:
        """Available and reserved."""
        product = self.show(f"/products/{product_id}")
        return product["available_quantity"], product["reserved_quantity"]

    def confirmed(self, product_id: str) -> set[str]:
        """The ids of the product's confirmed orders, for the customer of `place`."""
        return self.orders_of("C123", product_id)

    def orders_of(self, customer_id: str, product_id: str | None = None) -> set[str]:
        """The ids of confirmed orders from order's lists, for one product or all."""
        found: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            path = f"/orders?customer_id={customer_id}&status=confirmed&limit=200{cursor}"
            page = self.show(path)
            found |= {
                each["order_id"]
                for each in page["orders"]
                if product_id in (None, each.get("product_id"))
            }
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        return found


def offer(product_id: str, stock: int) -> None:
    add_products({product_id: ("Laptop", stock)})


class Load:
    """Buyers that order in the background until the end of the block. Every response is kept."""

    def __init__(self, call: Callable[[], requests.Response], buyers: int, pause: float) -> None:
        self.answers: list[requests.Response] = []
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._call, self._buyers, self._pause = call, buyers, pause

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._buyers)
        for _ in range(self._buyers):
            self._pool.submit(self._buy)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def _buy(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self._call())
            except requests.RequestException as error:
                self.errors.append(repr(error))
            self._stop.wait(self._pause)
