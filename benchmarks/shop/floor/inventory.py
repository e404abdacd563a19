"""A hello world that reads what a reservation reads, and writes what it writes."""

from __future__ import annotations

import flask
import functions_framework
from google.cloud import firestore

client = firestore.Client()


@functions_framework.http
def inventory(request: flask.Request) -> flask.Response:
    if request.method == "GET":  # whether it is up
        return flask.Response()
    order_id = request.path.rsplit("/", 1)[1]
    product = client.document("floor_products", "P")
    reservation = client.document("floor_reservations", order_id)
    list(client.get_all([product, reservation]))
    batch = client.batch()
    batch.set(product, {"name": "Laptop", "price": 99999, "available": 1, "reserved": 1})
    batch.create(reservation, {"status": "held", "lines": [{"product_id": "P", "quantity": 1}]})
    batch.commit()
    return flask.jsonify(reservation_id=order_id)
