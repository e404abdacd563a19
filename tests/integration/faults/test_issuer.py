"""The HTTP fetch of an issuer's keys: only a whole key set from its own address is accepted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from local import stack
from local import tokens as shared_tokens
from support.peers import tokens

from firestore_emulator.launcher import free_port
from functions_common.http.auth.callers import IssuerUnavailableError
from functions_common.http.auth.jwks import MAX_BYTES, KeySet, fetch_from_url

if TYPE_CHECKING:
    from pathlib import Path

KEYS = tokens.key_set()


def test_key_set_is_fetched() -> None:
    with tokens.serving(KEYS) as url:
        assert KeySet(fetch_from_url(url)).key("1")


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
def test_issuer_is_unavailable_when_its_response_is_no_key_set(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    with tokens.serving(body, status, headers) as url, pytest.raises(IssuerUnavailableError):
        KeySet(fetch_from_url(url)).key("1")


def test_keys_are_fetched_from_no_other_address() -> None:
    with (
        tokens.serving(KEYS) as other,
        tokens.serving(b"", 302, {"Location": other}) as url,
        pytest.raises(IssuerUnavailableError),
    ):
        KeySet(fetch_from_url(url)).key("1")


def test_start_fails_with_one_line_when_the_key_file_has_no_key(
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    settings = {
        "GOOGLE_CLOUD_PROJECT": "test",
        "INVENTORY_SERVICE_URL": "http://127.0.0.1:1",
        **shared_tokens.variables("token-of-the-order-function", "token-of-an-operator"),
        "AUTH_MODE": "required",
        "AUTH_ISSUER": "https://issuer.example",
        "AUTH_AUDIENCE": "shop",
        "AUTH_KEYS_FILE": str(keys),
    }
    order = stack.function("order", free_port(), settings, tmp_path)
    order.start()
    try:
        assert order.wait() != 0
    finally:
        order.stop()
    said = [json.loads(line) for line in order.log.read_text().splitlines()]
    fatal = [line["message"] for line in said if line["severity"] == "CRITICAL"]
    assert fatal == ["Cannot start: AUTH_KEYS_FILE cannot be used: not a JSON Web Key Set"]
    assert not any("stack_trace" in line for line in said)
