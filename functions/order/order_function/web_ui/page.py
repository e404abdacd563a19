"""Serves the shop page at ``/``: files that are read when they are first requested.

The page is a client of order's API, so this module contains nothing about orders.
"""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Response

from functions_common.http.parsing import prefers
from functions_common.http.routing import HTML, JSON, Operation, ResponseSpec

if TYPE_CHECKING:
    from flask import Request

FOLDER = Path(__file__).parent / "pages"

_FILES = {
    "/": ("index.html", HTML),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
_HEADERS = {
    "Cache-Control": "no-cache",  # the browser stores it, and revalidates it by ETag
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Referrer-Policy": "no-referrer",
}


def _operation(name: str, path: str, summary: str) -> Operation:
    return Operation(
        name,
        "GET",
        path,
        summary,
        {HTTPStatus.OK: ResponseSpec("The file.", str, content_type=_FILES[path][1])},
        is_documented=False,
        ignores_unknown_query=True,
    )


OPERATIONS = (
    _operation("show_page", "/", "The shop page"),
    _operation("show_page_style", "/page.css", "The style of the page"),
    _operation("show_page_script", "/page.js", "The script of the page"),
    _operation("show_page_icon", "/icon.svg", "The icon of the page"),
)


class HtmlNotAcceptedError(Exception):
    """The client does not prefer HTML to JSON."""


class Page:
    def show_if_html_accepted(self, request: Request) -> Response:
        if not prefers(request, HTML, JSON):
            raise HtmlNotAcceptedError(
                "This path has an HTML page only, and the request does not prefer HTML. See"
                " /openapi.json for the API."
            )
        response = self.show(request)
        response.vary.add("Accept")
        return response

    def show(self, request: Request) -> Response:
        content, digest = _read(request.path)
        response = Response(content, content_type=f"{_FILES[request.path][1]}; charset=utf-8")
        response.headers.update(_HEADERS)
        response.set_etag(digest)
        response.make_conditional(request)
        return response


@cache
def _read(path: str) -> tuple[bytes, str]:
    content = (FOLDER / _FILES[path][0]).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:32]
