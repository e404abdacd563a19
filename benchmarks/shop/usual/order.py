"""Entry point of order in the usual design, beside functions/order/main.py."""

from __future__ import annotations

import os

import flask
import functions_framework

from benchmarks.shop.usual.transactions import OrderStore
from functions_common.firestore import Connection
from order_function.http import create_app
from order_function.inventory_client import InventoryClient
from order_function.service import Orders
from order_function.settings import Settings

settings = Settings.load(os.environ)
connection = Connection(settings.firestore)
connection.prepare()
inventory = InventoryClient(
    settings.inventory_service_url, settings.token, settings.server.concurrency
)
app = create_app(
    settings, Orders(OrderStore(connection), inventory, settings.request_deadline_seconds)
)


@functions_framework.http
def order(request: flask.Request) -> flask.Response:
    return flask.Response.from_app(app, request.environ)
