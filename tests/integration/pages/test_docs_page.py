"""The docs page and the shop page in a real browser, under their ``Content-Security-Policy``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, ViewportSize, expect
from support.clients.browser import CONTRASTS, DESK, PHONE
from support.in_process.apps import OPERATOR
from support.processes.shop import TIMEOUT, Shop

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
        pytest.skip("the pages do not depend on the database")
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        shop.offer("P001", 10)
        yield shop


def address(shop: Shop, function: str) -> str:
    return (shop.orders if function == "order" else shop.inventories)[0]


@contextmanager
def silent(browser: Browser, size: ViewportSize, scheme: str = "light") -> Iterator[Page]:
    """A page; the test fails if the browser logs anything or reports a failed request."""
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


def description_of(url: str) -> Any:
    return requests.get(f"{url}/openapi.json", timeout=TIMEOUT).json()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_docs_page_shows_every_operation_problem_type_and_schema(
    browser: Browser, pages: Shop, function: str
) -> None:
    url = address(pages, function)
    described = description_of(url)
    kinds = set()
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
                for response in operation["responses"].values():
                    kinds |= set(response.get("x-problem-types", {})) - {"about:blank"}
                shown += 1
        schemas = described["components"]["schemas"]
        for name in schemas:
            expect(page.locator(f"article[id='schema-{name}']")).to_have_count(1)
        for kind in kinds:
            expect(page.locator(f"article[id='problem-{kind.split(':')[-1]}']")).to_have_count(1)
        expect(page.locator("article")).to_have_count(shown + len(schemas) + len(kinds))
        groups = page.get_by_role("heading", level=2).all_inner_texts()
        tags = [tag["name"] for tag in described["tags"]]
        assert groups == ([*tags, "Problem types", "Schemas"] * 2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_link_of_the_docs_page_has_a_target(
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


def test_documentation_link_of_a_problem_opens_its_section(browser: Browser, pages: Shop) -> None:
    url = pages.orders[0]
    problem = requests.get(f"{url}/orders/ORD0", timeout=TIMEOUT).json()
    with silent(browser, PHONE) as page:
        page.goto(url + problem["documentation"])
        section = page.locator("article:target")
        expect(section.get_by_role("heading", level=3)).to_have_text("unknown-order")
        expect(section).to_be_in_viewport()


def curl_of(page: Page, operation: str) -> str:
    return page.get_by_role("group", name=f"curl for {operation}", exact=True).inner_text()


def run_curl(command: str) -> Any:
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    head, _, body = ran.stdout.partition("\n\n")
    return head.split()[1], json.loads(body)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl to run the command")
def test_curl_command_of_an_operation_works_as_it_is(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.orders[0])
        status, order = run_curl(curl_of(page, "place_order"))
        assert (status, order["status"]) == ("201", "confirmed")
        status, listed = run_curl(curl_of(page, "list_orders"))
        assert status == "200"
        assert order["order_id"] in {each["order_id"] for each in listed["orders"]}


def test_curl_command_is_copied(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        opened(page, pages.orders[0])
        button = page.get_by_role("button", name="Copy the curl command of place_order")
        button.click()
        expect(button).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == curl_of(page, "place_order")
        assert copied.startswith("curl -i -X POST 'http://")


def test_operation_is_tried_from_the_page(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.orders[0])
        card = page.locator("article#place_order")
        card.get_by_text("Try it").click()
        order = {"customer_id": "C7", "product_id": "P001", "quantity": 3}
        card.get_by_role("textbox", name="Body").fill(json.dumps(order))
        assert '"quantity":3' in curl_of(page, "place_order")
        card.get_by_role("button", name="Send POST").click()
        result = card.get_by_role("status")
        expect(result).to_contain_text("201 in")
        shown = json.loads(result.get_by_role("group", name="Body").inner_text())
        assert (shown["customer_id"], shown["quantity"]) == ("C7", 3)
        card = page.locator("article#show_order")
        card.get_by_text("Try it").click()
        card.get_by_role("textbox", name="order_id").fill(shown["order_id"])
        card.get_by_role("button", name="Send GET").click()
        expect(card.get_by_role("status")).to_contain_text("200 in")


def test_token_is_sent_and_is_not_in_the_curl_command(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.inventories[0])
        page.get_by_label("Token for Try it").fill(OPERATOR)
        card = page.locator("article#list_adjustments")
        card.get_by_text("Try it").click()
        card.get_by_role("button", name="Send GET").click()
        expect(card.get_by_role("status")).to_contain_text("200 in")
        command = curl_of(page, "list_adjustments")
        assert '-H "Authorization: Bearer $TOKEN"' in command
        assert OPERATOR not in command


def test_search_shows_only_the_matching_cards(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.orders[0])
        page.keyboard.press("/")
        search = page.get_by_role("searchbox")
        expect(search).to_be_focused()
        page.keyboard.type("goods shipped fulfil_order")
        expect(page.locator("article:visible").first).to_have_id("fulfil_order")
        expect(page.locator("article#list_products")).to_be_hidden()
        expect(page.locator("nav a:visible").first).to_have_text("POST/orders/{order_id}/fulfil")
        count = page.locator("article:visible").count()
        expect(page.get_by_text(f"{count} found")).to_be_visible()
        page.evaluate("location.hash = 'list_products'")
        expect(page.locator("article#list_products")).to_be_in_viewport()


def test_docs_page_says_when_a_token_is_needed(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.orders[0])
        optional = (
            "Needs a token of customer or operator only if the shop requires one"
            " (AUTH_MODE=required)"
        )
        expect(page.locator("article#place_order")).to_contain_text(optional)
        expect(page.locator("article#fulfil_order")).to_contain_text("Needs a token of operator")
        expect(page.locator("article#list_products")).to_contain_text("No token is needed.")


def test_docs_page_is_used_by_keyboard(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        opened(page, pages.orders[0])
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the operations")).to_be_focused()
        card = page.locator("article#list_products")
        card.locator("summary", has_text="Try it").focus()
        page.keyboard.press("Enter")
        card.get_by_label("limit").focus()
        page.keyboard.type("1")
        page.keyboard.press("Enter")
        expect(card.get_by_role("status")).to_contain_text("200 in")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_docs_page_fits_and_its_text_has_contrast(
    browser: Browser, pages: Shop, size: ViewportSize, scheme: str, function: str
) -> None:
    with silent(browser, size, scheme) as page:
        opened(page, address(pages, function))
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_shop_page_logs_no_errors(browser: Browser, pages: Shop, size: ViewportSize) -> None:
    with silent(browser, size) as page:
        page.goto(pages.orders[0])
        page.get_by_label("Customer").fill(f"C-{size['width']}")
        page.get_by_role("button", name="Show orders").click()
        card = page.locator("[data-product=P001]")
        card.get_by_role("button").click()
        page.get_by_role("button", name="Place order").click()
        order = page.locator("#order-list > li").first
        expect(order).to_contain_text("confirmed")
        order.get_by_role("button").click()
        expect(order).to_contain_text("cancelled")
        page.get_by_role("link", name="API", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Order API")


def test_page_is_shown_when_its_link_has_parameters(browser: Browser, pages: Shop) -> None:
    with silent(browser, DESK) as page:
        page.goto(f"{pages.orders[0]}/?utm_source=mail")
        expect(page.locator("[data-product=P001]")).to_be_visible()
