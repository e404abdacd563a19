"""A small catalogue to try things with, entered as an operator would: over inventory's API.

`make run` enters it; in a cluster `make seed` runs this file in a pod, so it imports nothing else
of ours: OPERATOR_TOKENS=… INVENTORY_SERVICE_URL=… python catalogue.py
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import requests

TIMEOUT = 30


class SeedError(Exception):
    """inventory refused an entry; the message says why."""


class Entry(NamedTuple):
    product_id: str
    name: str
    price: str
    """As a JSON number, digit by digit."""
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
    """Enter the catalogue. Once for each product: what is there keeps its name, price and stock."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands in between
        session.headers["Authorization"] = f"Bearer {operator_token}"
        for entry in CATALOGUE:
            _enter(session, f"{inventory_url}/products/{entry.product_id}", entry)


def _enter(session: requests.Session, url: str, entry: Entry) -> None:
    if session.get(url, timeout=TIMEOUT).status_code == requests.codes.not_found:
        body = f'{{"name":"{entry.name}","price":{entry.price}}}'
        headers = {"Content-Type": "application/json"}
        _check(session.put(url, data=body, headers=headers, timeout=TIMEOUT))
    # The key makes the opening stock arrive once, however often this runs.
    adjustment = session.post(
        f"{url}/adjustments",
        json={"delta": entry.stock, "reason": "opening stock"},
        headers={"Idempotency-Key": "opening-stock"},
        timeout=TIMEOUT,
    )
    _check(adjustment)


def _check(answer: requests.Response) -> None:
    if not answer.ok:
        raise SeedError(f"Seeding the catalogue failed: {answer.json()['detail']}")


if __name__ == "__main__":
    try:
        seed(os.environ["INVENTORY_SERVICE_URL"], os.environ["OPERATOR_TOKENS"].partition(",")[0])
    except SeedError as error:
        sys.exit(str(error))
