"""Entry point of the inventory function.

``functions/serve.py`` serves ``app``. ``functions-framework --target inventory`` serves it as well.
"""

import os

import flask
import functions_framework

from inventory_function.app import create_app
from inventory_function.settings import Settings

app = create_app(Settings.load(os.environ))


@functions_framework.http
def inventory(request: flask.Request) -> flask.Response:
    return flask.Response.from_app(app, request.environ)
