"""Customers with tokens reach only their own orders, and no other token is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.clients.hostile_tokens import FUTURE, HOSTILE, PAST
from support.in_process.apps import OPERATOR, order_app
from support.peers import tokens
from support.peers.tokens import ec_key, entry, rsa_key, shown, token
from support.stores.fakes import FakeInventory, MemoryOrders

from functions_common.http.auth import jwks
from functions_common.http.auth.issuer import create_issuer
from functions_common.runtime.settings import IssuerSettings, SettingsError

OTHERS_ORDER = "ORD" + "0" * 26


class Shop:
    def __init__(self, settings: IssuerSettings = tokens.SETTINGS) -> None:
        self.store, self.inventory = MemoryOrders(), FakeInventory(P001=50)
        app = order_app(self.store, self.inventory, issuer=settings)
        self.client: Any = app.test_client()

    def place(self, shown: dict[str, str], key: str | None = None, **body: Any) -> Any:
        keyed = {} if key is None else {"Idempotency-Key": key}
        wanted = {"product_id": "P001", "quantity": 1} | body
        return self.client.post("/orders", json=wanted, headers=shown | keyed)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The real app, with the issuer's keys in memory."""
    monkeypatch.setattr(jwks, "fetch_from_url", lambda _: tokens.key_set)
    return Shop()


# ---- access to orders ------------------------------------------------------------------------


def test_the_customer_of_an_order_comes_from_the_token(shop: Shop) -> None:
    placed = shop.place(shown("C1"))
    assert (placed.status_code, placed.json["customer_id"]) == (201, "C1")
    agreeing = shop.place(shown("C1"), customer_id="C1")
    assert (agreeing.status_code, agreeing.json["customer_id"]) == (201, "C1")


def test_a_forged_customer_id_is_422_and_orders_nothing(shop: Shop) -> None:
    response = shop.place(shown("C1"), customer_id="C2")
    assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "#/customer_id")
    listed = shop.client.get("/orders?customer_id=C2", headers=shown("C1"))
    assert (listed.status_code, listed.json["errors"][0]["parameter"]) == (422, "customer_id")
    assert not shop.inventory.reservations
    assert shop.client.get("/orders", headers=shown("C2")).json["orders"] == []


def test_an_order_of_another_customer_is_404_like_a_missing_order(shop: Shop) -> None:
    order_id = shop.place(shown("C1")).json["order_id"]
    for method, path in (("GET", "/orders/{}"), ("POST", "/orders/{}/cancel")):
        own, none = (
            shop.client.open(path.format(each), method=method, headers=shown("C2"))
            for each in (order_id, OTHERS_ORDER)
        )
        assert (own.status_code, none.status_code) == (404, 404)
        told, expected = own.json, none.json
        for problem in (told, expected):
            del problem["trace_id"]
        assert told == json.loads(json.dumps(expected).replace(OTHERS_ORDER, order_id))
    order = shop.client.get(f"/orders/{order_id}", headers=shown("C1")).json
    assert order["status"] == "confirmed"
    cancelled = shop.client.post(f"/orders/{order_id}/cancel", headers=shown("C1"))
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")


def test_a_list_has_only_the_orders_of_the_customer(shop: Shop) -> None:
    mine = shop.place(shown("C1")).json["order_id"]
    shop.place(shown("C2"))
    for path in ("/orders", "/orders?customer_id=C1"):
        found = shop.client.get(path, headers=shown("C1")).json["orders"]
        assert [each["order_id"] for each in found] == [mine]


def test_two_customers_have_an_order_each_when_they_use_the_same_key(shop: Shop) -> None:
    first, second = shop.place(shown("C1"), "key"), shop.place(shown("C2"), "key")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["order_id"] != second.json["order_id"]
    again = shop.place(shown("C2"), "key")
    assert again.json == second.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_order_placed_without_a_token_is_replayed_when_the_customer_has_one(shop: Shop) -> None:
    """The id is derived from customer and key in both cases, so the retry is a replay."""
    before: Any = order_app(shop.store, shop.inventory).test_client()
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    placed = before.post("/orders", json=body, headers={"Idempotency-Key": "key"})
    again = shop.place(shown("C1"), "key")
    assert again.json == placed.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_operator_can_fulfil_but_cannot_order(shop: Shop) -> None:
    order_id = shop.place(shown("C1")).json["order_id"]
    operator = {"Authorization": f"Bearer {OPERATOR}"}
    for method, path in (
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", f"/orders/{order_id}"),
        ("POST", f"/orders/{order_id}/cancel"),
    ):
        assert shop.client.open(path, method=method, headers=operator).status_code == 403
    fulfil = f"/orders/{order_id}/fulfil"
    assert shop.client.post(fulfil, headers=shown("C1")).status_code == 403
    assert shop.client.post(fulfil, headers=operator).json["status"] == "fulfilled"


