"""axe-core finds no violation on any page: on a light phone and on a dark desktop.

The other two combinations have the same structure. ``CONTRASTS`` checks the contrast of all four.
"""

# ruff: noqa: RUF001 - the page has a multiplication sign
from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support.clients.axe import needs_axe, violations
from support.clients.browser import DESK, PHONE
from support.processes.shop import Shop

pytestmark = [pytest.mark.one_emulator, needs_axe]


@pytest.fixture(scope="module")
def shop(which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if which == "official":
        pytest.skip("the pages do not depend on the database")
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        shop.offer("P001", 10)
        shop.offer("P002", 1)
        shop.adjust("P002", -1, "sold-out").raise_for_status()
        yield shop


@pytest.fixture(params=[(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    size, scheme = request.param
    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        yield context.new_page()


def open_all(page: Page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


@pytest.mark.parametrize("function", ["order", "inventory"])
def test_docs_page_has_no_violations(page: Page, shop: Shop, function: str) -> None:
    url = shop.orders[0] if function == "order" else shop.inventories[0]
    page.goto(f"{url}/docs")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    open_all(page)
    assert violations(page) == []


def test_shop_page_has_no_violations_while_it_loads(page: Page, shop: Shop) -> None:
    page.route("**/products?*", lambda _: None)
    page.route("**/orders?*", lambda _: None)
    page.goto(shop.orders[0])
    expect(page.locator(".skeleton").first).to_be_visible()
    assert violations(page) == []


def test_shop_page_has_no_violations_with_orders_and_a_rejection(page: Page, shop: Shop) -> None:
    page.goto(shop.orders[0])
    card = page.locator("[data-product=P001]")
    card.get_by_role("button").click()
    page.get_by_label("Hold the stock").check()
    page.get_by_role("button", name="Place order").click()
    news = page.get_by_role("status")
    expect(news).to_contain_text("Held: 1 × Laptop.")
    assert violations(page) == []
    card.get_by_role("spinbutton").fill("9999")
    card.get_by_role("button").click()
    page.get_by_role("button", name="Place order").click()
    expect(news).to_contain_text("in stock, you asked for 9,999.")
    expect(page.locator("#order-list .rejected").first).to_be_visible()
    open_all(page)
    assert violations(page) == []
    page.locator("#order-list").get_by_role("button").first.click()
    expect(news).to_contain_text("Cancelled")


def test_shop_page_has_no_violations_when_it_fails_and_requires_a_token(
    page: Page, shop: Shop
) -> None:
    page.route("**/products?*", lambda route: route.fulfill(status=503))
    page.route("**/orders?*", lambda route: route.fulfill(status=401))
    page.goto(shop.orders[0])
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_label("Your token")).to_be_visible()
    assert violations(page) == []
