"""The page for people at ``/``: files beside this one, which are read when first asked for.

It is a client of order's API like any other, so nothing here knows of orders.
"""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Response

from functions_common.http.routing import HTML, JSON, Answer, Operation, ProblemType

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
    "Cache-Control": "no-cache",  # kept by the browser, and asked for again: by ETag, for 304
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Referrer-Policy": "no-referrer",
}


def _operation(
    name: str, path: str, summary: str, *headers: str, problems: tuple[ProblemType, ...] = ()
) -> Operation:
    of_all = ("Content-Security-Policy", "ETag", *headers)
    return Operation(
        name,
        "GET",
        path,
        summary,
        {
            HTTPStatus.OK: Answer("The file", str, of_all, _FILES[path][1]),
            HTTPStatus.NOT_MODIFIED: Answer("The one that the client has", None, of_all),
        },
        problems=problems,
        ignores_unknown_query=True,
    )


OPERATIONS = (
    _operation(
        "show_page",
        "/",
        "The shop as a page for people, where `Accept` prefers text/html to JSON",
        "Vary",
        problems=(
            ProblemType(
                HTTPStatus.NOT_FOUND,
                None,
                "There is only the page, and it is not wanted",
                ("Vary",),
            ),
        ),
    ),
    _operation("show_page_style", "/page.css", "How the page looks"),
    _operation("show_page_script", "/page.js", "What the page does"),
    _operation("show_page_icon", "/icon.svg", "The page's icon"),
)


class PageNotWantedError(Exception):
    """The client has not asked for HTML."""


class Page:
    def show_to_people(self, request: Request) -> Response:
        accepted = request.accept_mimetypes
        if accepted[HTML] <= accepted[JSON]:
            raise PageNotWantedError("There is a page for people here, and /openapi.json for you.")
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
