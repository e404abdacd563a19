"""The way to an issuer's keys, over HTTP: what is not a whole key set of its own is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import tokens

from functions_common.callers import IssuerUnavailableError
from functions_common.key_set import MAX_BYTES, KeySet, of_url

KEYS = tokens.key_set()


@contextmanager
def issuer(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """Its address; with this one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for header in headers.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_its_keys_are_found() -> None:
    with issuer(200, {}, KEYS) as url:
        assert KeySet(of_url(url)).key("1")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, KEYS),
        (500, {}, KEYS),
        (200, {}, b"<html>Sign in</html>"),
        (200, {"Content-Length": str(len(KEYS) + 1)}, KEYS),
        (200, {"Content-Encoding": "gzip"}, KEYS),
        (200, {"Transfer-Encoding": "chunked"}, b"zz\r\n" + KEYS),
        (200, {}, b" " * MAX_BYTES + KEYS),
    ],
)
def test_what_is_not_a_key_set_is_an_issuer_that_is_away(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    with issuer(status, headers, body) as url, pytest.raises(IssuerUnavailableError):
        KeySet(of_url(url)).key("1")


def test_keys_are_taken_from_no_other_address() -> None:
    with (
        issuer(200, {}, KEYS) as other,
        issuer(302, {"Location": other}, b"") as url,
        pytest.raises(IssuerUnavailableError),
    ):
        KeySet(of_url(url)).key("1")
