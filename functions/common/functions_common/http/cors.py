"""CORS: lets pages of the allowed origins call the function from a browser (docs/integrate.md).

The module is imported only if origins are allowed. Requests never carry cookies or other
credentials of the browser: ``Access-Control-Allow-Credentials`` is not sent.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, request

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Prefer",
    "traceparent",
)
"""Headers that a page may send. A test checks that they include all headers of the API."""
RESPONSE_HEADERS = (
    "Allow",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Not-Begun",
    "X-Pod",
    "X-Revision",
    "X-Trace-Id",
)
"""Headers that a page may read. A test checks that they include all headers of the responses."""
MAX_AGE_SECONDS = 7200
"""The longest that Chromium stores the response to a preflight."""


class Cors:
    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, origin: str | None) -> dict[str, str]:
        """The headers of a response to a page of this origin; none if it is not allowed."""
        if origin not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": ", ".join(RESPONSE_HEADERS),
        }

    def complete(self, response: Response) -> Response:
        """A hook of the Flask app: add the headers. A preflight gets 204 instead of Flask's 200."""
        response.vary.add("Origin")
        headers = self.headers(request.headers.get("Origin"))
        if _is_preflight() and response.status_code == HTTPStatus.OK:
            response.status_code = HTTPStatus.NO_CONTENT
            response.headers.pop("Content-Type", None)
            if headers:
                headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
                headers["Access-Control-Allow-Headers"] = ", ".join(REQUEST_HEADERS)
                headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
        response.headers.update(headers)
        return response


def _is_preflight() -> bool:
    """Browsers send one before a request that an HTML form could not make."""
    names = ("Origin", "Access-Control-Request-Method")
    return request.method == "OPTIONS" and all(name in request.headers for name in names)
