"""The shop page in a real browser, on real processes."""

# ruff: noqa: RUF001 - the page has a multiplication sign
from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import requests
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    Route,
    ViewportSize,
    expect,
)
from support.clients.browser import CONTRASTS, DESK, PHONE
from support.in_process.apps import OPERATOR
from support.peers import tokens
from support.processes.shop import TIMEOUT, Shop

pytestmark = pytest.mark.one_emulator


def respond_with_problem(route: Route, status: int, retry_after: int = 0, **body: str) -> None:
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    route.fulfill(
        status=status,
        headers={**headers, "Content-Type": "application/problem+json"},
        body=json.dumps(body),
    )


def unavailable(route: Route, retry_after: int) -> None:
    detail = "The stock cannot be reached; try again."
    respond_with_problem(route, 503, retry_after, detail=detail)


def lose_response(route: Route) -> None:
    """The shop processes the request, and the browser gets no response."""
    route.fetch()
    route.abort()


DELAYS = """
  window.delays = {};
  const fetchNow = window.fetch;
  window.fetch = async (path, options) => {
    const list = String(path).split("?")[0];
    await new Promise((resolve) => setTimeout(resolve, window.delays[list] ?? 0));
    return fetchNow(path, options);
  };
"""
"""Delays requests in the browser, by their path. A route would delay all requests, one by one."""


def wait_until(page: Page, condition: Callable[[], object]) -> None:
    """Let the browser work until the condition holds, for at most 10 s."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        page.wait_for_timeout(20)


def intercept_orders(page: Page, *handlers: Callable[[Route], None]) -> list[str]:
    """Let each handler respond to one order, in sequence, and the shop to those after them.

    The returned list gets the idempotency key of each order.
    """
    keys: list[str] = []
    waiting = iter(handlers)

    def handle(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        keys.append(route.request.headers["idempotency-key"])
        return next(waiting, Route.continue_)(route)

    page.route("**/orders", handle)
    return keys


@pytest.fixture(scope="module")
def shop(which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A new shop, so that the page's request is the first of its process."""
    if which == "official":
        pytest.skip("the page does not depend on the database")
    with Shop(emulator, tmp_path_factory.mktemp("logs")) as shop:
        shop.offer("P001", 10)
        shop.offer("P002", 1)
        yield shop


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=DESK) as context:
        context.set_default_timeout(10_000)
        yield context


@pytest.fixture
def page(context: BrowserContext, shop: Shop) -> Iterator[Page]:
    """The loaded page; the test fails if its script throws or breaks the policy."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Security" in said.text else None)
    page.goto(shop.orders[0])
    expect(page.locator("[data-product]")).to_have_count(2)
    yield page
    assert errors == []


def add(page: Page, product_id: str, quantity: int = 1) -> None:
    card = page.locator(f"[data-product={product_id}]")
    card.get_by_role("spinbutton").fill(str(quantity))
    card.get_by_role("button").click()


def place(page: Page) -> None:
    page.get_by_role("button", name="Place order").click()


def buy(page: Page, product_id: str, quantity: int = 1) -> None:
    add(page, product_id, quantity)
    place(page)


def placed(page: Page) -> Locator:
    """Place the cart's order, and return its row, which need not be the first at once."""
    with page.expect_response(lambda each: each.request.method == "POST") as response:
        place(page)
    order_id = response.value.json()["order_id"]
    return page.locator(f"#order-list > [data-order={order_id}]")


def bought(page: Page, product_id: str, quantity: int = 1) -> Locator:
    add(page, product_id, quantity)
    return placed(page)


def first_order(page: Page) -> Locator:
    return page.locator("#order-list > li").first


def line(page: Page, product_id: str) -> Locator:
    """The product's line in the cart."""
    return page.locator(f"[data-line={product_id}]")


def news(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.get_by_role("status")).to_contain_text(text)


