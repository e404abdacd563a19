"""The shop page over HTTP: content negotiation, security headers, caching."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.in_process.apps import order_app
from support.stores.fakes import FakeInventory, MemoryOrders

from order_function.domain import PUBLIC_STATUSES
from order_function.web_ui.page import FOLDER, OPERATIONS

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
ROOT = Path(__file__).parents[3]
PATHS = [operation.path for operation in OPERATIONS]


@pytest.fixture
def client() -> Any:
    return order_app(MemoryOrders(), FakeInventory()).test_client()


@pytest.mark.parametrize(
    "accept",
    [
        BROWSER,
        "text/html",
        "Text/HTML; charset=utf-8",
        "application/json;q=0.5, text/html",
        "application/json;q=0.5, text/html;level=1;q=0.6",
    ],
)
def test_page_is_served_when_html_is_preferred(client: Any, accept: str) -> None:
    response = client.get("/", headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html, application/json"])
def test_page_is_404_when_html_is_not_preferred(client: Any, accept: str | None) -> None:
    response = client.get("/", headers={} if accept is None else {"Accept": accept})
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("path", PATHS)
def test_file_has_a_strict_policy_and_is_revalidated(client: Any, path: str) -> None:
    response = client.get(path, headers={"Accept": BROWSER})
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    again = {"Accept": BROWSER, "If-None-Match": response.headers["ETag"]}
    kept = client.get(path, headers=again)
    assert (kept.status_code, kept.data) == (304, b"")
    assert client.get(path, headers=again | {"If-None-Match": '"other"'}).data == response.data


def test_page_names_every_file_and_every_file_is_served(client: Any) -> None:
    page = client.get("/", headers={"Accept": BROWSER}).text
    named = set(re.findall(r'(?:src|href)="([\w.]+\.\w+)"', page)) - {"openapi.json"}
    assert named | {"index.html"} == {path.name for path in FOLDER.iterdir()}
    assert {f"/{name}" for name in named} | {"/"} == set(PATHS)


def test_page_has_no_inline_code() -> None:
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<style|<script(?! src)|\son\w+=|\sstyle=", page) == []
    assert "innerHTML" not in (FOLDER / "page.js").read_text()


def test_page_names_every_status_and_lists_orders_of_all_of_them() -> None:
    script = (FOLDER / "page.js").read_text()
    (statuses,) = re.findall(r"const STATUSES = {(.*?)}", script, re.DOTALL)
    named = re.findall(r"(\w+):", statuses)
    assert named == [status.value for status in PUBLIC_STATUSES]
