"""From functions-framework's app to the one that gunicorn serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import functions_framework

if TYPE_CHECKING:
    from flask import Flask


def create_app(target: str, source: str) -> Flask:
    """The framework's app, handing every path to the function as it was sent.

    Left to itself it answers ``/orders//x`` with a redirect of its own, in HTML.
    """
    app: Flask = functions_framework.create_app(target, source)  # type: ignore[no-untyped-call]
    app.url_map.merge_slashes = False
    return app
