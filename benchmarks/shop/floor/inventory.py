"""A hello world with the reads and writes of a reservation."""

from __future__ import annotations

import flask
from google.cloud import firestore

client = firestore.Client()


app = flask.Flask(__name__)


@app.get("/health")
def show_health() -> flask.Response:
    return flask.Response()


@app.put("/reservations/<order_id>")
def put_reservation(order_id: str) -> flask.Response:
    product = client.document("floor_products", "P")
    reservation = client.document("floor_reservations", order_id)
    list(client.get_all([product, reservation]))
    batch = client.batch()
    batch.set(product, {"name": "Laptop", "price": 99999, "available": 1, "reserved": 1})
    batch.create(reservation, {"status": "held", "lines": [{"product_id": "P", "quantity": 1}]})
    batch.commit()
    return flask.jsonify(reservation_id=order_id)
