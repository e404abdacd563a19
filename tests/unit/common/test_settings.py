"""Settings are typed, errors name them, and docs/settings.md lists all of them."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local import tokens
from local.processes import LocalError

import inventory_function.settings
import order_function.settings
from functions_common.runtime.settings import (
    Environment,
    FirestoreSettings,
    IssuerSettings,
    SettingsError,
)

ROOT = Path(__file__).parents[3]
REQUIRED = {
    "GOOGLE_CLOUD_PROJECT": "demo",
    "INVENTORY_SERVICE_URL": "http://inventory.shop/",
    **tokens.variables("a-token-of-order-1, a-token-of-order-2", "a-token-of-an-operator"),
    "AUTH_MODE": "open",
}
ISSUER = {
    "AUTH_MODE": "required",
    "AUTH_ISSUER": "https://issuer.example/",
    "AUTH_AUDIENCE": "shop",
    "AUTH_JWKS_URL": "https://issuer.example/keys?of=shop",
}
READERS: dict[str, Callable[[Environment], object]] = {
    "order": order_function.settings.Settings.read,
    "inventory": inventory_function.settings.Settings.read,
    "reconcile": order_function.settings.ReconcileSettings.read,
    "audit": FirestoreSettings.load,
}


def test_optional_settings_have_defaults() -> None:
    order = order_function.settings.Settings.load(REQUIRED)
    assert order.inventory_service_url == "http://inventory.shop"
    assert order.firestore.database == "(default)"
    assert order.firestore.emulator_host is None
    assert (order.server.host, order.server.port) == ("0.0.0.0", 8080)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_CLOUD_PROJECT", ""),
        ("GOOGLE_CLOUD_PROJECT", "a/b"),
        ("FIRESTORE_DATABASE", "a b"),
        ("FIRESTORE_EMULATOR_HOST", "http://localhost:8085"),
        ("HOST", "localhost;rm"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "8080.5"),
        ("CONCURRENCY", "-1"),
        ("REQUEST_DEADLINE_SECONDS", "soon"),
        ("INVENTORY_SERVICE_URL", ""),
        ("INVENTORY_SERVICE_URL", "inventory"),
        ("INVENTORY_SERVICE_URL", "ftp://inventory"),
        ("INVENTORY_SERVICE_URL", "http://"),
        ("INVENTORY_SERVICE_URL", "http://inventory:port"),
        ("INVENTORY_SERVICE_URL", "http://inventory/?a=b"),
        ("INVENTORY_SERVICE_URL", "http://inventory/#a"),
        ("INVENTORY_SERVICE_URL", "http://order:password@inventory"),
        ("INVENTORY_SERVICE_URL", "http://inventory/a path"),
        ("INVENTORY_SERVICE_URL", "http://inventär"),
        ("AUTH_MODE", ""),
        ("AUTH_MODE", "optional"),
        ("AUTH_MODE", "OPEN"),
    ],
)
def test_error_names_a_missing_or_malformed_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is "):
        order_function.settings.Settings.load(REQUIRED | {name: value})


@pytest.mark.parametrize(
    "name", ["INVENTORY_SERVICE_URL", "AUTH_JWKS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"]
)
def test_error_names_a_malformed_url_without_its_value(name: str) -> None:
    """A password or a key can be in it, and many people read logs."""
    given = REQUIRED | ISSUER | {name: "https://shop:a-password@host:port/?a-key"}
    with pytest.raises(SettingsError, match=f"^{name} is malformed: it must be an http") as error:
        order_function.settings.Settings.load(given)
    assert "a-password" not in str(error.value)
    assert "a-key" not in str(error.value)


def test_allowed_origins_are_loaded() -> None:
    def load(origins: str) -> tuple[str, ...]:
        settings = order_function.settings.Settings.load(
            REQUIRED | {"CORS_ALLOWED_ORIGINS": origins}
        )
        return settings.server.allowed_origins

    assert load("") == ()
    several = ("https://shop.example", "https://www.xn--bcher-kva.example:8443")
    assert load(", ".join(several)) == several
    assert load("http://localhost:3000,http://[::1]:3000,") == (
        "http://localhost:3000",
        "http://[::1]:3000",
    )


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "shop.example",
        "http://shop.example",
        "https://Shop.example",
        "https://shop.example/",
        "https://shop.example:443",
        "http://localhost:80",
        "https://*.shop.example",
        "https://user@shop.example",
        "https://shop.example https://other.example",
    ],
)
def test_error_names_a_malformed_origin(origin: str) -> None:
    origins = f"https://shop.example,{origin}"
    with pytest.raises(SettingsError, match=f"^CORS_ALLOWED_ORIGINS has {re.escape(repr(origin))}"):
        order_function.settings.Settings.load(REQUIRED | {"CORS_ALLOWED_ORIGINS": origins})


def test_issuer_settings_are_loaded_when_auth_is_required() -> None:
    order = order_function.settings.Settings.load(REQUIRED | ISSUER)
    assert order.issuer == IssuerSettings(
        issuer="https://issuer.example/",
        audience="shop",
        jwks_url="https://issuer.example/keys?of=shop",
        keys_file="",
        claim="sub",
    )
    assert order_function.settings.Settings.load(REQUIRED).issuer is None


def test_error_names_all_missing_issuer_settings() -> None:
    with pytest.raises(SettingsError) as error:
        order_function.settings.Settings.load(REQUIRED | {"AUTH_MODE": "required"})
    for name in ("AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_JWKS_URL (or AUTH_KEYS_FILE)"):
        assert name in str(error.value)
    for name in ("AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_JWKS_URL"):
        with pytest.raises(SettingsError, match=f"^AUTH_MODE=required needs a value for {name}"):
            order_function.settings.Settings.load(REQUIRED | ISSUER | {name: ""})


@pytest.mark.parametrize(
    "name",
    [name for name in (*ISSUER, "AUTH_KEYS_FILE", "AUTH_CUSTOMER_CLAIM") if name != "AUTH_MODE"],
)
def test_issuer_setting_is_an_error_when_auth_is_open(name: str) -> None:
    """With an issuer, an open API would be a mistake."""
    with pytest.raises(SettingsError, match=f"^AUTH_MODE=open does not use {name}:"):
        order_function.settings.Settings.load(REQUIRED | {name: "anything"})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"AUTH_KEYS_FILE": "/keys.json"}, "AUTH_KEYS_FILE"),
        ({"AUTH_JWKS_URL": "http://issuer.example/keys"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "http://issuer.svc.cluster.local.example/keys"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "http://localhost@issuer.example/keys"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "https://shop:password@issuer.example/keys"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "https://issuer.example/the keys"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "file:///keys"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "https://"}, "AUTH_JWKS_URL"),
        ({"AUTH_JWKS_URL": "https://issuer.example:port/"}, "AUTH_JWKS_URL"),
        ({"AUTH_CUSTOMER_CLAIM": "the customer"}, "AUTH_CUSTOMER_CLAIM"),
    ],
)
def test_error_names_an_untrusted_issuer_setting(changes: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=f"^{named} is "):
        order_function.settings.Settings.load(REQUIRED | ISSUER | changes)


@pytest.mark.parametrize(
    "host", ["localhost:8090", "127.0.0.1", "[::1]", "dex.auth.svc.cluster.local"]
)
def test_plain_http_is_accepted_for_keys_within_the_cluster(host: str) -> None:
    url = f"http://{host}/keys"
    order = order_function.settings.Settings.load(REQUIRED | ISSUER | {"AUTH_JWKS_URL": url})
    assert order.issuer is not None
    assert order.issuer.jwks_url == url


@pytest.mark.parametrize("currency", ["usd", "US", "DOLLAR"])
def test_currency_must_be_three_capitals(currency: str) -> None:
    with pytest.raises(SettingsError, match=r"^CURRENCY is "):
        inventory_function.settings.Settings.load(REQUIRED | {"CURRENCY": currency})


@pytest.mark.parametrize("shown", ["short", "good-enough-by-length,", "with space in between"])
def test_error_names_a_malformed_token_without_its_value(shown: str) -> None:
    with pytest.raises(SettingsError, match=r"^ORDER_TOKENS is malformed") as error:
        order_function.settings.Settings.load(REQUIRED | {"ORDER_TOKENS": shown})
    assert shown not in str(error.value)


@pytest.mark.parametrize("name", ["OPERATOR_TOKEN_HASHES", "ORDER_TOKEN_HASHES"])
@pytest.mark.parametrize("value", ["a-token-of-an-operator", "0" * 63, f"{'0' * 64},", "g" * 64])
def test_error_names_a_malformed_hash_without_its_value(name: str, value: str) -> None:
    """The value may be the token itself, set by mistake."""
    with pytest.raises(SettingsError, match=f"^{name} is malformed") as error:
        inventory_function.settings.Settings.load(REQUIRED | {name: value})
    assert value not in str(error.value)


@pytest.mark.parametrize("nothing", [b"", b"\n"])
def test_hash_of_an_empty_token_is_rejected(nothing: bytes) -> None:
    empty = {"OPERATOR_TOKEN_HASHES": hashlib.sha256(nothing).hexdigest()}
    with pytest.raises(SettingsError, match=r"^OPERATOR_TOKEN_HASHES holds .* an empty token"):
        order_function.settings.Settings.load(REQUIRED | empty)


A, B, C = (f"the-token-{name}-of-a-role" for name in "ABC")


@pytest.mark.parametrize(
    ("function", "settings", "named"),
    [
        (
            order_function.settings.Settings,
            {"OPERATOR_TOKEN_HASHES": f"{A},{B}", "PAYMENT_TOKEN_HASHES": f"{C},{B}"},
            "OPERATOR_TOKEN_HASHES and PAYMENT_TOKEN_HASHES",
        ),
        (
            order_function.settings.Settings,
            {"ORDER_TOKENS": f"{A},{B}", "OPERATOR_TOKEN_HASHES": f"{C},{B}"},
            "ORDER_TOKENS and OPERATOR_TOKEN_HASHES",
        ),
        (
            order_function.settings.Settings,
            {"ORDER_TOKENS": B, "PAYMENT_TOKEN_HASHES": B},
            "ORDER_TOKENS and PAYMENT_TOKEN_HASHES",
        ),
        (
            inventory_function.settings.Settings,
            {"ORDER_TOKEN_HASHES": f"{A},{B}", "OPERATOR_TOKEN_HASHES": f"{B},{C}"},
            "ORDER_TOKEN_HASHES and OPERATOR_TOKEN_HASHES",
        ),
    ],
)
def test_token_of_two_roles_is_rejected_and_not_shown(
    function: Any, settings: dict[str, str], named: str
) -> None:
    given = {
        name: tokens.hashes(value).upper() if name.endswith("_HASHES") else value
        for name, value in settings.items()
    }
    with pytest.raises(SettingsError, match=f"^{named} have the same token") as error:
        function.load(REQUIRED | given)
    shown = str(error.value).lower()
    assert B.lower() not in shown
    assert tokens.hashes(B) not in shown


def test_make_run_rejects_a_token_of_two_roles() -> None:
    for roles in ((A, A), (A, f"{B},{A}"), (A, B, B), (A, B, f"{C}, {A}")):
        with pytest.raises(LocalError, match=r"_TOKENS have the same token") as error:
            tokens.variables(*roles)
        assert A not in str(error.value)
    tokens.variables(f"{A},{A}", B, C)


def test_hash_is_missing_when_only_the_token_is_set() -> None:
    """Such settings are left from an earlier version."""
    before = REQUIRED | {"OPERATOR_TOKENS": "a-token-of-an-operator", "OPERATOR_TOKEN_HASHES": ""}
    with pytest.raises(SettingsError, match=r"^OPERATOR_TOKEN_HASHES is not set: .* sha256sum"):
        order_function.settings.Settings.load(before)


def test_hashes_can_have_capitals_and_spaces() -> None:
    hashes = tokens.hashes("a-token-of-an-operator,another-of-an-operator")
    given = {"OPERATOR_TOKEN_HASHES": hashes.upper().replace(",", " , ")}
    order = order_function.settings.Settings.load(REQUIRED | given)
    assert order.operator_token_hashes == tuple(hashes.split(","))


def test_repr_of_settings_has_no_tokens() -> None:
    order = order_function.settings.Settings.load(REQUIRED)
    inventory = inventory_function.settings.Settings.load(REQUIRED)
    reconcile = order_function.settings.ReconcileSettings.load(REQUIRED)
    assert order.token == reconcile.token == "a-token-of-order-1"
    assert len(inventory.order_token_hashes) == 2
    assert "a-token" not in repr(order) + repr(inventory) + repr(reconcile)
    assert order.operator_token_hashes[0] not in repr(order) + repr(inventory)


def documented() -> dict[str, set[str]]:
    """The functions and commands that docs/settings.md names for each variable."""
    text = (ROOT / "docs/settings.md").read_text()
    who = "|".join((*READERS, ", "))
    rows = re.findall(rf"^\| `([A-Z_]+)` \| ((?:{who})+) \|", text, re.MULTILINE)
    return {name: set(used_by.split(", ")) for name, used_by in rows}


def test_settings_table_lists_exactly_the_settings() -> None:
    read: dict[str, set[str]] = {}
    for reader, settings in READERS.items():
        environment = Environment(REQUIRED)
        settings(environment)
        for name in environment.names:
            read.setdefault(name, set()).add(reader)
    assert documented() == read


def test_only_entry_points_read_the_environment() -> None:
    """Only entry points and commands read it. FUNCTION is the server's own variable."""
    sources = [
        path for path in (ROOT / "functions").rglob("*.py") if "os.environ" in path.read_text()
    ]
    entries = {"order/main.py", "inventory/main.py", "functions/serve.py"}
    commands = {"reconcile/__main__.py", "audit/__main__.py", "order_function/upgrade.py"}
    assert {f"{path.parent.name}/{path.name}" for path in sources} == entries | commands
    server = (ROOT / "functions/serve.py").read_text()
    named = re.findall(r'environ.*?"([A-Z_]+)"', server)
    assert set(named) == {"FUNCTION", "INVENTORY_SERVICE_URL"}
