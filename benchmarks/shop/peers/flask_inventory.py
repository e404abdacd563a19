"""inventory with Flask and psycopg: a pool, and one transaction for each reservation."""

from __future__ import annotations

import os

from flask import Flask, Response, jsonify, request
from psycopg import errors
from psycopg_pool import ConnectionPool

from benchmarks.shop.peers import statements

app = Flask(__name__)
pool = ConnectionPool(os.environ["DATABASE"], min_size=4, max_size=16, open=True)


@app.get("/health")
def health() -> Response:
    return jsonify(status="ok")


@app.put("/reservations/<order_id>")
def reserve(order_id: str) -> tuple[Response, int]:
    body = request.get_json()
    product_id, quantity = body["product_id"], body["quantity"]
    try:
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(statements.TAKE, (quantity, quantity, product_id, quantity))
            taken = cursor.fetchone()
            if taken is None:
                return jsonify(error="insufficient stock"), 409
            cursor.execute(statements.RESERVE, (order_id, product_id, quantity, *taken))
    except errors.UniqueViolation:  # a repeat: the transaction has given its units back
        with pool.connection() as connection:
            taken = connection.execute(statements.FIND_RESERVATION, (order_id,)).fetchone()
            assert taken is not None  # noqa: S101 - the violation shows it
    price, name = taken
    return jsonify(product_id=product_id, quantity=quantity, price=float(price), name=name), 201