def test_first_response_of_a_process_is_cold(page: Page, shop: Shop) -> None:
    """It runs first: the order process has had no other request."""
    starts = page.locator("#request-list .status")
    expect(starts).to_have_text(["warm", "warm", "cold"])
    expect(page.locator("#request-list > tr").last).to_contain_text("GET this page")
    pods = page.get_by_role("list", name="Pods that responded").get_by_role("listitem")
    expect(pods).to_have_text(re.compile("[a-zA-Z0-9.-]+ 2 responses"))
    shop.kill(shop.orders[0])
    shop.start(shop.orders[0])
    page.get_by_role("button", name="Refresh").click()
    expect(starts).to_have_count(5)
    assert starts.all_inner_texts().count("cold") == 2
    expect(pods).to_have_count(2)
    expect(pods.last).to_contain_text("with its cold start")


def test_order_is_placed_and_cancelled(page: Page, shop: Shop) -> None:
    available, reserved = shop.stock("P001")
    order = bought(page, "P001", 2)
    news(page, "Ordered: 2 × Laptop.")
    stock = page.locator("[data-product=P001] .stock")
    expect(stock).to_have_text(f"{available - 2} available, {reserved + 2} reserved")
    expect(order).to_contain_text("confirmed")
    expect(order).to_contain_text("$1,999.98")
    order.get_by_role("button", name="Cancel the order of 2 × Laptop").click()
    news(page, "Cancelled: 2 × Laptop.")
    expect(order).to_contain_text("cancelled")
    expect(order.get_by_role("button")).to_be_hidden()
    expect(order.locator("h3")).to_be_focused()
    assert shop.stock("P001") == (available, reserved)


def test_rejection_names_product_and_quantities(page: Page) -> None:
    buy(page, "P001", 1000)
    shortage = "Laptop: 10 in stock, you asked for 1,000."
    news(page, f"Not ordered: 1,000 × Laptop. {shortage}")
    expect(first_order(page)).to_contain_text("rejected")
    expect(first_order(page)).to_contain_text(shortage)
    rejected = line(page, "P001").get_by_role("spinbutton")
    expect(rejected).to_have_accessible_description("Laptop 10 in stock, you asked for 1,000.")
    expect(rejected).to_have_attribute("aria-invalid", "true")
    rejected.fill("1")
    order = placed(page)
    news(page, "Ordered: 1 × Laptop.")
    order.get_by_role("button").click()
    news(page, "Cancelled")


def test_cart_of_several_lines_becomes_one_order(page: Page, shop: Shop) -> None:
    available, _ = shop.stock("P001")
    expect(page.get_by_text("The cart is empty.")).to_be_visible()
    add(page, "P001", 2)
    add(page, "P002")
    add(page, "P001", 1)
    news(page, "Added: 1 × Laptop.")
    expect(page.locator("[data-line]")).to_have_count(2)
    expect(line(page, "P001").get_by_role("spinbutton")).to_have_value("3")
    expect(page.locator("#cart-total")).to_have_text("$3,999.96")
    line(page, "P001").get_by_role("spinbutton").fill("1")
    expect(page.locator("#cart-total")).to_have_text("$1,999.98")
    order = placed(page)
    news(page, "Ordered: 1 × Laptop, 1 × Laptop.")
    expect(page.get_by_text("The cart is empty.")).to_be_visible()
    expect(page.locator("#cart")).to_be_focused()
    expect(order).to_contain_text("$1,999.98")
    assert shop.stock("P001")[0] == available - 1
    order.get_by_role("button").click()
    news(page, "Cancelled")


def test_line_is_removed_from_the_cart(page: Page) -> None:
    add(page, "P001")
    add(page, "P002")
    line(page, "P001").get_by_role("button", name="Remove Laptop").click()
    expect(line(page, "P002").get_by_role("spinbutton")).to_be_focused()
    line(page, "P002").get_by_role("button").click()
    expect(page.locator("#cart")).to_be_focused()
    expect(page.get_by_role("button", name="Place order")).to_be_hidden()