# ---- the customer in a token -----------------------------------------------------------------


def test_a_claim_becomes_a_unique_customer_id_when_it_is_no_valid_id(shop: Shop) -> None:
    subjects = ["auth0|5f7c", "somebody@example.com", "C1 ", "ä", "x" * 200]
    found = [shop.place(shown(each)).json["customer_id"] for each in subjects]
    assert all(len(each) == 28 and each.startswith("X-") for each in found)
    assert len(set(found)) == len(subjects)
    pretended = shop.place(shown(found[0]))
    assert pretended.json["customer_id"] not in found, (
        "a claim that looks like a digest is digested"
    )


@pytest.mark.parametrize("claim", [..., "", None, 5, ["C1"], {"id": "C1"}, True])
def test_a_token_is_401_when_it_does_not_name_the_customer(
    monkeypatch: pytest.MonkeyPatch, claim: Any
) -> None:
    monkeypatch.setattr(jwks, "fetch_from_url", lambda _: tokens.key_set)
    settings = IssuerSettings(tokens.ISSUER, tokens.AUDIENCE, "https://x", "", "customer_number")
    shop = Shop(settings)
    assert shop.place(shown("S", customer_number="C9")).json["customer_id"] == "C9"
    assert shop.place(shown("S", customer_number=claim)).status_code == 401


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(tokens.key_set())
    settings = IssuerSettings(tokens.ISSUER, tokens.AUDIENCE, "", str(file), "sub")
    assert Shop(settings).place(shown("C1")).status_code == 201
    for content in (b"-----BEGIN PUBLIC KEY-----", b'{"keys": []}'):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=r"^AUTH_KEYS_FILE "):
            create_issuer(settings)
    file.unlink()
    with pytest.raises(SettingsError, match=r"^AUTH_KEYS_FILE "):
        create_issuer(settings)


def test_an_order_is_503_when_the_keys_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bytes:
        raise ConnectionError

    monkeypatch.setattr(jwks, "fetch_from_url", lambda _: away)
    response = Shop().place(shown("C1"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


# ---- hostile tokens --------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_401(shop: Shop, name: str) -> None:
    headers = {"Authorization": f"Bearer {HOSTILE[name]()}"}
    for method, path in (
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", f"/orders/{OTHERS_ORDER}"),
        ("POST", f"/orders/{OTHERS_ORDER}/fulfil"),
    ):
        response = shop.client.open(path, method=method, headers=headers)
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert response.content_type == "application/problem+json"
        assert response.json["detail"].startswith("Th")
    assert not shop.inventory.reservations


def test_a_token_is_401_when_the_key_of_the_issuer_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = rsa_key("short", 1024)
    monkeypatch.setattr(
        jwks,
        "fetch_from_url",
        lambda _: lambda: tokens.key_set(entry(short, "1"), entry(ec_key(), "2")),
    )
    with pytest.warns(Warning, match="minimum"):
        weak = shown(key=short, algorithm="RS256", headers={"kid": "1"})
    assert Shop().place(weak).status_code == 401


def test_a_rejected_token_is_explained_when_the_client_can_correct_it(shop: Shop) -> None:
    for changes, said in (
        ({"exp": PAST}, "expired"),
        ({"nbf": FUTURE}, "not valid yet"),
        ({"aud": "another"}, "another audience"),
        ({"iss": "another"}, "another issuer"),
    ):
        assert said in shop.place(shown("C1", **changes)).json["detail"]


def test_tokens_are_in_no_response_and_no_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    bad = HOSTILE["another payload"]()
    response = shop.place({"Authorization": f"Bearer {bad}"})
    good = token("C1")
    placed = shop.place({"Authorization": f"Bearer {good}"})
    assert (response.status_code, placed.status_code) == (401, 201)
    said = (
        response.text + placed.text + caplog.text + str([each.__dict__ for each in caplog.records])
    )
    for secret in (*bad.split("."), *good.split(".")):
        assert secret not in said


@pytest.mark.parametrize("changes", [{"aud": ["x", "shop"]}, {"nbf": PAST, "jti": "1"}])
def test_a_valid_token_of_another_form_is_accepted(shop: Shop, changes: dict[str, Any]) -> None:
    accepted = token(**changes)
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {accepted}"}
        assert shop.client.get("/orders", headers=headers).status_code == 200


def test_a_token_is_accepted_when_it_is_signed_with_rsa(shop: Shop) -> None:
    signed = shown("C1", key=rsa_key(), algorithm="RS256", headers={"kid": "2"})
    assert shop.place(signed).status_code == 201
