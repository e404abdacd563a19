"""Access to inventory: tests each cell of the table in docs/api.md."""

import re
from functools import cache
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from local import tokens
from support.in_process.apps import OPERATOR, ORDER, inventory_app
from support.stores.builders import stocked

API = (Path(__file__).parents[3] / "docs/api.md").read_text()
TOKENS = {"order": ORDER, "operator": OPERATOR}


def documented() -> list[tuple[str, str, str | None]]:
    """Method, path, and the caller that the table names for it."""
    _, _, inventory = API.partition("## inventory")
    rows = re.findall(r"^\| `([A-Z]+) ([^?`]+)[^`]*` \| (?:\*(\w+)\.\*)?", inventory, re.MULTILINE)
    return [(method, re.sub(r"{\w+}", "P001", path), who or None) for method, path, who in rows]


def status(method: str, path: str, authorization: str | None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    return client().open(path, method=method, headers=headers).status_code


@cache
def client() -> FlaskClient:
    return inventory_app(stocked(P001=1)).test_client()


def test_api_table_lists_every_route_of_inventory() -> None:
    rules = [rule for rule in inventory_app(stocked()).url_map.iter_rules() if rule.methods]
    routes = {
        (method, re.sub(r"<\w+>", "P001", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in documented()} == routes


@pytest.mark.parametrize(("method", "path", "caller"), documented())
def test_each_caller_gets_the_status_of_the_api_table(
    method: str, path: str, caller: str | None
) -> None:
    refused_to_strangers = {401} if caller else set()
    assert {status(method, path, None)} & {401, 403} == refused_to_strangers
    for shown in ("Bearer", "Bearer ", "Bearer nobody-gave-this-out", f"Basic {ORDER}", ORDER):
        assert {status(method, path, shown)} & {401, 403} == refused_to_strangers
    for name, token in TOKENS.items():
        expected = {403} if caller and caller != name else set()
        assert {status(method, path, f"Bearer {token}")} & {401, 403} == expected


def test_unauthenticated_response_names_the_scheme() -> None:
    answer = inventory_app(stocked()).test_client().put("/reservations/R")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("token", ["", "fifteen-letters"])
def test_short_token_is_rejected_although_its_hash_is_accepted(token: str) -> None:
    app = inventory_app(stocked(), order_tokens=(token,))
    headers = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/reservations/R", headers=headers).status_code == 401


@pytest.mark.parametrize("caller", ["order", "operator"])
def test_hash_is_rejected_as_a_token(caller: str) -> None:
    path = "/reservations/R" if caller == "order" else "/products/P001/adjustments"
    shown = {"Authorization": f"Bearer {tokens.hashes(TOKENS[caller])}"}
    assert inventory_app(stocked()).test_client().get(path, headers=shown).status_code == 401


def test_old_and_new_token_are_accepted_during_a_change() -> None:
    app = inventory_app(stocked(), order_tokens=("the-token-of-yesterday", "the-token-of-today"))
    for token in ("the-token-of-yesterday", "the-token-of-today"):
        headers = {"Authorization": f"Bearer {token}"}
        assert app.test_client().get("/reservations/R", headers=headers).status_code == 404
