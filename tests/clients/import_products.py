"""Imports two products with the client that openapi-python-client generated.

usage: import_products.py INVENTORY_URL TOKEN KEY

Prints the status of each line as JSON. It runs in the environment of the generator.
"""

# mypy: ignore-errors

from __future__ import annotations

import io
import json
import sys

from inventory_client import AuthenticatedClient
from inventory_client.api.products import import_products
from inventory_client.types import File

PRODUCTS = [
    {"product_id": "P001", "name": "Laptop", "price": 999.99, "add_stock": 50},
    {"product_id": "P002", "name": "Cable", "price": -1},
]


def main(url: str, token: str, key: str) -> None:
    client = AuthenticatedClient(base_url=url, token=token)
    lines = "".join(json.dumps(each) + "\n" for each in PRODUCTS)
    body = File(payload=io.BytesIO(lines.encode()))
    imported = import_products.sync(client=client, body=body, idempotency_key=key)
    assert isinstance(imported, bytes), imported
    sys.stdout.write(json.dumps([json.loads(each)["status"] for each in imported.splitlines()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