def test_total_that_changed_is_rejected_with_both_prices(page: Page, shop: Shop) -> None:
    add(page, "P001", 2)
    shop.offer("P001", 10, price=1099.99)
    try:
        place(page)
        news(page, "the order costs $2,199.98 now. To accept that, place it again.")
        expect(page.locator("#cart-total")).to_have_text("$2,199.98")
        order = placed(page)
        news(page, "Ordered: 2 × Laptop.")
        order.get_by_role("button").click()
        news(page, "Cancelled")
    finally:
        shop.offer("P001", 10)


def test_limit_of_one_order_is_shown_before_and_after(page: Page, shop: Shop) -> None:
    shop.patch("P001", max_per_order=2)
    try:
        page.get_by_role("button", name="Refresh").click()
        stock = page.locator("[data-product=P001] .stock")
        expect(stock).to_contain_text("at most 2 in one order")
        buy(page, "P001", 3)
        news(page, "Laptop: at most 2 in one order, you asked for 3.")
        reason = line(page, "P001").locator(".bad")
        expect(reason).to_have_text("At most 2 in one order, you asked for 3.")
    finally:
        shop.patch("P001", max_per_order=None)


def test_held_order_shows_the_time_left_and_how_to_pay(page: Page, shop: Shop) -> None:
    page.get_by_role("spinbutton", name="Quantity of P001").press("Enter")
    page.get_by_role("checkbox", name="Hold the stock").check()
    order = placed(page)
    news(page, re.compile(r"Held: 1 × Laptop\. Pay within 1[45] min \d+ s\."))
    expect(order.locator(".status")).to_have_text("awaiting payment")
    expect(order).to_contain_text(re.compile(r"The stock is held for 14 min \d+ s more."))
    order.get_by_text("How to pay").click()
    command = order.locator("pre").inner_text()
    order_id = order.get_attribute("data-order")
    url = f"{shop.orders[0]}/orders/{order_id}/confirm"
    assert command == f'curl -X POST {url} -H "Authorization: Bearer $TOKEN"'
    subprocess.run(["sh", "-c", command], env={**os.environ, "TOKEN": OPERATOR}, check=True)
    page.get_by_role("button", name="Refresh").click()
    expect(order.locator(".status")).to_have_text("confirmed")
    expect(order.get_by_text("The stock is held")).to_be_hidden()


def test_hold_that_has_ended_is_shown(page: Page) -> None:
    add(page, "P001")
    page.get_by_role("checkbox", name="Hold the stock").check()
    order = placed(page)
    expect(order).to_contain_text("The stock is held for")
    page.clock.set_system_time(time.time() + 3600)
    expect(order).to_contain_text("The hold has ended.")
    order.get_by_role("button").click()
    news(page, "Cancelled")


def test_order_shows_its_history_and_parts_with_full_dates(page: Page, shop: Shop) -> None:
    order = bought(page, "P001", 3)
    expect(order).to_contain_text("3 × Laptop")
    year = datetime.now(tz=UTC).year
    expect(order.locator("time").first).to_have_text(re.compile(rf"\w+ \d+, {year}, \d+:\d\d:\d\d"))
    change = {"items": [{"line_id": "1", "quantity": 1}], "reason": "damaged in transit"}
    sent = requests.post(
        f"{shop.orders[0]}/orders/{order.get_attribute('data-order')}/cancel",
        json=change,
        headers={"Idempotency-Key": "one-of-three"},
        timeout=TIMEOUT,
    )
    sent.raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    expect(order).to_contain_text("Laptop: 1 cancelled")
    order.get_by_text("History").click()
    events = order.get_by_role("list").get_by_role("listitem")
    expect(events).to_have_count(3)
    expect(events.last).to_contain_text("Cancelled in part · ")
    expect(events.last).to_contain_text("1 × Laptop, by customer, damaged in transit")
    order.get_by_role("button").click()
    news(page, "Cancelled")


