"""A customer with a token reaches their own orders alone; nobody else's token is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import tokens
from support.apps import OPERATOR, order_app
from support.fakes import FakeInventory, MemoryOrders
from support.hostile_tokens import FUTURE, HOSTILE, PAST
from support.tokens import ec_key, entry, rsa_key, shown, token

from functions_common.http.auth import jwks, jwt
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
    """The app as it is made, but for the way to the issuer's keys."""
    monkeypatch.setattr(jwks, "of_url", lambda _: tokens.key_set)
    return Shop()


# ---- their own orders, and nobody else's -----------------------------------------------------


def test_the_token_says_who_orders(shop: Shop) -> None:
    placed = shop.place(shown("C1"))
    assert (placed.status_code, placed.json["customer_id"]) == (201, "C1")
    agreeing = shop.place(shown("C1"), customer_id="C1")
    assert (agreeing.status_code, agreeing.json["customer_id"]) == (201, "C1")


def test_a_forged_customer_id_is_named_and_orders_nothing(shop: Shop) -> None:
    answer = shop.place(shown("C1"), customer_id="C2")
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/customer_id")
    listed = shop.client.get("/orders?customer_id=C2", headers=shown("C1"))
    assert (listed.status_code, listed.json["errors"][0]["parameter"]) == (422, "customer_id")
    assert not shop.inventory.reservations
    assert shop.client.get("/orders", headers=shown("C2")).json["orders"] == []


def test_another_customers_order_is_as_one_that_is_not_there(shop: Shop) -> None:
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


def test_a_list_is_of_ones_own(shop: Shop) -> None:
    mine = shop.place(shown("C1")).json["order_id"]
    shop.place(shown("C2"))
    for path in ("/orders", "/orders?customer_id=C1"):
        found = shop.client.get(path, headers=shown("C1")).json["orders"]
        assert [each["order_id"] for each in found] == [mine]


def test_two_customers_under_one_key_have_an_order_each(shop: Shop) -> None:
    first, second = shop.place(shown("C1"), "key"), shop.place(shown("C2"), "key")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["order_id"] != second.json["order_id"]
    again = shop.place(shown("C2"), "key")
    assert again.json == second.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_order_from_before_tokens_is_its_customers(shop: Shop) -> None:
    """The id is made of customer and key as before, so a retry across the change is a replay."""
    before: Any = order_app(shop.store, shop.inventory).test_client()
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1}
    placed = before.post("/orders", json=body, headers={"Idempotency-Key": "key"})
    again = shop.place(shown("C1"), "key")
    assert again.json == placed.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_operator_sends_goods_and_is_no_customer(shop: Shop) -> None:
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


# ---- whose token it is -----------------------------------------------------------------------


def test_a_claim_that_is_no_id_becomes_one_that_nobody_else_has(shop: Shop) -> None:
    subjects = ["auth0|5f7c", "somebody@example.com", "C1 ", "ä", "x" * 200]
    found = [shop.place(shown(each)).json["customer_id"] for each in subjects]
    assert all(len(each) == 28 and each.startswith("X-") for each in found)
    assert len(set(found)) == len(subjects)
    pretended = shop.place(shown(found[0]))
    assert pretended.json["customer_id"] not in found, "a name that looks like a digest is digested"


@pytest.mark.parametrize("claim", [..., "", None, 5, ["C1"], {"id": "C1"}, True])
def test_a_token_that_does_not_say_whose_it_is_is_refused(
    monkeypatch: pytest.MonkeyPatch, claim: Any
) -> None:
    monkeypatch.setattr(jwks, "of_url", lambda _: tokens.key_set)
    settings = IssuerSettings(tokens.ISSUER, tokens.AUDIENCE, "https://x", "", "customer_number")
    shop = Shop(settings)
    assert shop.place(shown("S", customer_number="C9")).json["customer_id"] == "C9"
    assert shop.place(shown("S", customer_number=claim)).status_code == 401


def test_keys_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(tokens.key_set())
    settings = IssuerSettings(tokens.ISSUER, tokens.AUDIENCE, "", str(file), "sub")
    assert Shop(settings).place(shown("C1")).status_code == 201
    for content in (b"-----BEGIN PUBLIC KEY-----", b'{"keys": []}'):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=r"^AUTH_KEYS_FILE "):
            jwt.of(settings)
    file.unlink()
    with pytest.raises(SettingsError, match=r"^AUTH_KEYS_FILE "):
        jwt.of(settings)


def test_while_the_keys_cannot_be_had_it_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bytes:
        raise ConnectionError

    monkeypatch.setattr(jwks, "of_url", lambda _: away)
    answer = Shop().place(shown("C1"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


# ---- hostile tokens --------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused(shop: Shop, name: str) -> None:
    headers = {"Authorization": f"Bearer {HOSTILE[name]()}"}
    for method, path in (
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", f"/orders/{OTHERS_ORDER}"),
        ("POST", f"/orders/{OTHERS_ORDER}/fulfil"),
    ):
        answer = shop.client.open(path, method=method, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert answer.content_type == "application/problem+json"
        assert answer.json["detail"].startswith("Th")
    assert not shop.inventory.reservations


def test_a_short_key_of_the_issuer_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    short = rsa_key("short", 1024)
    monkeypatch.setattr(
        jwks, "of_url", lambda _: lambda: tokens.key_set(entry(short, "1"), entry(ec_key(), "2"))
    )
    with pytest.warns(Warning, match="minimum"):
        weak = shown(key=short, algorithm="RS256", headers={"kid": "1"})
    assert Shop().place(weak).status_code == 401


def test_a_refusal_says_why_where_a_client_can_do_something(shop: Shop) -> None:
    for changes, said in (
        ({"exp": PAST}, "expired"),
        ({"nbf": FUTURE}, "not valid yet"),
        ({"aud": "another"}, "another audience"),
        ({"iss": "another"}, "another issuer"),
    ):
        assert said in shop.place(shown("C1", **changes)).json["detail"]


def test_tokens_are_in_no_answer_and_no_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    bad = HOSTILE["another payload"]()
    answer = shop.place({"Authorization": f"Bearer {bad}"})
    good = token("C1")
    placed = shop.place({"Authorization": f"Bearer {good}"})
    assert (answer.status_code, placed.status_code) == (401, 201)
    said = answer.text + placed.text + caplog.text + str([each.__dict__ for each in caplog.records])
    for secret in (*bad.split("."), *good.split(".")):
        assert secret not in said


@pytest.mark.parametrize("changes", [{"aud": ["x", "shop"]}, {"nbf": PAST, "jti": "1"}])
def test_a_good_token_of_another_form_is_accepted(shop: Shop, changes: dict[str, Any]) -> None:
    accepted = token(**changes)
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {accepted}"}
        assert shop.client.get("/orders", headers=headers).status_code == 200


def test_the_issuers_rsa_key_too(shop: Shop) -> None:
    signed = shown("C1", key=rsa_key(), algorithm="RS256", headers={"kid": "2"})
    assert shop.place(signed).status_code == 201
