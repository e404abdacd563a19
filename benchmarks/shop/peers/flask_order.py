"""order with Flask, psycopg and requests."""

from __future__ import annotations

import os
import threading

import requests
from flask import Flask, Response, jsonify, request
from psycopg_pool import ConnectionPool

from benchmarks.shop.peers import statements

TIMEOUT = 10

app = Flask(__name__)
pool = ConnectionPool(os.environ["DATABASE"], min_size=4, max_size=16, open=True)
sessions = threading.local()


def session() -> requests.Session:
    """A session of this thread: ``requests`` does not promise that threads can share one."""
    if not hasattr(sessions, "own"):
        sessions.own = requests.Session()
    found: requests.Session = sessions.own
    return found


@app.get("/health")
def health() -> Response:
    return jsonify(status="ok")


@app.post("/orders")
def place() -> tuple[Response, int]:
    body, key = request.get_json(), request.headers.get("Idempotency-Key")
    if key is None:
        return jsonify(error="Idempotency-Key is required"), 400
    customer_id, product_id, quantity = body["customer_id"], body["product_id"], body["quantity"]
    if not isinstance(quantity, int) or quantity < 1:
        return jsonify(error="quantity must be a positive integer"), 422
    order_id = statements.order_id(customer_id, key)
    url = f"{os.environ['INVENTORY_URL']}/reservations/{order_id}"
    reserved = session().put(
        url, json={"product_id": product_id, "quantity": quantity}, timeout=TIMEOUT
    )
    if reserved.status_code != 201:  # noqa: PLR2004 - created
        return jsonify(reserved.json()), reserved.status_code
    total = reserved.json()["price"] * quantity
    with pool.connection() as connection:
        new = connection.execute(
            statements.PLACE, (order_id, customer_id, key, product_id, quantity, total)
        ).fetchone()
        if new is None:
            found = connection.execute(statements.FIND_ORDER, (customer_id, key)).fetchone()
            assert found is not None  # noqa: S101 - the conflict shows it
            order_id, customer_id, product_id, quantity, _, total = found
    placed = {
        "order_id": order_id,
        "customer_id": customer_id,
        "product_id": product_id,
        "quantity": quantity,
        "status": "confirmed",
        "total_price": float(total),
    }
    return jsonify(placed), 201