def test_failed_lists_are_loaded_again_by_their_retry_buttons(
    context: BrowserContext, shop: Shop
) -> None:
    shop.place("P001", 1).raise_for_status()
    page = context.new_page()
    failing = re.compile(r"/(products|orders)\?")
    page.route(failing, lambda route: unavailable(route, retry_after=1))
    page.goto(shop.orders[0])
    expect(page.get_by_text("The products cannot be loaded. The stock cannot")).to_be_visible()
    expect(page.get_by_text("The orders cannot be loaded.")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    page.unroute(failing)
    page.locator("#products-retry").press("Enter")
    expect(page.locator("[data-product]")).to_have_count(2)
    expect(page.locator("#products")).to_be_focused()
    page.locator("#orders-retry").click()
    expect(first_order(page)).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_product_cannot_be_ordered_when_it_is_out_of_stock(page: Page) -> None:
    buy(page, "P002")
    news(page, "Ordered")
    button = page.locator("[data-product=P002]").get_by_role("button", name="Out of stock")
    expect(button).to_be_disabled()
    page.locator("#order-list > li").first.get_by_role("button").click()
    expect(page.locator("[data-product=P002]").get_by_role("button", name="Add")).to_be_enabled()


def test_order_is_repeated_with_its_key_when_stock_cannot_be_reached(
    page: Page, shop: Shop
) -> None:
    keys = intercept_orders(page, partial(unavailable, retry_after=1), lose_response)
    available, _ = shop.stock("P001")
    buy(page, "P001")
    news(page, "No outcome yet (503): 1 × Laptop.")
    expect(page.locator("#waiting")).to_contain_text("The stock cannot be reached")
    news(page, "No response: 1 × Laptop.")
    news(page, "Ordered: 1 × Laptop.")
    expect(page.locator("#waiting > li")).to_have_count(0)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert shop.stock("P001")[0] == available - 1


@pytest.mark.parametrize("status", [503, 500])
def test_order_is_repeated_with_its_key_when_its_outcome_is_unknown(
    page: Page, shop: Shop, status: int
) -> None:
    def unknown(route: Route) -> None:
        route.fetch()
        kind = "urn:problem-type:order-outcome-unknown"
        respond_with_problem(route, status, 1, type=kind, detail="May be.")

    keys = intercept_orders(page, unknown)
    available, _ = shop.stock("P001")
    buy(page, "P001")
    expect(page.locator("#waiting")).to_contain_text("The order may have been placed.")
    news(page, "Ordered: 1 × Laptop.")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert shop.stock("P001")[0] == available - 1


def test_page_says_that_the_outcome_is_unknown_when_the_customer_stops(page: Page) -> None:
    page.route("**/orders", lambda route: unavailable(route, retry_after=60))
    buy(page, "P001")
    page.get_by_role("button", name="Stop").click()
    news(page, "Stopped: 1 × Laptop. Its outcome is unknown.")


def test_order_is_placed_once_when_the_customer_stops_and_the_next_try_is_refused(
    page: Page, shop: Shop
) -> None:
    """The first response is lost, and the token has expired when the customer tries again."""

    def refuse(route: Route) -> None:
        respond_with_problem(route, 403, detail="The role of this token is not allowed.")

    keys = intercept_orders(page, lose_response, refuse)
    shop.adjust("P001", 10, "for the tests after this").raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    available, _ = shop.stock("P001")
    buy(page, "P001")
    page.get_by_role("button", name="Stop").click()
    news(page, "Stopped: 1 × Laptop. Its outcome is unknown.")
    place(page)
    news(page, "Its outcome is unknown. The role of this token is not allowed.")
    place(page)
    news(page, "Ordered: 1 × Laptop.")
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert shop.stock("P001")[0] == available - 1


def stop_after_a_lost_response(page: Page) -> list[str]:
    """An order that the shop has placed, and of which the page does not know. Returns the keys."""
    keys = intercept_orders(page, lose_response)
    orders = page.locator("#order-list > li[data-order]")
    before = {each.get_attribute("data-order") for each in orders.all()}
    buy(page, "P001")
    page.get_by_role("button", name="Stop").click()
    news(page, "Stopped: 1 × Laptop. Its outcome is unknown.")
    wait_until(page, lambda: first_order(page).get_attribute("data-order") not in before)
    return keys


def test_cancelled_order_is_not_reported_as_ordered_when_it_is_repeated(
    page: Page, shop: Shop
) -> None:
    shop.adjust("P001", 10, "for the tests after this").raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    keys = stop_after_a_lost_response(page)
    first_order(page).get_by_role("button", name="Cancel").click()
    news(page, "Cancelled")
    place(page)
    news(page, "You ordered this before, and that order is cancelled.")
    place(page)
    news(page, "Ordered: 1 × Laptop.")
    assert len(keys) == 3
    assert len(set(keys)) == 2


def test_order_is_placed_once_when_the_price_changes_after_a_lost_response(
    page: Page, shop: Shop
) -> None:
    shop.adjust("P001", 10, "for the tests after this").raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    price = shop.show("/products/P001")["price"]
    keys = stop_after_a_lost_response(page)
    shop.patch("P001", price=price + 1)
    page.get_by_role("button", name="Refresh").click()
    available, _ = shop.stock("P001")
    place(page)
    news(page, "Ordered: 1 × Laptop.")
    assert len(set(keys)) == 1
    assert shop.stock("P001")[0] == available
    shop.patch("P001", price=price)


@pytest.mark.parametrize("status", [201, 409, 500])
def test_page_goes_on_after_a_response_without_a_body(page: Page, status: int) -> None:
    """A gateway can respond instead of the shop: the outcome is unknown."""
    intercept_orders(page, lambda route: route.fulfill(status=status, body="<html>"))
    buy(page, "P001")
    news(page, "Ordered: 1 × Laptop.")
    expect(page.get_by_role("button", name="Place order")).to_have_count(0)


@pytest.mark.parametrize("status", [404, 413, 429])
def test_rejection_without_a_body_is_shown_with_its_status(page: Page, status: int) -> None:
    intercept_orders(page, lambda route: route.fulfill(status=status, body="<html>"))
    buy(page, "P001")
    news(page, f"Not ordered: 1 × Laptop. The status is {status}, without a reason.")
    expect(page.get_by_role("button", name="Place order")).to_be_enabled()


def test_order_is_placed_once_when_a_repeat_is_refused_after_a_lost_response(
    page: Page, shop: Shop
) -> None:
    """Neither the refusal nor the next click may make the customer order twice."""

    def refuse(route: Route) -> None:
        respond_with_problem(route, 500, detail="The server is restarting.")

    keys = intercept_orders(page, lose_response, refuse)
    shop.adjust("P001", 10, "for the tests after this").raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    available, _ = shop.stock("P001")
    buy(page, "P001")
    news(page, "Stopped: 1 × Laptop. Its outcome is unknown. The server is restarting.")
    place(page)
    news(page, "Ordered: 1 × Laptop.")
    assert len(set(keys)) == 1
    assert shop.stock("P001")[0] == available - 1
    buy(page, "P001")
    news(page, "Ordered: 1 × Laptop.")
    assert len(set(keys)) == 2


def test_cancelling_an_order_names_the_units_that_were_not_shipped(page: Page, shop: Shop) -> None:
    order_id = shop.place("P001", 2).json()["order_id"]
    shop.move_part(order_id, "fulfil", f"half of {order_id}").raise_for_status()
    page.get_by_role("button", name="Refresh").click()
    order = page.locator(f"[data-order={order_id}]")
    order.get_by_role("button", name="Cancel").click()
    news(page, "Cancelled: 1 × Laptop.")
    expect(order).to_contain_text("Laptop: 1 cancelled, 1 shipped")


def test_result_stays_while_the_lists_are_slow(page: Page) -> None:
    """A request is slow after one second, and the page then says that it waits."""
    page.locator("#follow").uncheck()
    page.evaluate(f"{{ {DELAYS} }}")
    page.evaluate("window.delays.products = 1500")
    with page.expect_response(re.compile(r"/products\?")):
        buy(page, "P001")
        news(page, "Ordered: 1 × Laptop.")
    news(page, "Ordered: 1 × Laptop.")


def test_late_response_of_an_older_request_does_not_replace_the_list(page: Page) -> None:
    late: list[Route] = []

    def keep_first(route: Route) -> None:
        if route.request.method == "GET" and not late:
            late.append(route)
        else:
            route.continue_()

    page.locator("#follow").uncheck()
    page.route("**/orders?*", keep_first)
    page.get_by_role("button", name="Refresh").click()
    wait_until(page, lambda: late)
    old = requests.get(late[0].request.url, timeout=TIMEOUT)
    order = bought(page, "P001")
    expect(order).to_contain_text("confirmed")
    order_id = str(order.get_attribute("data-order"))
    responses = page.locator("#request-list > tr")
    before = responses.count()
    late[0].fulfill(status=200, content_type="application/json", body=old.text)
    expect(responses).to_have_count(before + 1)
    assert first_order(page).get_attribute("data-order") == order_id
    assert order_id not in old.text


def test_newest_order_is_first_when_there_are_several_pages(page: Page, shop: Shop) -> None:
    customer = "C-of-many"
    for n in range(25):
        body = {"customer_id": customer, "product_id": "P001", "quantity": 1000}
        headers = {"Idempotency-Key": f"many-{n}"}
        requests.post(f"{shop.orders[0]}/orders", json=body, headers=headers, timeout=TIMEOUT)
    page.get_by_label("Customer").fill(customer)
    page.get_by_label("Customer").press("Enter")
    expect(page.locator("#order-list > li")).to_have_count(24)
    order = bought(page, "P001")
    expect(order).to_contain_text("confirmed")
    expect(page.locator("#order-list > li")).to_have_count(24)
    assert first_order(page).get_attribute("data-order") == order.get_attribute("data-order")


def test_retired_product_is_no_longer_on_sale(page: Page, shop: Shop) -> None:
    shop.offer("P009", 1)
    page.reload()
    card = page.locator("[data-product=P009]")
    expect(card).to_contain_text("Add to cart")
    shop.patch("P009", active=False)
    page.get_by_role("button", name="Refresh").click()
    expect(card).to_contain_text("Not on sale")


def test_order_is_kept_as_pending_when_inventory_is_down(
    emulator: str, tmp_path: Path, context: BrowserContext
) -> None:
    with Shop(emulator, tmp_path, REQUEST_DEADLINE_SECONDS="1") as shop:
        shop.offer("P001", 10)
        page = context.new_page()
        page.goto(shop.orders[0])
        page.locator("[data-product=P001]").wait_for()
        shop.kill(shop.inventories[0])
        buy(page, "P001")
        news(page, "Pending: 1 × Laptop.")
        expect(page.locator("#products-state")).to_contain_text("The list is from")
        expect(page.locator("#order-list > li").first).to_contain_text("pending")
        add(page, "P001")
        page.locator("#keep").uncheck()
        place(page)
        expect(page.locator("#waiting")).to_contain_text("The order may have been placed.")


def test_page_asks_for_a_token_when_the_shop_requires_one(
    emulator: str, tmp_path: Path, context: BrowserContext
) -> None:
    trusting = tokens.environment(tokens.in_file(tmp_path).keys_file)
    with Shop(emulator, tmp_path, **trusting) as shop:
        shop.offer("P001", 10)
        page = context.new_page()
        page.goto(shop.orders[0])
        expect(page.locator("#orders-state")).to_have_text(
            "Enter your token to place orders and to see them."
        )
        expect(page.locator(".bad")).to_have_count(0)
        buy(page, "P001")
        news(page, "Enter your token first.")
        expect(page.get_by_label("Your token")).to_be_focused()
        expect(page.get_by_label("Customer")).to_be_hidden()
        page.get_by_label("Your token").fill(tokens.token("C7"))
        page.get_by_role("button", name="Use token").click()
        expect(page.locator("#orders-state")).to_have_text("No orders yet.")
        place(page)
        news(page, "Ordered: 1 × Laptop.")
        order = page.locator("#order-list > li").first
        order.get_by_role("button", name="Cancel the order of 1 × Laptop").click()
        news(page, "Cancelled: 1 × Laptop.")
        expect(page.get_by_role("textbox", name="Your token")).to_have_value("")
        kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        assert "eyJ" not in kept


def test_order_is_placed_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the products")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("spinbutton", name="Quantity of P001")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    news(page, "Added: 2 × Laptop.")
    in_card = page.locator("[data-product=P001]").get_by_role("spinbutton")
    expect(in_card).to_be_focused()
    page.get_by_role("link", name="Skip to the cart").press("Enter")
    page.keyboard.press("Tab")
    expect(line(page, "P001").get_by_role("spinbutton")).to_be_focused()
    page.keyboard.press("Enter")
    news(page, "Ordered: 2 × Laptop.")
    expect(page.locator("#cart")).to_be_focused()


def test_every_control_has_a_name(page: Page) -> None:
    tree = page.locator("body").aria_snapshot()
    nameless = r"- (?:button|checkbox|textbox|spinbutton|link|meter)(?:$|:)"
    assert re.findall(nameless, tree, re.MULTILINE) == []
    assert tree.count("- button") > 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_page_fits_and_its_text_has_contrast(
    browser: Browser, shop: Shop, size: ViewportSize, scheme: str
) -> None:
    with browser.new_context(viewport=size, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(shop.orders[0])
        page.locator("[data-product=P001]").wait_for()
        buy(page, "P001", 1000)
        news(page, "Not ordered")
        page.get_by_text("History").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        table = page.get_by_role("table")
        assert table.evaluate("(table) => table.scrollWidth <= table.parentElement.clientWidth")
        expect(table.get_by_role("row", name="POST orders")).to_contain_text("409")
        assert page.evaluate(CONTRASTS) == []


SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries()
    .filter((entry) => !entry.hadRecentInput)
    .map(({ startTime, value, sources }) => ({
      at: startTime, value, moved: sources.map(({ node }) => node?.outerHTML?.slice(0, 60)),
    })))).observe({ type: "layout-shift", buffered: true });
