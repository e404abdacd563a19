"""A page of another origin orders from a real browser, with ``CORS_ALLOWED_ORIGINS``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.peers import tokens
from support.processes.shop import Shop

pytestmark = pytest.mark.one_emulator

ORDER = """async ([shop, token, quantity]) => {
  const sent = {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Authorization": `Bearer ${token}`,
      "Idempotency-Key": `basket-${quantity}`,
      "Prefer": "respond-async",
      "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
    body: JSON.stringify({ product_id: "P001", quantity }),
  };
  try {
    await fetch(`${shop}/orders`, sent);
    const response = await fetch(`${shop}/orders`, sent); // a repeat of the same order
    const { order_id, detail } = await response.json();
    const headers = Object.fromEntries(response.headers);
    return { status: response.status, order_id, detail, headers };
  } catch (error) {
    return { error: String(error) };
  }
}"""


class _Page(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Do not log."""


@contextmanager
def other_site(directory: Path) -> Iterator[str]:
    """The origin of a site with an empty page."""
    (directory / "index.html").write_text("<!doctype html><title>A shop's own site</title>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, directory=str(directory)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with other_site(tmp_path_factory.mktemp("allowed")) as origin:
        yield origin


@pytest.fixture(scope="module")
def shop(
    allowed: str, which: str, emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    if which == "official":
        pytest.skip("CORS does not depend on the database")
    keys = tokens.environment(tokens.in_file(tmp_path_factory.mktemp("keys")).keys_file)
    origins = f"https://shop.example,{allowed}"
    logs = tmp_path_factory.mktemp("logs")
    with Shop(emulator, logs, CORS_ALLOWED_ORIGINS=origins, **keys) as shop:
        shop.offer("P001", 10)
        yield shop


def order_from(browser: Browser, origin: str, shop: Shop, quantity: int) -> Any:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(origin)
        return page.evaluate(ORDER, [shop.orders[0], tokens.token("C7"), quantity])


def test_page_of_an_allowed_origin_orders(browser: Browser, shop: Shop, allowed: str) -> None:
    available, _ = shop.stock("P001")
    placed = order_from(browser, allowed, shop, 2)
    assert placed["status"] == 201, placed
    headers = placed["headers"]
    assert headers["location"] == f"/orders/{placed['order_id']}"
    assert headers["idempotent-replayed"] == "true"
    assert headers["x-trace-id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert shop.stock("P001")[0] == available - 2


def test_page_of_an_allowed_origin_reads_the_problem(
    browser: Browser, shop: Shop, allowed: str
) -> None:
    rejected = order_from(browser, allowed, shop, 1000)
    assert rejected["status"] == 409
    assert "Not enough in stock" in rejected["detail"]


def test_page_of_another_origin_cannot_order(browser: Browser, shop: Shop, tmp_path: Path) -> None:
    available, _ = shop.stock("P001")
    with other_site(tmp_path) as origin:
        assert "Failed to fetch" in order_from(browser, origin, shop, 3)["error"]
    assert shop.stock("P001")[0] == available
