"""The pages in a real browser, under the policy that they are served with: complete and silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from playwright.sync_api import Browser, Page, ViewportSize, expect
from support.browser import CONTRASTS, DESK, PHONE
from support.shop import TIMEOUT, Shop

pytestmark = pytest.mark.one_emulator

FUNCTIONS = ("order", "inventory")
REPORTS = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="module")
def pages(which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if which == "official":
        pytest.skip("once is enough: a page does not see the database")
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        shop.offer("P001", 10)
        yield shop


def address(shop: Shop, function: str) -> str:
    return (shop.orders if function == "order" else shop.inventories)[0]


@contextmanager
def silent(browser: Browser, size: ViewportSize, scheme: str = "light") -> Iterator[Page]:
    """A page on which nothing fails, and of which the browser has nothing to say."""
    said: list[str] = []
    with browser.new_context(viewport=size, color_scheme=scheme) as context:  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.add_init_script(REPORTS)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
        yield page
        assert page.evaluate("window.violations") == []
    assert said == []


def opened(page: Page, url: str) -> None:
    page.goto(f"{url}/docs")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_documentation_shows_every_operation_and_schema(
    browser: Browser, pages: Shop, function: str
) -> None:
    url = address(pages, function)
    described = requests.get(f"{url}/openapi.json", timeout=TIMEOUT).json()
    with silent(browser, DESK) as page:
        opened(page, url)
        shown = 0
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                card = page.locator(f"article[id='{operation['operationId']}']")
                expect(card.get_by_role("heading", level=3)).to_have_text(method.upper() + path)
                statuses = card.locator("summary .status").all_inner_texts()
                assert statuses == list(operation["responses"])
                names = card.locator("[aria-label^='Parameters of'] tbody th code")
                expected = [each["name"] for each in operation.get("parameters", [])]
                assert names.all_inner_texts() == expected
                has_body = "requestBody" in operation
                expect(card.get_by_role("heading", name="Body", exact=True)).to_have_count(
                    int(has_body)
                )
                shown += 1
        schemas = described["components"]["schemas"]
        for name in schemas:
            expect(page.locator(f"article[id='schema-{name}']")).to_have_count(1)
        expect(page.locator("article")).to_have_count(shown + len(schemas))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_link_of_the_documentation_leads_somewhere(
    browser: Browser, pages: Shop, function: str
) -> None:
    with silent(browser, DESK) as page:
        opened(page, address(pages, function))
        lost = """() => [...document.querySelectorAll("a[href^='#']")]
          .map((link) => link.getAttribute("href"))
          .filter((href) => !document.getElementById(decodeURIComponent(href.slice(1))))"""
        assert page.evaluate(lost) == []
        page.locator("nav a").last.click()
        expect(page.locator("article:target")).to_be_in_viewport()


def test_a_response_without_content_says_so(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.orders[0])
        response = page.locator("article#show_page details", has_text="304")
        response.locator("summary").click()
        expect(response.get_by_text("No content.")).to_be_visible()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_documentation_fits_and_text_stands_out(
    browser: Browser, pages: Shop, size: ViewportSize, scheme: str, function: str
) -> None:
    with silent(browser, size, scheme) as page:
        opened(page, address(pages, function))
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_shop_page_is_silent(browser: Browser, pages: Shop, size: ViewportSize) -> None:
    with silent(browser, size) as page:
        page.goto(pages.orders[0])
        card = page.locator("[data-product=P001]")
        card.get_by_role("button").click()
        order = page.locator("#order-list > li").first
        expect(order).to_contain_text("confirmed")
        order.get_by_role("button").click()
        expect(order).to_contain_text("cancelled")
        page.get_by_role("link", name="API", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("order")


def test_a_page_is_shown_to_a_link_with_parameters(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        page.goto(f"{pages.orders[0]}/?utm_source=mail")
        expect(page.locator("[data-product=P001]")).to_be_visible()
