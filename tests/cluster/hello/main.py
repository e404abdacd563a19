"""The least that functions-framework can serve: what a cold start costs without our code."""

import flask
import functions_framework


@functions_framework.http
def hello(_: flask.Request) -> str:
    return "Hello"
