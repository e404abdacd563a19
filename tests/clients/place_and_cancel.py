"""Places and cancels an order with the client that openapi-python-client generated.

usage: place_and_cancel.py ORDER_URL KEY

Prints JSON, as place_and_cancel.ts does. It runs in the environment of the generator.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import sys

from order_client import Client
from order_client.api.orders import cancel_order, place_order, show_order
from order_client.models import Order, OrderRequest, Problem


def main(url: str, key: str) -> None:
    client = Client(base_url=url)
    request = OrderRequest(customer_id="C123", product_id="P001", quantity=2)
    placed = place_order.sync(client=client, body=request, idempotency_key=key)
    repeated = place_order.sync_detailed(client=client, body=request, idempotency_key=key)
    assert isinstance(placed, Order)
    cancelled = cancel_order.sync(placed.order_id, client=client)
    shown = show_order.sync(placed.order_id, client=client)
    unknown = OrderRequest(customer_id="C123", product_id="P999", quantity=1)
    rejected = place_order.sync(client=client, body=unknown)
    assert isinstance(rejected, Problem)
    found = {
        "placed": placed.status.value,
        "total": placed.total_price,
        "repeated": [repeated.parsed.order_id == placed.order_id, repeated.status_code.value],
        "cancelled": cancelled.status.value,
        "shown": shown.status.value,
        "rejected": [rejected.type_, rejected.product_ids],
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
