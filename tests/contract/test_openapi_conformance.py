"""Both functions against their descriptions: generated requests, valid and invalid.

The apps run on real stores, and order calls inventory through its own client. A response must not
be a server error, and the description must allow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from schemathesis import Case
from support.in_process.described_apps import UNAUTHORIZED, Shop, api, described_shop
from support.peers import tokens

NOT_FOUND, METHOD_NOT_ALLOWED = 404, 405

pytestmark = pytest.mark.one_emulator

BOUNDED = settings(
    max_examples=40,
    derandomize=True,  # the same requests on every run
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

ORDER_API, INVENTORY_API = api("order"), api("inventory")


@pytest.fixture(scope="module")
def shop(emulator: str) -> Iterator[Shop]:
    with described_shop(emulator, None) as shop:
        yield shop
    assert not shop.missing_successes(), "no request had these successful responses"


@pytest.fixture(scope="module")
def shop_with_tokens(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with described_shop(emulator, tokens.in_file(tmp_path_factory.mktemp("keys"))) as shop:
        yield shop


def _guarded(context: Any) -> bool:
    return bool(context.operation.definition.raw["security"])


@ORDER_API.parametrize()
@BOUNDED
def test_order_responds_as_described(case: Case[Any], shop: Shop) -> None:
    shop.check_response(shop.order, case, shop.token_of(case))


@ORDER_API.include(_guarded).parametrize()
@settings(BOUNDED, max_examples=15)
def test_order_responds_as_described_when_customers_need_tokens(
    case: Case[Any], shop_with_tokens: Shop
) -> None:
    shop_with_tokens.check_response(shop_with_tokens.order, case, shop_with_tokens.token_of(case))


@INVENTORY_API.parametrize()
@BOUNDED
def test_inventory_responds_as_described(case: Case[Any], shop: Shop) -> None:
    shop.check_response(shop.inventory, case, shop.token_of(case))


def _reached_nothing(response: Any) -> bool:
    """Only OPTIONS needs no token: Flask responds to it with ``Allow`` alone."""
    rejected = response.status_code in (UNAUTHORIZED, NOT_FOUND, METHOD_NOT_ALLOWED)
    return rejected or response.request.method == "OPTIONS"


@ORDER_API.include(_guarded).parametrize()
@settings(BOUNDED, max_examples=5)
def test_order_rejects_requests_without_a_token(case: Case[Any], shop_with_tokens: Shop) -> None:
    shop = shop_with_tokens
    assert _reached_nothing(shop.check_response(shop.order, case, {}))


def _needs_token(context: Any) -> bool:
    return _guarded(context) and {} not in context.operation.definition.raw["security"]


@INVENTORY_API.include(_needs_token).parametrize()
@settings(BOUNDED, max_examples=5)
def test_inventory_rejects_requests_without_a_token(case: Case[Any], shop: Shop) -> None:
    assert _reached_nothing(shop.check_response(shop.inventory, case, {}))
