"""From functions-framework's app to the one that gunicorn serves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import functions_framework
from gunicorn.arbiter import Arbiter
from werkzeug.exceptions import HTTPException

from functions_common import logs
from functions_common.settings import SettingsError

if TYPE_CHECKING:
    from flask import Flask


def create_app(target: str, source: str) -> Flask:
    """The framework's app, handing every path to the function as it was sent.

    Left to itself it answers ``/orders//x`` with a redirect, and what it does not hand on
    (/favicon.ico, /robots.txt, /static/…, a path with a line break) with pages of its own.
    """
    try:
        app: Flask = functions_framework.create_app(target, source)  # type: ignore[no-untyped-call]
    except SettingsError as error:  # found when what it names is opened, not before
        logs.fatal(f"Cannot start: {error}")
        sys.exit(Arbiter.APP_LOAD_ERROR)  # by which gunicorn knows not to try again
    app.url_map.merge_slashes = False
    hand_on: Any = app.view_functions["run"]
    app.register_error_handler(HTTPException, lambda _: hand_on(path=""))
    return app
