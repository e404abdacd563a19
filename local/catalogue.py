"""Enters a small catalogue over inventory's API, with the operator's token.

`make run` enters it. `make seed` runs this file alone in a pod of the cluster, so it imports no
other code of ours: OPERATOR_TOKENS=… INVENTORY_SERVICE_URL=… python catalogue.py
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import requests

TIMEOUT = 30


class SeedError(Exception):
    """inventory rejected an entry; the message says why."""


class Entry(NamedTuple):
    product_id: str
    name: str
    price: str
    """A JSON number."""
    stock: int


CATALOGUE = (
    Entry("P001", "Laptop", "999.99", 50),
    Entry("P002", "Mouse", "24.90", 200),
    Entry("P003", "Keyboard", "79.00", 120),
    Entry("P004", "Monitor", "349.50", 30),
    Entry("P005", "Headphones", "129.95", 75),
    Entry("P006", "Console, launch day", "499.00", 10),
)


def seed(inventory_url: str, operator_token: str) -> None:
    """Enter the catalogue. A product that exists keeps its name, price and stock."""
    with requests.Session() as session:
        session.trust_env = False  # ignore proxies of the environment
        session.headers["Authorization"] = f"Bearer {operator_token}"
        for entry in CATALOGUE:
            _enter(session, f"{inventory_url}/products/{entry.product_id}", entry)


def _enter(session: requests.Session, url: str, entry: Entry) -> None:
    if session.get(url, timeout=TIMEOUT).status_code == requests.codes.not_found:
        body = f'{{"name":"{entry.name}","price":{entry.price}}}'
        headers = {"Content-Type": "application/json"}
        _check(session.put(url, data=body, headers=headers, timeout=TIMEOUT))
    # The idempotency key adds the opening stock once, even if this runs again.
    adjustment = session.post(
        f"{url}/adjustments",
        json={"delta": entry.stock, "reason": "opening stock"},
        headers={"Idempotency-Key": "opening-stock"},
        timeout=TIMEOUT,
    )
    _check(adjustment)


def _check(response: requests.Response) -> None:
    if not response.ok:
        raise SeedError(f"Seeding the catalogue failed: {response.json()['detail']}")


if __name__ == "__main__":
    try:
        seed(os.environ["INVENTORY_SERVICE_URL"], os.environ["OPERATOR_TOKENS"].partition(",")[0])
    except SeedError as error:
        sys.exit(str(error))
