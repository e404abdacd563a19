"""Protect the emulator's own calls against web pages.

A browser on the same machine or network can reach the emulator, so any page that it shows could end
or read it. Two cases:

- A page of another site sends a request. The browser says so in ``Origin`` or ``Sec-Fetch-Site``.
- DNS rebinding: the name of a page's own site resolves to the emulator's address, so to the browser
  the request stays on the site. Its ``Host`` is a name that somebody could register.

Programs other than browsers send no ``Origin``. A browser always sends it with a method other than
GET or HEAD, so such a request without it comes from another program, and its ``Host`` may be any.
"""

import ipaddress
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from firestore_emulator.http_api.messages import HttpError, Request

# Reserved names: loopback, Kubernetes and private zones. A name without a dot is one too.
_PRIVATE_SUFFIXES = (".localhost", ".svc", ".cluster.local", ".internal", ".test")
_OWN_REQUESTS = frozenset({"same-origin", "none"})  # none: the user typed the URL
_WITHOUT_ORIGIN = frozenset({"GET", "HEAD"})


class Origins:
    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed_hosts = frozenset(map(_normalized, allowed_hosts))

    def check(self, request: Request) -> None:
        """Raises HttpError with status 403 if the request may come from a web page."""
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site")
        host = request.headers.get("host", "")
        if site is not None and site not in _OWN_REQUESTS:
            raise _forbidden("Web pages of other origins cannot use this call.")
        if origin is not None and _authority(origin) != host.lower():
            raise _forbidden(f"The page {origin} cannot use this call: it has another origin.")
        is_browser = origin is not None or site is not None
        if (is_browser or request.method in _WITHOUT_ORIGIN) and not self._is_trusted(host):
            raise _forbidden(
                f"{host} could be the name of a web page's site. If it is a name of this emulator,"
                " start the emulator with --allowed-host=NAME, or use its IP address."
            )

    def _is_trusted(self, host: str) -> bool:
        """Whether no web page can have this host. A browser never omits it."""
        name = _normalized(_without_port(host))
        return (
            "." not in name
            or _is_ip_address(name)
            or name.endswith(_PRIVATE_SUFFIXES)
            or name in self._allowed_hosts
        )


def _forbidden(message: str) -> HttpError:
    return HttpError(HTTPStatus.FORBIDDEN, message)


def _authority(origin: str) -> str:
    """HOST:PORT of an origin; empty for ``null``."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _normalized(name: str) -> str:
    return name.lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
