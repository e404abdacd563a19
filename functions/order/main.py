"""Entry point of the order function.

``functions/serve.py`` serves ``app``. ``functions-framework --target order`` serves it as well.
"""

import os

import flask
import functions_framework

from order_function.app import create_app
from order_function.settings import Settings

app = create_app(Settings.load(os.environ))


@functions_framework.http
def order(request: flask.Request) -> flask.Response:
    return flask.Response.from_app(app, request.environ)
