"""A hello world that calls the other one, then makes the write of an order."""

from __future__ import annotations

import os
import uuid

import flask
import requests
from google.cloud import firestore

client = firestore.Client()
session = requests.Session()
session.trust_env = False
inventory_url = os.environ["INVENTORY_SERVICE_URL"]


app = flask.Flask(__name__)


@app.get("/health")
def show_health() -> flask.Response:
    return flask.Response()


@app.post("/orders")
def place_order() -> flask.Response:
    line = flask.request.get_json()
    order_id = uuid.uuid4().hex
    session.put(
        f"{inventory_url}/reservations/{order_id}", json={"items": [line]}, timeout=10
    ).raise_for_status()
    client.document("floor_orders", order_id).create({**line, "status": "confirmed"})
    response = flask.jsonify(order_id=order_id)
    response.status_code = 201
    return response
