"""Serve the data viewer: static files that are read when they are first requested."""

from functools import cache
from http import HTTPStatus
from pathlib import Path

from firestore_emulator.http_api.messages import Response

HTML = "text/html"
PREFIX = "/emulator/viewer/"

_FOLDER = Path(__file__).parent / "pages"
_INDEX = "index.html"
_TYPES = {
    ".html": HTML,
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
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
    "trusted-types": "'none'",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def prefers_html(accept: str) -> bool:
    """Whether a client with this Accept header wants a page rather than plain text."""
    return _quality(accept, HTML) > _quality(accept, "text/plain")


def index() -> Response:
    return _response(_INDEX)


def find(path: str) -> Response | None:
    """The file of the viewer at this path, or None."""
    name = path.removeprefix(PREFIX)
    return _response(name) if name != path and name in _names() else None


def _response(name: str) -> Response:
    content_type = f"{_TYPES[Path(name).suffix]}; charset=utf-8"
    return Response(HTTPStatus.OK, content_type, _content(name), _HEADERS)


@cache
def _names() -> frozenset[str]:
    return frozenset(file.name for file in _FOLDER.iterdir() if file.suffix in _TYPES)


@cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _quality(accept: str, media_type: str) -> float:
    """The q of the most specific range that covers the media type; 0 without one."""
    ranges = dict(map(_media_range, accept.split(",")))
    main_type = media_type.partition("/")[0]
    for each in (media_type, f"{main_type}/*", "*/*"):
        if each in ranges:
            return ranges[each]
    return 0.0


def _media_range(entry: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_range, float(value)
            except ValueError:
                return media_range, 0.0
    return media_range, 1.0
