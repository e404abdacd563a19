"""Hostile callers through the real server: forged tokens, and tricks with headers and paths."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from support.clients.hostile_tokens import HOSTILE
from support.in_process.apps import OPERATOR
from support.peers import tokens
from support.processes.shop import TIMEOUT, Shop

from functions_common.http_server.received_request import MAX_HEADERS

pytestmark = pytest.mark.one_emulator


@pytest.fixture(scope="module")
def shop(which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if which == "official":
        pytest.skip("one emulator is enough: permissions are checked before the database is read")
    folder: Path = tmp_path_factory.mktemp("logs")
    with (
        tokens.serving(tokens.key_set()) as address,
        Shop(emulator, folder, **tokens.environment(jwks_url=address)) as shop,
    ):
        shop.offer("P001", 50)
        yield shop


def raw(shop: Shop, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, bytes]:
    """The status and the body. Headers may be repeated, and the path is sent unchanged."""
    connection = http.client.HTTPConnection(urlsplit(shop.orders[0]).netloc, timeout=TIMEOUT)
    connection.putrequest(method, path)
    for header in headers:
        connection.putheader(*header)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def authorization(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def test_valid_token_is_accepted_with_fetched_keys(shop: Shop) -> None:
    assert raw(shop, "GET", "/orders", authorization(tokens.token()))[0] == 200


def test_hostile_token_is_rejected_and_changes_nothing(shop: Shop) -> None:
    before = shop.documents()
    for name, make in HOSTILE.items():
        token = make()
        answer = requests.post(
            f"{shop.orders[0]}/orders",
            json={"product_id": "P001", "quantity": 1},
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )
        expected = 431 if len(token) > MAX_HEADERS else 401
        assert answer.status_code == expected, name
    assert shop.documents() == before


def test_token_is_rejected_when_there_are_two_authorization_headers(shop: Shop) -> None:
    """A proxy may have checked one of them, and the function the other."""
    good, other = authorization(tokens.token("C1")), authorization(tokens.token("C2"))
    for pair in (
        (good, other),
        (good, good),
        (good, authorization("")),
        (good, authorization("x")),
    ):
        assert raw(shop, "GET", "/orders", *pair)[0] == 401
    operator = authorization(OPERATOR)
    fulfil = "/orders/ORD" + "0" * 26 + "/fulfil"
    assert raw(shop, "POST", fulfil, operator, ("Content-Length", "0"))[0] == 404
    assert raw(shop, "POST", fulfil, operator, operator, ("Content-Length", "0"))[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        ("HTTP_AUTHORIZATION", "Bearer {}"),
        ("X-Forwarded-Authorization", "Bearer {}"),
        ("Proxy-Authorization", "Bearer {}"),
        ("Authorization_", "Bearer {}"),
        ("Cookie", "Authorization=Bearer {}"),
        ("Authorization", "Basic {}"),
        ("Authorization", "{}"),
        ("X-Customer-Id", "C1"),
        ("X-Forwarded-User", "C1"),
        ("X-Goog-Authenticated-User-Id", "C1"),
        ("Remote-User", "C1"),
    ],
)
def test_token_is_ignored_outside_of_its_header(shop: Shop, header: tuple[str, str]) -> None:
    name, value = header
    assert raw(shop, "GET", "/orders", (name, value.format(tokens.token())))[0] == 401
    for query in ("access_token", "customer_id"):
        assert raw(shop, "GET", f"/orders?{query}=C1")[0] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//orders", 401),
        ("/orders/", 404),
        ("/./orders", 404),
        ("/health/../orders", 404),
        ("/health/%2e%2e/orders", 404),
        ("/health%2f..%2forders", 404),
        ("/health;/orders", 404),
        ("/health#/orders", 200),  # a client does not send the fragment: /health
        ("/%6frders", 401),
        ("/ORDERS", 404),
        ("/orders%00", 404),
        ("/orders/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/page.js/../../../settings.py", 404),
        ("http://inventory/orders", 401),
    ],
)
def test_token_is_required_for_every_spelling_of_a_path(shop: Shop, path: str, status: int) -> None:
    found, body = raw(shop, "GET", path)
    assert found == status, body
    assert b'"orders":' not in body


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("HEAD", 401),
        ("OPTIONS", 200),  # only says which methods there are
        ("PUT", 405),
        ("PATCH", 405),
        ("TRACE", 405),
        ("get", 400),  # a method is case-sensitive
        ("DELETE", 405),
    ],
)
def test_token_is_required_for_every_method(shop: Shop, method: str, status: int) -> None:
    override = ("X-HTTP-Method-Override", "GET")
    found, body = raw(shop, method, "/orders", override)
    assert found == status, body
    assert b'"orders":' not in body
    assert method != "OPTIONS" or body == b""


def test_every_response_has_headers_for_browsers_and_caches(shop: Shop) -> None:
    token = {"Authorization": f"Bearer {tokens.token()}"}
    for path in ("/orders", "/products", "/health", "/openapi.json", "/nowhere", "/orders/x"):
        for shown in (token, {}):
            answer = requests.get(shop.orders[0] + path, headers=shown, timeout=TIMEOUT)
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/", "/page.css", "/page.js", "/icon.svg", "/docs"):
        answer = requests.get(shop.orders[0] + path, headers={"Accept": "text/html"}, timeout=30)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        policy = dict(
            part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
        )
        for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
            assert policy[name] == "'none'"
        assert "unsafe" not in json.dumps(policy)
        assert "*" not in json.dumps(policy)
