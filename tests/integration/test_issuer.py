"""The way to an issuer's keys, over HTTP: what is not a whole key set of its own is none."""

from __future__ import annotations

import pytest
from support import tokens

from functions_common.callers import IssuerUnavailableError
from functions_common.key_set import MAX_BYTES, KeySet, of_url

KEYS = tokens.key_set()


def test_its_keys_are_found() -> None:
    with tokens.serving(KEYS) as url:
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
    with tokens.serving(body, status, headers) as url, pytest.raises(IssuerUnavailableError):
        KeySet(of_url(url)).key("1")


def test_keys_are_taken_from_no_other_address() -> None:
    with (
        tokens.serving(KEYS) as other,
        tokens.serving(b"", 302, {"Location": other}) as url,
        pytest.raises(IssuerUnavailableError),
    ):
        KeySet(of_url(url)).key("1")
