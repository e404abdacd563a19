"""Settings are typed and named, and the table in docs/settings.md is the truth about them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import inventory_function.settings
import order_function.settings
from functions_common.settings import Environment, SettingsError

ROOT = Path(__file__).parents[2]
REQUIRED = {
    "GOOGLE_CLOUD_PROJECT": "demo",
    "INVENTORY_SERVICE_URL": "http://inventory.shop/",
    "ORDER_TOKENS": "a-token-of-order-1, a-token-of-order-2",
    "OPERATOR_TOKENS": "a-token-of-an-operator",
}
FUNCTIONS: dict[str, Callable[[Environment], object]] = {
    "order": order_function.settings.Settings.read,
    "inventory": inventory_function.settings.Settings.read,
}


def test_defaults() -> None:
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
    ],
)
def test_a_missing_or_malformed_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is "):
        order_function.settings.Settings.load(REQUIRED | {name: value})


@pytest.mark.parametrize("currency", ["usd", "US", "DOLLAR"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(SettingsError, match=r"^CURRENCY is "):
        inventory_function.settings.Settings.load(REQUIRED | {"CURRENCY": currency})


@pytest.mark.parametrize("tokens", ["short", "good-enough-by-length,", "with space in between"])
def test_a_malformed_token_is_named_and_not_told(tokens: str) -> None:
    with pytest.raises(SettingsError, match=r"^ORDER_TOKENS is malformed") as error:
        order_function.settings.Settings.load(REQUIRED | {"ORDER_TOKENS": tokens})
    assert tokens not in str(error.value)


def test_tokens_are_not_in_what_is_printed_of_settings() -> None:
    order = order_function.settings.Settings.load(REQUIRED)
    inventory = inventory_function.settings.Settings.load(REQUIRED)
    assert order.token == "a-token-of-order-1"
    assert inventory.order_tokens == ("a-token-of-order-1", "a-token-of-order-2")
    assert "a-token" not in repr(order) + repr(inventory)


def documented() -> dict[str, set[str]]:
    """The functions that docs/settings.md names for each variable."""
    text = (ROOT / "docs/settings.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| ((?:order|inventory|, )+) \|", text, re.MULTILINE)
    return {name: set(used_by.split(", ")) for name, used_by in rows}


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    read: dict[str, set[str]] = {}
    for function, settings in FUNCTIONS.items():
        environment = Environment(REQUIRED)
        settings(environment)
        for name in environment.names:
            read.setdefault(name, set()).add(function)
    assert documented() == read


def test_no_variable_is_read_behind_the_settings_back() -> None:
    """Only entries and commands hand the environment over; FUNCTION is the server's own."""
    sources = [
        path for path in (ROOT / "functions").rglob("*.py") if "os.environ" in path.read_text()
    ]
    entries = {"main.py", "gunicorn.conf.py", "serve.py"}
    commands = {"reconcile.py", "audit.py"}
    assert {path.name for path in sources} == entries | commands
    server = (ROOT / "functions/gunicorn.conf.py").read_text()
    assert re.findall(r'environ.*?"([A-Z_]+)"', server) == ["FUNCTION"]
