"""Place an order once: ``python place_order.py http://localhost:8080 C123 P001 2``.

With a fifth argument, hold the stock for so many seconds, and confirm the payment with the token in
PAYMENT_TOKEN. Needs the package ``requests``.
"""

import json
import os
import random
import sys
import time
import uuid

import requests

TIMEOUT = 25  # seconds for one request, above order's longest deadline of 19
GIVE_UP = 900  # seconds; a pending order is decided within ten minutes of inventory's return


FINAL_ERRORS = ("rejected-by-database", "damaged-document")
"""The ends of the types of problems with status 500 that a repeat cannot solve."""


class RefusedError(Exception):
    """The shop has rejected the order. The argument is the problem document or the rejection."""


class UndecidedError(Exception):
    """There is no decision yet. Keep the payment, and repeat later with the same key."""


def send(method: str, url: str, give_up_at: float, **arguments: object) -> requests.Response:
    """Send until there is a decision. Repeating is safe: each repeat has the same key.

    Raises ValueError if the request itself is wrong, such as its URL: no repeat can help.
    """
    pause = 0.5
    while True:
        try:
            response = requests.request(method, url, timeout=TIMEOUT, **arguments)  # type: ignore[arg-type]
        except requests.RequestException as error:
            if isinstance(error, ValueError):
                raise
            cause, retry_after = "no response", "0"  # the order may have been placed
        else:
            if response.status_code < 400:
                return response
            problem = problem_of(response)
            repeat = response.status_code == 408 or has_type(problem, "newer-revision")
            if response.status_code < 500 and not repeat:
                raise RefusedError(problem)
            if has_type(problem, *FINAL_ERRORS):
                raise UndecidedError(problem)  # an operator must repair the shop first
            cause = f"status {response.status_code}"
            retry_after = response.headers.get("Retry-After", "0")
        wait = max(pause * random.uniform(0.5, 1), int(retry_after) if retry_after.isdigit() else 0)
        if time.monotonic() + wait > give_up_at:
            raise UndecidedError({"detail": f"no decision in time: {url}"})
        print(f"No decision yet ({cause}). Next try in {wait:.1f} s.", file=sys.stderr)
        time.sleep(wait)
        pause = min(2 * pause, 10)


def problem_of(response: requests.Response) -> dict[str, object]:
    """The problem document. A gateway may send HTML instead: then the status alone."""
    try:
        problem: dict[str, object] = response.json()
    except ValueError:
        return {"status": response.status_code}
    return problem


def has_type(problem: dict[str, object], *ends: str) -> bool:
    return str(problem.get("type")).endswith(ends)


def place_order(shop: str, body: dict[str, object], key: str) -> dict[str, object]:
    """Return the order. Store ``key`` with the basket before the first call.

    The order is ``confirmed``, or ``awaiting_payment`` if the body has ``hold_seconds``, unless a
    repeat of an earlier request finds that it has changed since.
    """
    give_up_at = time.monotonic() + GIVE_UP
    headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
    response = send("POST", f"{shop}/orders", give_up_at, json=body, headers=headers)
    order: dict[str, object] = response.json()
    while order["status"] == "pending" and time.monotonic() < give_up_at:  # after a 202
        time.sleep(5)
        order = send("GET", f"{shop}/orders/{order['order_id']}", give_up_at).json()
    if order["status"] == "pending":
        raise UndecidedError(order)
    if order["status"] == "rejected":
        raise RefusedError(order["rejection"])
    return order


def confirm_payment(shop: str, order_id: object, token: str) -> dict[str, object]:
    """Confirm that the order is paid, and return it.

    Refund the payment if RefusedError has the type ``order-expired`` or ``not-confirmable``.
    """
    url, headers = f"{shop}/orders/{order_id}/confirm", {"Authorization": f"Bearer {token}"}
    order: dict[str, object]
    order = send("POST", url, time.monotonic() + GIVE_UP, headers=headers).json()
    return order


if __name__ == "__main__":
    numbers = sys.argv[4:]
    if len(sys.argv) not in (5, 6) or not all(each.isdigit() for each in numbers):
        sys.exit(__doc__)
    shop, customer_id, product_id, quantity, *hold = sys.argv[1:]
    body = {"customer_id": customer_id, "product_id": product_id, "quantity": int(quantity)}
    if hold:
        body["hold_seconds"] = int(hold[0])
    token = os.environ.get("PAYMENT_TOKEN", "")
    if hold and not (token and token.isascii()):
        sys.exit("Set PAYMENT_TOKEN to the token of the payment service. Nothing was ordered.")
    try:
        order = place_order(shop, body, str(uuid.uuid4()))
        if hold:  # here the customer pays
            order = confirm_payment(shop, order["order_id"], token)
        print(json.dumps(order))
    except (RefusedError, UndecidedError) as error:
        sys.exit(json.dumps(error.args[0]))
    except ValueError as error:
        sys.exit(f"The request is wrong: {error}. The shop's URL begins with http:// or https://")
