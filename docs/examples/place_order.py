"""Place an order once: ``python place_order.py http://localhost:8080 C123 P001 2``."""

import json
import random
import sys
import time
import uuid

import requests

TIMEOUT = 25  # seconds for one request, above order's longest deadline of 19
GIVE_UP = 900  # seconds; a pending order is decided within ten minutes of inventory's return


class RefusedError(Exception):
    """The shop has refused the order. The argument is the problem document or the rejection."""


def send(method: str, url: str, give_up_at: float, **arguments: object) -> requests.Response:
    """Send until there is a decision. Repeating is safe: each repeat has the same key."""
    pause = 0.5
    while True:
        try:
            response = requests.request(method, url, timeout=TIMEOUT, **arguments)  # type: ignore[arg-type]
        except requests.RequestException:
            retry_after = "0"  # no response: the order may have been placed
        else:
            if response.status_code < 400:
                return response
            if response.status_code < 500 and response.status_code != 408:
                raise RefusedError(response.json())
            retry_after = response.headers.get("Retry-After", "0")
        wait = max(pause * random.uniform(0.5, 1), int(retry_after))
        if time.monotonic() + wait > give_up_at:
            raise TimeoutError(url)
        time.sleep(wait)
        pause = min(2 * pause, 10)


def place_order(shop: str, body: dict[str, object], key: str) -> dict[str, object]:
    """Return the confirmed order. Store ``key`` with the basket before the first call."""
    give_up_at = time.monotonic() + GIVE_UP
    headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
    response = send("POST", f"{shop}/orders", give_up_at, json=body, headers=headers)
    order: dict[str, object] = response.json()
    while order["status"] == "pending" and time.monotonic() < give_up_at:  # after a 202
        time.sleep(5)
        order = send("GET", f"{shop}/orders/{order['order_id']}", give_up_at).json()
    if order["status"] != "confirmed":
        raise RefusedError(order.get("rejection") or order)
    return order


if __name__ == "__main__":
    shop, customer_id, product_id, quantity = sys.argv[1:]
    body = {"customer_id": customer_id, "product_id": product_id, "quantity": int(quantity)}
    try:
        print(json.dumps(place_order(shop, body, str(uuid.uuid4()))))
    except RefusedError as error:
        sys.exit(json.dumps(error.args[0]))