"""
MAX_SHIFT = 0.1
"""The "good" limit for cumulative layout shift (CLS): https://web.dev/articles/cls."""


def layout_shift(page: Page) -> float:
    """CLS: the largest sum of a session, which has pauses under 1 s and takes at most 5 s."""
    largest = session = 0.0
    began = last = float("-inf")
    for shift in page.evaluate("window.shifts"):
        if shift["at"] - last > 1000 or shift["at"] - began > 5000:
            began, session = shift["at"], 0.0
        last, session = shift["at"], session + shift["value"]
        largest = max(largest, session)
    return largest


@pytest.mark.parametrize("loading", ["products first", "orders first", "products fail"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_page_does_not_move_while_it_loads_and_orders(
    browser: Browser, shop: Shop, size: ViewportSize, loading: str
) -> None:
    """Responses take longer than half a second, in which the browser would excuse a shift."""
    delays = {
        "products first": {"products": 600, "orders": 1200},
        "orders first": {"products": 1200, "orders": 600},
        "products fail": {"products": 600, "orders": 1000},
    }[loading]
    received: list[str] = []
    with browser.new_context(viewport=size) as context:
        page = context.new_page()
        page.on("response", lambda each: received.append(each.url.split("?")[0].split("/")[-1]))
        page.add_init_script(SHIFTS)
        page.add_init_script(f"{{ {DELAYS} window.delays = {json.dumps(delays)}; }}")
        if loading == "products fail":
            page.route("**/products?*", partial(unavailable, retry_after=1))
        page.goto(shop.orders[0])
        expect(page.locator(".skeleton")).to_have_count(0)
        lists = [each for each in received if each in delays]
        assert lists[:2] == sorted(delays, key=lambda each: delays[each])
        page.wait_for_timeout(500)
        if loading != "products fail":
            order = bought(page, "P001")
            expect(order).to_contain_text("confirmed")
            order.get_by_role("button").click()
            news(page, "Cancelled")
            expect(order).to_contain_text("cancelled")
            page.wait_for_timeout(500)
        shifts = page.evaluate("window.shifts")
        assert layout_shift(page) < MAX_SHIFT, shifts
